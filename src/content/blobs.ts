/** `blobs/sha256/<hex>`: a folder of verified blobs, the same in the working store and in an OCI layout. */
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, type Stats } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { createDigester, type Digest, hex } from '../oci/digest.ts'
import { writeFileOnce } from './atomic.ts'
import { absent, type Body, bodyOf, mismatch, verified } from './body.ts'
import { isWorthKeeping, writeFromPart } from './partial.ts'

/** bytes; the default of Node's file streams, 64 KiB, costs 40 % more time to hash a file */
const readAtOnce = 1024 * 1024
/** bytes; below, the way to the thread pool and back, four times a file, costs more than the reading: a release has thousands of these */
const small = 64 * 1024

export interface BlobFolder {
  path(digest: Digest): string
  /** bytes; undefined when there is no such file, or something that is no file */
  size(digest: Digest): Promise<number | undefined>
  has(target: Descriptor): Promise<boolean>
  read(target: Descriptor, signal?: AbortSignal): Body
  write(expected: Descriptor, body: Body): Promise<void>
  /** Writes bytes whose digest nobody knows yet. */
  take(body: Body): Promise<{ readonly digest: Digest; readonly size: number }>
}

/** `root/blobs/sha256` must exist. Symbolic links are not followed: a blob is a file. */
/** With `keepsParts`, what broke off stays in `temporaryFolder`, and is gone on from. */
export function blobFolder(root: string, temporaryFolder: string, keepsParts = false): BlobFolder {
  const folder = join(root, 'blobs', 'sha256')
  const path = (digest: Digest): string => join(folder, hex(digest))
  const size = async (digest: Digest): Promise<number | undefined> => {
    try {
      const found = lstatSync(path(digest), { throwIfNoEntry: false })
      return found?.isFile() === true ? found.size : undefined
    } catch {
      return
    }
  }
  return {
    path,
    size,
    async has(target) {
      return (await size(target.digest)) === target.size
    },
    read(target, signal) {
      return verified(
        target,
        bodyOf(() => readFile(path(target.digest), target, signal)),
      )
    },
    async write(expected, body) {
      if (keepsParts && isWorthKeeping(expected, body)) return await writeFromPart(temporaryFolder, expected, body, path(expected.digest))
      await writeFileOnce(temporaryFolder, verified(expected, body), () => path(expected.digest))
    },
    async take(body) {
      const digester = createDigester()
      let total = 0
      let digest: Digest | undefined
      const counted = async function* (): AsyncGenerator<Uint8Array, void, void> {
        for await (const bytes of body) {
          digester.update(bytes)
          total += bytes.length
          yield bytes
        }
      }
      await writeFileOnce(temporaryFolder, counted(), () => {
        digest = digester.finish()
        return path(digest)
      })
      if (digest === undefined) throw new Error('writeFileOnce asks for the place')
      return { digest, size: total }
    },
  }
}

async function* readFile(path: string, target: Descriptor, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array, void, void> {
  signal?.throwIfAborted()
  if (target.size <= small) {
    yield readSmall(path, target)
    return
  }
  const file = await open(path, flags).catch((cause) => {
    throw refusedOpen(path, target, cause)
  })
  try {
    checkKind(path, target, await file.stat())
    for (let left = target.size; left > 0; ) {
      signal?.throwIfAborted()
      const buffer = Buffer.allocUnsafeSlow(Math.min(left, readAtOnce))
      const { bytesRead } = await file.read(buffer, 0, buffer.length).catch((cause) => Promise.reject(unread(path, cause)))
      if (bytesRead === 0) return
      left -= bytesRead
      yield bytesRead === buffer.length ? buffer : buffer.subarray(0, bytesRead)
    }
  } finally {
    await file.close()
  }
}

// O_NONBLOCK: opening a FIFO that somebody put there must not hang
const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** What there is of it, at most `target.size` bytes: whoever verifies says what is missing. */
function readSmall(path: string, target: Descriptor): Buffer {
  let file: number
  try {
    file = openSync(path, flags)
  } catch (cause) {
    throw refusedOpen(path, target, cause as NodeJS.ErrnoException)
  }
  try {
    checkKind(path, target, fstatSync(file))
    const buffer = Buffer.allocUnsafe(target.size)
    let filled = 0
    for (;;) {
      const bytes = readSync(file, buffer, filled, buffer.length - filled, null)
      filled += bytes
      if (bytes === 0 || filled === buffer.length) return buffer.subarray(0, filled)
    }
  } finally {
    closeSync(file)
  }
}

function checkKind(path: string, target: Descriptor, found: Stats): void {
  if (!found.isFile()) throw notAFile(path, 'no file')
  if (found.size !== target.size) throw mismatch(target, `${found.size} bytes instead of ${target.size}`)
}

function refusedOpen(path: string, target: Descriptor, cause: NodeJS.ErrnoException): RfoError {
  if (cause.code === 'ENOENT') return absent(target)
  if (cause.code === 'ELOOP') return notAFile(path, 'a symbolic link')
  return unread(path, cause)
}

function unread(path: string, cause: NodeJS.ErrnoException): RfoError {
  return new RfoError('RFO_CONTENT_DISK', `can't read: ${cause.code}`, { exit: 'machine', where: path, cause })
}

function notAFile(path: string, what: string): RfoError {
  return new RfoError('RFO_CONTENT_SYMLINK', `${what} where a blob should be`, { exit: 'untrusted', where: path })
}
