/**
 * An rpm header as it lies in a database: index length, data length (u32, big endian), entries of (tag, type, offset,
 * count), data. https://rpm-software-management.github.io/rpm/manual/format_v4.html#header-format; a database leaves the
 * 8 bytes of magic out. The bytes come from an image: every offset and count is checked.
 */
import { RfoError } from '../../error.ts'

/** https://rpm-software-management.github.io/rpm/manual/tags.html */
export const rpmTags = {
  sha256Header: 273,
  name: 1000,
  version: 1001,
  release: 1002,
  epoch: 1003,
  vendor: 1011,
  license: 1014,
  url: 1020,
  arch: 1022,
  fileDigests: 1035,
  sourceRpm: 1044,
  provideName: 1047,
  requireName: 1049,
  dirIndexes: 1116,
  baseNames: 1117,
  dirNames: 1118,
  fileDigestAlgorithm: 5011,
} as const

export interface RpmFile {
  readonly path: string
  /** hex; '' for directories, links and %ghost files */
  readonly digest: string
}

export interface RpmPackage {
  readonly name: string
  /** absent is not 0: rpm shows them differently */
  readonly epoch?: number
  readonly version: string
  readonly release: string
  readonly arch: string
  readonly license: string
  readonly vendor: string
  /** of the project */
  readonly url: string
  /** file name of the source package; '' when the header has none */
  readonly sourceRpm: string
  /** hex, of the immutable part of the header */
  readonly sha256?: string
  /** RFC 4880 number: 1 is MD5, 8 is SHA-256 */
  readonly digestAlgorithm: number
  readonly files: readonly RpmFile[]
  readonly provides: readonly string[]
  readonly requires: readonly string[]
}

const magic = 0x8eade801
/** rpm's own limits: lib/header.c, hdrchkTags and hdrchkData */
const mostTags = 0xffff
const mostData = 0x0fffffff
/** PATH_MAX; and characters in all paths of one package, since a few bytes can name one long directory many times */
const longestPath = 4096
const mostPathText = 64 * 1024 * 1024

interface Entry {
  readonly type: number
  /** from the start of the data */
  readonly offset: number
  readonly count: number
}

/** Throws RFO_INSPECT_RPMHEADER. */
export function parseRpmHeader(blob: Buffer): RpmPackage {
  const { entries, data } = readIndex(blob)
  const strings = (tag: number): readonly string[] => readStrings(entries.get(tag), data, tag)
  const numbers = (tag: number): readonly number[] => readNumbers(entries.get(tag), data, tag)
  const text = (tag: number): string => strings(tag)[0] ?? ''
  const required = (tag: number): string => {
    const value = text(tag)
    if (value === '') throw badHeader(`tag ${tag} is missing or empty`)
    return value
  }
  const epoch = numbers(rpmTags.epoch)[0]
  const sha256 = text(rpmTags.sha256Header)
  return {
    name: required(rpmTags.name),
    ...(epoch === undefined ? {} : { epoch }),
    version: required(rpmTags.version),
    release: required(rpmTags.release),
    arch: text(rpmTags.arch),
    license: text(rpmTags.license),
    vendor: text(rpmTags.vendor),
    url: text(rpmTags.url),
    sourceRpm: text(rpmTags.sourceRpm),
    ...(/^[0-9a-f]{64}$/.test(sha256) ? { sha256 } : {}),
    digestAlgorithm: numbers(rpmTags.fileDigestAlgorithm)[0] ?? 1,
    files: filesOf(strings(rpmTags.baseNames), numbers(rpmTags.dirIndexes), strings(rpmTags.dirNames), strings(rpmTags.fileDigests)),
    provides: strings(rpmTags.provideName),
    requires: strings(rpmTags.requireName),
  }
}

function readIndex(blob: Buffer): { readonly entries: ReadonlyMap<number, Entry>; readonly data: Buffer } {
  const start = blob.length >= 8 && blob.readUInt32BE(0) === magic ? 8 : 0
  if (blob.length < start + 8) throw badHeader('it is shorter than its own length fields')
  const tags = blob.readUInt32BE(start)
  const length = blob.readUInt32BE(start + 4)
  const dataStart = start + 8 + tags * 16
  if (tags > mostTags || length > mostData || dataStart + length > blob.length) throw badHeader('its lengths are more than its bytes')
  const entries = new Map<number, Entry>()
  for (let at = start + 8; at < dataStart; at += 16) {
    const tag = blob.readUInt32BE(at)
    // a tag may stand in the package's own region and again behind it, changed at installation: the later one counts
    entries.set(tag, { type: blob.readUInt32BE(at + 4), offset: blob.readUInt32BE(at + 8), count: blob.readUInt32BE(at + 12) })
  }
  return { entries, data: blob.subarray(dataStart, dataStart + length) }
}

/** Types 6 (string), 8 (array of strings), 9 (the same, one per locale). */
function readStrings(entry: Entry | undefined, data: Buffer, tag: number): readonly string[] {
  if (entry === undefined) return []
  const { type, offset, count } = entry
  if (type !== 6 && type !== 8 && type !== 9) throw badHeader(`tag ${tag} has type ${type}, not a string`)
  // every string takes at least its NUL
  if (offset > data.length || count > data.length - offset) throw badHeader(`tag ${tag} has more strings than bytes`)
  const found: string[] = []
  let at = offset
  for (let n = 0; n < count; n++) {
    const end = data.indexOf(0, at)
    if (end < 0) throw badHeader(`tag ${tag} has a string without an end`)
    found.push(data.toString('utf8', at, end))
    at = end + 1
  }
  return found
}

/** Types 3 (u16) and 4 (u32). */
function readNumbers(entry: Entry | undefined, data: Buffer, tag: number): readonly number[] {
  if (entry === undefined) return []
  const { type, offset, count } = entry
  const width = type === 4 ? 4 : type === 3 ? 2 : undefined
  if (width === undefined) throw badHeader(`tag ${tag} has type ${type}, not a number`)
  if (offset > data.length || count > (data.length - offset) / width) throw badHeader(`tag ${tag} has more numbers than bytes`)
  const found: number[] = []
  for (let n = 0; n < count; n++) found.push(data.readUIntBE(offset + n * width, width))
  return found
}

function filesOf(names: readonly string[], folderOf: readonly number[], folders: readonly string[], digests: readonly string[]): RpmFile[] {
  if (folderOf.length !== names.length || (digests.length !== 0 && digests.length !== names.length)) {
    throw badHeader(`it has ${names.length} file names, ${folderOf.length} directories and ${digests.length} digests for them`)
  }
  let total = 0
  return names.map((name, n) => {
    const folder = folders[folderOf[n] ?? -1]
    if (folder === undefined) throw badHeader('a file lies in a directory that is not listed')
    total += folder.length + name.length
    if (folder.length + name.length > longestPath || total > mostPathText) throw badHeader('its file names are too long')
    return { path: folder + name, digest: digests[n] ?? '' }
  })
}

function badHeader(what: string): RfoError {
  return new RfoError('RFO_INSPECT_RPMHEADER', `an rpm header can't be read: ${what}`, { exit: 'untrusted' })
}
