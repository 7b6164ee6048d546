/** A release archive as the files of a release: each found by the index and read where it lies, nothing unpacked. */

import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { verified } from '../../content/body.ts'
import type { Extent, Range } from '../../content/file.ts'
import { RfoError } from '../../error.ts'
import { blockSize, padding } from '../../oci/tar-header.ts'
import { groupArchiveAgain } from '../group-archive.ts'
import { blobsOf, descriptorOf, parseStatement, type ReleaseFile, type ReleaseFiles, smallFile } from '../shelf.ts'
import { maxStatementBytes, statementPath } from '../verify/files.ts'
import { type ArchivedFile, type ArchiveIndex, entryHeader, indexName, maxIndexBytes, parseIndexBytes, places, refused } from './form.ts'

/** bytes */
const readAtOnce = 1 << 20

export interface OpenArchive extends ReleaseFiles {
  readonly index: ArchiveIndex
  readonly files: readonly ArchivedFile[]
  /** Where a file that is stored lies, with nothing hidden before or behind it. Throws RFO_ARCHIVE_INDEX. */
  extent(file: ReleaseFile): Promise<Extent>
}

/** Throws RFO_ARCHIVE_INDEX for what is none, or is cut short. The caller closes it. */
export async function openArchive(path: string): Promise<OpenArchive> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((cause: NodeJS.ErrnoException) => {
    throw new RfoError('RFO_ARCHIVE_READ', `can't read the archive: ${cause.code}`, { exit: 'usage', where: path, cause })
  })
  try {
    return await opened(path, file)
  } catch (thrown) {
    await file.close()
    throw thrown instanceof RfoError ? thrown.at(path) : thrown
  }
}

async function opened(where: string, handle: FileHandle): Promise<OpenArchive> {
  const stat = await handle.stat()
  if (!stat.isFile()) throw refused('no file')
  const index = await readIndex(handle, stat.size)
  const { of, total } = places(index)
  if (total !== stat.size) throw refused(`${stat.size} bytes, its index says ${total}`)
  if (!isZero(await exactly(handle, total - 2 * blockSize, total))) throw refused('two blocks of zeros do not end it')

  const beginOf = async (file: ReleaseFile): Promise<number> => {
    const place = of.get(file.path)
    if (place === undefined) throw new Error(`${file.path} is not stored`)
    const header = await exactly(handle, place.offset, place.offset + place.header.length)
    if (!header.equals(place.header)) throw refused(`no header of ${file.path} where its index says`)
    return place.offset + place.header.length
  }
  /** What hides behind a file would reach whoever unpacks it otherwise. */
  const endsWell = async (file: ReleaseFile, end: number): Promise<void> => {
    if (!isZero(await exactly(handle, end, end + padding(file.size)))) throw refused(`something stands behind ${file.path}`)
  }
  const stored = async function* (file: ReleaseFile, range: Range): AsyncGenerator<Uint8Array, void, undefined> {
    const begin = await beginOf(file)
    for (let at = begin + range.start; at < begin + range.end; ) {
      const bytes = await exactly(handle, at, Math.min(at + readAtOnce, begin + range.end))
      at += bytes.length
      yield bytes
    }
    if (range.end === file.size) await endsWell(file, begin + file.size)
  }
  const archive: OpenArchive = {
    where,
    index,
    files: index.files,
    async extent(file) {
      const start = await beginOf(file)
      await endsWell(file, start + file.size)
      return { file: where, start, end: start + file.size }
    },
    open(file, asked) {
      const range = asked && { start: Math.min(asked.start, file.size), end: Math.min(asked.end, file.size) }
      const { made } = file as ArchivedFile
      if (made !== true)
        return range === undefined ? verified(descriptorOf(file), stored(file, { start: 0, end: file.size })) : stored(file, range)
      const again = madeAgain(file, archive)
      return range === undefined ? sameAgain(file, again) : part(again, range)
    },
    close: () => handle.close(),
  }
  return archive
}

async function* madeAgain(file: ReleaseFile, archive: OpenArchive): AsyncGenerator<Uint8Array, void, undefined> {
  const statement = await smallFile(archive, statementPath, maxStatementBytes)
  yield* groupArchiveAgain(file.path, parseStatement(statement, archive.where), blobsOf(archive))
}

/** Every blob has been verified when the whole is not what was signed: then it is the encoder that is another one. */
async function* sameAgain(file: ReleaseFile, body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  let broken: unknown
  const inner = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* body
    } catch (thrown) {
      broken = thrown
      throw thrown
    }
  }
  try {
    yield* verified(descriptorOf(file), inner())
  } catch (thrown) {
    if (thrown === broken) throw thrown
    throw new RfoError('RFO_ARCHIVE_ENCODER', `zstd ${process.versions.zstd} makes other bytes of it than were signed`, {
      exit: 'machine',
      where: file.path,
      next: 'use the Node that the release was made with',
      cause: thrown,
    })
  }
}

async function* part(body: AsyncIterable<Uint8Array>, { start, end }: Range): AsyncGenerator<Uint8Array, void, undefined> {
  let at = 0
  for await (const bytes of body) {
    const piece = bytes.subarray(Math.max(0, start - at), Math.max(0, end - at))
    at += bytes.length
    if (piece.length > 0) yield piece
    if (at >= end) return
  }
}

async function readIndex(handle: FileHandle, total: number): Promise<ArchiveIndex> {
  if (total < 2 * blockSize) throw refused('too short')
  const header = await exactly(handle, 0, blockSize)
  const octal = (at: number): number => Number.parseInt(header.toString('latin1', at, at + 11), 8)
  const [size, epoch] = [octal(124), octal(136)]
  if (!header.equals(entryHeaderOr(size, epoch))) throw refused(`it does not begin with ${indexName}`)
  if (size > maxIndexBytes || blockSize + size > total) throw refused(`an index of ${size} bytes`)
  const index = parseIndexBytes(await exactly(handle, blockSize, blockSize + size))
  const end = blockSize + size
  if (!isZero(await exactly(handle, end, end + padding(size)))) throw refused('something stands behind its index')
  if (index.epoch !== epoch) throw refused('its index has another time than its entries')
  return index
}

function entryHeaderOr(size: number, epoch: number): Buffer {
  return Number.isSafeInteger(size) && Number.isSafeInteger(epoch) ? entryHeader(indexName, size, epoch) : Buffer.alloc(0)
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0)
}

async function exactly(handle: FileHandle, start: number, end: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(end - start)
  for (let at = 0; at < bytes.length; ) {
    const { bytesRead } = await handle.read(bytes, at, bytes.length - at, start + at).catch((cause: NodeJS.ErrnoException) => {
      throw new RfoError('RFO_ARCHIVE_READ', `can't read the archive: ${cause.code}`, { exit: 'machine', cause })
    })
    if (bytesRead === 0) throw refused('it ends too early')
    at += bytesRead
  }
  return bytes
}
