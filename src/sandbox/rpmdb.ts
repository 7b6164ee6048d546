/**
 * Writes an rpm database of the kind that openEuler uses (ndb, Packages.db) with headers as rpm itself stores them:
 * https://rpm-software-management.github.io/rpm/manual/format_v4.html#header-format and
 * https://github.com/rpm-software-management/rpm/blob/rpm-4.18.0-release/lib/backend/ndb/rpmpkg.c. Same packages, same bytes.
 */
import { createHash } from 'node:crypto'

export interface RpmFile {
  readonly path: string
  readonly digest: string
  /** with its type bits; absent = an executable, or a link when there is no digest */
  readonly mode?: number
  /** bytes */
  readonly size?: number
  readonly target?: string
  readonly ghost?: true
}

export interface RpmPackage {
  readonly name: string
  readonly epoch?: number
  readonly version: string
  readonly release: string
  readonly arch: string
  readonly license: string
  readonly summary: string
  readonly vendor: string
  readonly sourceRpm: string
  /** RFC 4880 number of the file digests' algorithm: 8 is SHA-256 */
  readonly digestAlgorithm: number
  /** Absolute paths; the digest is '' for what is no regular file. */
  readonly files: readonly RpmFile[]
  readonly provides: readonly string[]
  readonly requires: readonly string[]
}

const block = 16
const page = 4096
const slotsPerPage = page / 16
/** The file's own header takes the place of the first slots. */
const firstSlot = 2

/** Packages get the numbers 1, 2, 3… in the order given; the slot area is as big as it must be. */
export function writeNdb(packages: readonly RpmPackage[]): Buffer {
  const pages = Math.max(1, Math.ceil((packages.length + firstSlot) / slotsPerPage))
  const slots = Buffer.alloc(pages * page)
  slots.write('RpmP', 0, 'latin1')
  // version 0; generation: rpm counts one for the new file and one for each package
  slots.writeUInt32LE(packages.length + 1, 8)
  slots.writeUInt32LE(pages, 12)
  slots.writeUInt32LE(packages.length + 1, 16)
  for (let slot = firstSlot; slot < pages * slotsPerPage; slot++) slots.write('Slot', slot * 16, 'latin1')
  const blobs: Buffer[] = []
  let at = pages * page
  for (const [n, one] of packages.entries()) {
    const blob = ndbBlob(n + 1, rpmHeader(one))
    const slot = (n + firstSlot) * 16
    slots.writeUInt32LE(n + 1, slot + 4)
    slots.writeUInt32LE(at / block, slot + 8)
    slots.writeUInt32LE(blob.length / block, slot + 12)
    blobs.push(blob)
    at += blob.length
  }
  return Buffer.concat([slots, ...blobs])
}

/** Head, data, padding to whole blocks, tail with an Adler-32 over all before it. The time stamp is 0. */
function ndbBlob(index: number, data: Buffer): Buffer {
  const tail = 12
  const blob = Buffer.alloc(Math.ceil((16 + data.length + tail) / block) * block)
  blob.write('BlbS', 0, 'latin1')
  blob.writeUInt32LE(index, 4)
  blob.writeUInt32LE(data.length, 12)
  data.copy(blob, 16)
  blob.writeUInt32LE(adler32(blob.subarray(0, blob.length - tail)), blob.length - 12)
  blob.writeUInt32LE(data.length, blob.length - 8)
  blob.write('BlbE', blob.length - 4, 'latin1')
  return blob
}

/** https://www.rfc-editor.org/rfc/rfc1950#section-9 */
function adler32(bytes: Buffer): number {
  let low = 1
  let high = 0
  for (const byte of bytes) {
    low = (low + byte) % 65521
    high = (high + low) % 65521
  }
  return high * 65536 + low
}

export type Value =
  | { readonly tag: number; readonly type: 'string' | 'strings' | 'i18n'; readonly value: readonly string[] }
  | { readonly tag: number; readonly type: 'int16' | 'int32'; readonly value: readonly number[] }

/** rpm's numbers of the types, and what their data is aligned to */
const types = {
  int16: { number: 3, align: 2 },
  int32: { number: 4, align: 4 },
  string: { number: 6, align: 1 },
  strings: { number: 8, align: 1 },
  i18n: { number: 9, align: 1 },
} as const
const binary = 7
/** The region that a package brings and nothing may change later: HEADERIMMUTABLE. */
const immutableTag = 63
const sha256HeaderTag = 273

/** The header as the database has it: the immutable region, then what installation adds: the region's digest and a time. */
export function rpmHeader(one: RpmPackage): Buffer {
  const { index: region, data } = closedRegion(immutableTag, valuesOf(one))
  const sha256 = createHash('sha256')
    .update(withMagic({ index: region, data }))
    .digest('hex')
  const added = layOut(
    [
      { tag: sha256HeaderTag, type: 'string', value: [sha256] },
      { tag: 1008, type: 'int32', value: [0] }, // installation time
    ],
    data.length,
  )
  const index = [...region, ...added.index]
  return Buffer.concat([lengths(index.length, data.length + added.data.length), ...index, data, added.data])
}

/** A header as an RPM has it: magic and version before, and all of it one region. */
export function rpmFileHeader(one: RpmPackage, more: readonly Value[] = []): Buffer {
  return withMagic(
    closedRegion(
      immutableTag,
      [...valuesOf(one), ...more].sort((a, b) => a.tag - b.tag),
    ),
  )
}

/** The header before it, whose tags are others: digests and sizes. */
export function rpmSignatureHeader(values: readonly Value[]): Buffer {
  return withMagic(closedRegion(62, values))
}

/** The region ends with an entry like those of the index, whose offset counts back over them. */
function closedRegion(tag: number, values: readonly Value[]): { readonly index: readonly Buffer[]; readonly data: Buffer } {
  const store = layOut(values, 0)
  const trailer = indexEntry(tag, binary, -(values.length + 1) * 16, 16)
  return { index: [indexEntry(tag, binary, store.data.length, 16), ...store.index], data: Buffer.concat([store.data, trailer]) }
}

function withMagic({ index, data }: { readonly index: readonly Buffer[]; readonly data: Buffer }): Buffer {
  return Buffer.concat([Buffer.from('8eade80100000000', 'hex'), lengths(index.length, data.length), ...index, data])
}

function valuesOf(one: RpmPackage): readonly Value[] {
  const folders = [...new Set(one.files.map(({ path }) => folderOf(path)))].sort()
  const files = one.files
  const each = (value: number): number[] => files.map(() => value)
  const perFile: Value[] = [
    { tag: 1028, type: 'int32', value: files.map(({ size = 0 }) => size) },
    { tag: 1030, type: 'int16', value: files.map(({ digest, mode }) => mode ?? (digest === '' ? 0o120777 : 0o100755)) },
    { tag: 1033, type: 'int16', value: each(0) }, // device numbers
    { tag: 1034, type: 'int32', value: each(0) }, // times
    { tag: 1035, type: 'strings', value: files.map(({ digest }) => digest) },
    { tag: 1036, type: 'strings', value: files.map(({ target = '' }) => target) },
    { tag: 1037, type: 'int32', value: files.map(({ ghost }) => (ghost === true ? 64 : 0)) },
    { tag: 1039, type: 'strings', value: files.map(() => 'root') },
    { tag: 1040, type: 'strings', value: files.map(() => 'root') },
    { tag: 1116, type: 'int32', value: files.map(({ path }) => folders.indexOf(folderOf(path))) },
    { tag: 1117, type: 'strings', value: files.map(({ path }) => path.slice(folderOf(path).length)) },
    { tag: 1118, type: 'strings', value: folders },
    { tag: 5011, type: 'int32', value: [one.digestAlgorithm] },
  ]
  const relations = (names: readonly string[], flags: number, name: number, version: number): Value[] => [
    { tag: flags, type: 'int32', value: names.map(() => 0) },
    { tag: name, type: 'strings', value: names },
    { tag: version, type: 'strings', value: names.map(() => '') },
  ]
  const values: Value[] = [
    { tag: 100, type: 'strings', value: ['C'] },
    { tag: 1000, type: 'string', value: [one.name] },
    { tag: 1001, type: 'string', value: [one.version] },
    { tag: 1002, type: 'string', value: [one.release] },
    ...(one.epoch === undefined ? [] : [{ tag: 1003, type: 'int32', value: [one.epoch] } as const]),
    { tag: 1004, type: 'i18n', value: [one.summary] },
    { tag: 1005, type: 'i18n', value: [one.summary] },
    { tag: 1006, type: 'int32', value: [0] }, // build time: rpm calls a header without one bad
    { tag: 1009, type: 'int32', value: [0] },
    { tag: 1011, type: 'string', value: [one.vendor] },
    { tag: 1014, type: 'string', value: [one.license] },
    { tag: 1021, type: 'string', value: ['linux'] },
    { tag: 1022, type: 'string', value: [one.arch] },
    { tag: 1044, type: 'string', value: [one.sourceRpm] },
    ...(one.provides.length === 0 ? [] : relations(one.provides, 1112, 1047, 1113)),
    ...(one.requires.length === 0 ? [] : relations(one.requires, 1048, 1049, 1050)),
    ...(files.length === 0 ? [] : perFile),
  ]
  return values.sort((a, b) => a.tag - b.tag)
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/') + 1)
}

/** Index entries and data; `start` is where the data will lie in the whole. */
function layOut(values: readonly Value[], start: number): { readonly index: Buffer[]; readonly data: Buffer } {
  const index: Buffer[] = []
  const parts: Buffer[] = []
  let at = start
  for (const { tag, type, value } of values) {
    const { number, align } = types[type]
    const padding = (align - (at % align)) % align
    const bytes =
      type === 'int16' || type === 'int32' ? integers(value, align) : Buffer.concat(value.map((text) => Buffer.from(`${text}\0`)))
    index.push(indexEntry(tag, number, at + padding, value.length))
    parts.push(Buffer.alloc(padding), bytes)
    at += padding + bytes.length
  }
  return { index, data: Buffer.concat(parts) }
}

function integers(values: readonly number[], width: number): Buffer {
  const bytes = Buffer.alloc(values.length * width)
  for (const [n, value] of values.entries()) bytes.writeUIntBE(value, n * width, width)
  return bytes
}

function indexEntry(tag: number, type: number, offset: number, count: number): Buffer {
  const entry = Buffer.alloc(16)
  entry.writeUInt32BE(tag, 0)
  entry.writeUInt32BE(type, 4)
  entry.writeInt32BE(offset, 8)
  entry.writeUInt32BE(count, 12)
  return entry
}

function lengths(entries: number, bytes: number): Buffer {
  const both = Buffer.alloc(8)
  both.writeUInt32BE(entries, 0)
  both.writeUInt32BE(bytes, 4)
  return both
}
