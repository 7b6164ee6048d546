/**
 * The release archive, `rfo-<version>.tar`: a plain tar of everything that a release folder holds. It begins with an index, from which
 * follows where every file lies; then come the statement, its signatures and the keys, so that one pass can judge all that follows.
 * Group archives are not stored: they are made again, bit for bit, of the blobs, each of which lies there once.
 *
 *     rfo-archive.json  evidence/release.json  evidence/...  trust/...  <files by path>  oci/blobs/sha256/<hex> ...
 */
import { z } from 'zod'
import { ReleasePath } from '../../attest/release.ts'
import { RfoError } from '../../error.ts'
import { type Digest, isDigest } from '../../oci/digest.ts'
import { canonicalJson, type Json, parseJson } from '../../oci/json.ts'
import { blockSize, headerBlocks, padding } from '../../oci/tar-header.ts'
import { blobDigest, isExecutable, type ReleaseFile } from '../shelf.ts'
import { signatureSuffix } from '../signed-paths.ts'
import { bundlePath, statementPath } from '../verify/files.ts'
import { Selection } from './selection.ts'

export const indexName = 'rfo-archive.json'
/** bytes; a release of ten thousand blobs has an index of two million */
export const maxIndexBytes = 1 << 24
const mostFiles = 100_000

export interface ArchivedFile extends ReleaseFile {
  /** described here and made again of the blobs, instead of stored */
  readonly made?: true
}

export interface ArchiveIndex {
  readonly version: string
  /** seconds; every entry's time */
  readonly epoch: number
  /** what of the release it holds; absent = all */
  readonly selection?: Selection
  /** those that are stored in the order of the tar, then those that are made */
  readonly files: readonly ArchivedFile[]
}

const Count = z.int().nonnegative()
const DigestText = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value), 'a sha256 digest')
const Index = z.strictObject({
  schema: z.literal('rfo-build.archive/1'),
  version: z.string().min(1).max(100),
  epoch: Count,
  selection: Selection.optional(),
  files: z
    .array(z.strictObject({ path: ReleasePath, size: Count, digest: DigestText, made: z.literal(true).optional() }))
    .min(1)
    .max(mostFiles),
})

export function indexBytes({ version, epoch, selection, files }: ArchiveIndex): Buffer {
  const listed = files.map(({ path, size, digest, made }) => ({ path, size, digest, ...(made === undefined ? {} : { made }) }))
  const part = selection === undefined ? {} : { selection }
  return Buffer.from(canonicalJson({ schema: 'rfo-build.archive/1', version, epoch, ...part, files: listed } as Json))
}

/** Throws RFO_ARCHIVE_INDEX (untrusted) for what indexBytes would not have written of files in their order. */
export function parseIndexBytes(bytes: Uint8Array): ArchiveIndex {
  let json: unknown
  try {
    json = parseJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    throw refused('no JSON', cause)
  }
  const parsed = Index.safeParse(json)
  if (!parsed.success) throw refused(`${parsed.error.issues[0]?.path.join('.')}: ${parsed.error.issues[0]?.message}`.slice(0, 300))
  const { schema: _, ...said } = parsed.data
  const index = said as ArchiveIndex
  const paths = new Set(index.files.map(({ path }) => path))
  if (paths.size !== index.files.length || paths.has(indexName)) throw refused('it names a file twice')
  if (!indexBytes({ ...index, files: ordered(index.files) }).equals(bytes)) throw refused('not as it is written')
  return index
}

/** What vouches for the rest comes first, blobs come last. */
export function ordered<File extends ArchivedFile>(files: readonly File[]): File[] {
  const rank = ({ path, made }: ArchivedFile): number => {
    if (made === true) return 7
    if (path === statementPath) return 0
    if (path === bundlePath) return 1
    if (path.startsWith('evidence/release.')) return 2
    if (path.startsWith('trust/')) return 3
    if (signatureSuffix(path) !== '') return 4
    return blobDigest(path) === undefined ? 5 : 6
  }
  const keyed = files.map((file) => ({ file, rank: rank(file) }))
  return keyed.sort((a, b) => a.rank - b.rank || (a.file.path < b.file.path ? -1 : 1)).map(({ file }) => file)
}

export function entryHeader(path: string, size: number, epoch: number): Buffer {
  return headerBlocks({ name: path, type: 'file', mode: isExecutable(path) ? 0o755 : 0o644, size, mtime: epoch, link: '' })
}

export interface Place {
  /** of the header, from the beginning of the archive */
  readonly offset: number
  readonly header: Buffer
}

/** Where each stored file lies, and how long the archive is: it follows from the index, so that nothing can be said wrong. */
export function places(index: ArchiveIndex): { readonly of: ReadonlyMap<string, Place>; readonly total: number } {
  const of = new Map<string, Place>()
  let offset = 0
  const put = (path: string, size: number): void => {
    const header = entryHeader(path, size, index.epoch)
    of.set(path, { offset, header })
    offset += header.length + size + padding(size)
  }
  put(indexName, indexBytes(index).length)
  for (const { path, size, made } of index.files) if (made !== true) put(path, size)
  const total = offset + 2 * blockSize
  if (!Number.isSafeInteger(total)) throw refused('its files are larger than any disk')
  return { of, total }
}

export function refused(why: string, cause?: unknown): RfoError {
  return new RfoError('RFO_ARCHIVE_INDEX', `not a release archive: ${why}`, {
    exit: 'untrusted',
    ...(cause === undefined ? {} : { cause }),
  })
}
