/** The files of a release folder: regular files in folders, nothing else. */

import { createHash } from 'node:crypto'
import { closeSync, constants, fstatSync, openSync, read, readSync } from 'node:fs'
import { type FileHandle, open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Extent } from '../../content/file.ts'
import { RfoError } from '../../error.ts'
import { createDigester, type Digest } from '../../oci/digest.ts'
import { untrusted } from './finding.ts'

/** More entries than any release has; a folder made to exhaust us stops here. */
const maxEntries = 1_000_000

export interface Tree {
  /** Relative paths with `/`, sorted by code unit. */
  readonly files: readonly string[]
  readonly findings: readonly RfoError[]
}

export async function readTree(folder: string): Promise<Tree> {
  const files: string[] = []
  const findings: RfoError[] = []
  let entries = 0
  const walk = async (below: string): Promise<void> => {
    const names = await readdir(join(folder, below), { withFileTypes: true }).catch((cause: NodeJS.ErrnoException) => {
      if (below === '' && (cause.code === 'ENOENT' || cause.code === 'ENOTDIR')) {
        throw new RfoError('RFO_VERIFY_ABSENT', 'no release here', {
          exit: 'usage',
          where: folder,
          cause,
          next:
            cause.code === 'ENOTDIR'
              ? 'of an archive make a folder first: rfo-build materialize <archive>'
              : 'give a release folder, or make one: rfo-build release <version>',
        })
      }
      throw new RfoError('RFO_VERIFY_READ', `can't read: ${cause.code ?? cause.message}`, {
        exit: 'machine',
        where: join(folder, below),
        cause,
      })
    })
    if (names.length === 0) findings.push(untrusted('RFO_VERIFY_EXTRA', 'a folder with nothing in it', below === '' ? '.' : below))
    for (const entry of names) {
      entries += 1
      if (entries > maxEntries) throw untrusted('RFO_VERIFY_EXTRA', `more than ${maxEntries} entries`, folder)
      const path = below === '' ? entry.name : `${below}/${entry.name}`
      if (entry.isDirectory()) await walk(path)
      else if (entry.isFile()) files.push(path)
      else findings.push(untrusted('RFO_VERIFY_KIND', 'neither a regular file nor a folder', path))
    }
  }
  await walk('')
  return { files: files.sort(), findings }
}

export interface Hashed {
  readonly digest: Digest
  readonly sm3: string | undefined
  /** bytes */
  readonly size: number
  /** what an archive says that it is, where that is something else */
  readonly listed?: Digest
}

const readPart = promisify(read)
/** bytes; below, the way to the thread pool and back costs more than the reading: a release has thousands of these */
const small = 64 * 1024

/** One pass over one file; SM3 costs three SHA-256, so it is computed where a statement names it. */
export async function hashFile(extent: string | Extent, sm3: boolean): Promise<Hashed> {
  const { file: path, start, end }: Extent = typeof extent === 'string' ? { file: extent } : extent
  const file = openFile(path)
  try {
    const digester = createDigester()
    const other = sm3 ? createHash('sm3') : undefined
    const told = end === undefined ? fstatSync(file).size : end - (start ?? 0)
    const buffer = Buffer.allocUnsafe(Math.min(1 << 20, Math.max(1 << 12, told + 1)))
    let size = 0
    for (;;) {
      const most = end === undefined ? buffer.length : Math.min(buffer.length, told - size)
      const at = start === undefined ? null : start + size
      const bytes = told < small ? readSync(file, buffer, 0, most, at) : (await readPart(file, buffer, 0, most, at)).bytesRead
      if (bytes === 0) break
      const chunk = buffer.subarray(0, bytes)
      size += bytes
      digester.update(chunk)
      other?.update(chunk)
    }
    return { digest: digester.finish(), sm3: other?.digest('hex'), size }
  } catch (cause) {
    throw unread(path, cause)
  } finally {
    closeSync(file)
  }
}

/** Throws RFO_VERIFY_KIND for a link, RFO_VERIFY_READ for what the system refuses. */
function openFile(path: string): number {
  try {
    // O_NONBLOCK: opening a FIFO must not hang
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ELOOP') throw untrusted('RFO_VERIFY_KIND', 'neither a regular file nor a folder', path)
    throw unread(path, cause)
  }
}

/** A disk that fails is nobody's forgery, and no bug. */
function unread(where: string, cause: unknown): unknown {
  const { code } = cause as NodeJS.ErrnoException
  return new RfoError('RFO_VERIFY_READ', `can't read: ${code}`, { exit: 'machine', where, cause })
}

/** A small file whole; undefined when it is absent. */
export async function readSmall(path: string, maxBytes: number, where: string): Promise<Buffer | undefined> {
  let file: FileHandle
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    if (code === 'ELOOP') throw untrusted('RFO_VERIFY_KIND', 'neither a regular file nor a folder', where)
    throw new RfoError('RFO_VERIFY_READ', `can't read: ${code}`, { exit: 'machine', where, cause })
  }
  try {
    const { size } = await file.stat()
    if (size > maxBytes) throw untrusted('RFO_VERIFY_SIZE', `${size} bytes, more than the ${maxBytes} that such a file may have`, where)
    return await file.readFile().catch((cause) => Promise.reject(unread(where, cause)))
  } finally {
    await file.close()
  }
}
