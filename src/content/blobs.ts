/** `blobs/sha256/<hex>`: a folder of verified blobs, the same in the working store and in an OCI layout. */
import { constants } from 'node:fs'
import { lstat, open } from 'node:fs/promises'
import { join } from 'node:path'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { createDigester, type Digest, hex } from '../oci/digest.ts'
import { writeFileOnce } from './atomic.ts'
import { absent, type Body, bodyOf, mismatch, verified } from './body.ts'

/** bytes; the default of Node's file streams, 64 KiB, costs 40 % more time to hash a file */
const readAtOnce = 1024 * 1024

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
export function blobFolder(root: string, temporaryFolder: string): BlobFolder {
  const folder = join(root, 'blobs', 'sha256')
  const path = (digest: Digest): string => join(folder, hex(digest))
  const size = async (digest: Digest): Promise<number | undefined> => {
    const found = await lstat(path(digest)).catch(() => undefined)
    return found?.isFile() ? found.size : undefined
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
  // O_NONBLOCK: opening a FIFO that somebody put there must not hang
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch((cause) => {
    if (cause.code === 'ENOENT') throw absent(target)
    if (cause.code === 'ELOOP') throw notAFile(path, 'a symbolic link')
    throw new RfoError('RFO_CONTENT_DISK', `can't read: ${cause.code}`, { exit: 'machine', where: path, cause })
  })
  try {
    const found = await file.stat()
    if (!found.isFile()) throw notAFile(path, 'no file')
    if (found.size !== target.size) throw mismatch(target, `${found.size} bytes instead of ${target.size}`)
    for (let left = target.size; left > 0; ) {
      signal?.throwIfAborted()
      const buffer = Buffer.allocUnsafeSlow(Math.min(left, readAtOnce))
      const { bytesRead } = await file.read(buffer, 0, buffer.length)
      if (bytesRead === 0) return
      left -= bytesRead
      yield bytesRead === buffer.length ? buffer : buffer.subarray(0, bytesRead)
    }
  } finally {
    await file.close()
  }
}

function notAFile(path: string, what: string): RfoError {
  return new RfoError('RFO_CONTENT_SYMLINK', `${what} where a blob should be`, { exit: 'untrusted', where: path })
}
