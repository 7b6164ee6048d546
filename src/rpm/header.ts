/**
 * Headers of an RPM, written: https://rpm-software-management.github.io/rpm/manual/format_v4.html#header-format. An index
 * of (tag, type, offset, count), then the data; everything big endian.
 */

/** https://rpm-software-management.github.io/rpm/manual/tags.html */
export const tags = {
  headerSignatures: 62,
  headerImmutable: 63,
  headerI18nTable: 100,
  name: 1000,
  version: 1001,
  release: 1002,
  epoch: 1003,
  summary: 1004,
  description: 1005,
  buildTime: 1006,
  buildHost: 1007,
  size: 1009,
  vendor: 1011,
  license: 1014,
  packager: 1015,
  group: 1016,
  source: 1018,
  url: 1020,
  os: 1021,
  arch: 1022,
  fileSizes: 1028,
  fileModes: 1030,
  fileRdevs: 1033,
  fileMtimes: 1034,
  fileDigests: 1035,
  fileLinktos: 1036,
  fileFlags: 1037,
  fileUserName: 1039,
  fileGroupName: 1040,
  sourceRpm: 1044,
  fileVerifyFlags: 1045,
  provideName: 1047,
  requireFlags: 1048,
  requireName: 1049,
  requireVersion: 1050,
  conflictFlags: 1053,
  conflictName: 1054,
  conflictVersion: 1055,
  exclusiveArch: 1061,
  rpmVersion: 1064,
  changelogTime: 1080,
  changelogName: 1081,
  changelogText: 1082,
  buildArchs: 1089,
  obsoleteName: 1090,
  fileDevices: 1095,
  fileInodes: 1096,
  fileLangs: 1097,
  sourcePackage: 1106,
  provideFlags: 1112,
  provideVersion: 1113,
  obsoleteFlags: 1114,
  obsoleteVersion: 1115,
  dirIndexes: 1116,
  baseNames: 1117,
  dirNames: 1118,
  payloadFormat: 1124,
  payloadCompressor: 1125,
  payloadFlags: 1126,
  platform: 1132,
  fileDigestAlgorithm: 5011,
  encoding: 5062,
  payloadDigest: 5092,
  payloadDigestAlgorithm: 5093,
  payloadDigestAlt: 5097,
} as const

/** Of the signature header, whose numbers are its own where they are above 999. */
export const signatureTags = {
  dsa: 267,
  rsa: 268,
  sha1: 269,
  sha256: 273,
  size: 1000,
  md5: 1004,
  payloadSize: 1007,
  reserved: 1008,
} as const

/** RFC 4880's number of SHA-256, in every "algorithm" tag */
export const sha256Number = 8

export type Entry = readonly [tag: number, value: Value]
export type Value =
  | { readonly type: 'int16' | 'int32'; readonly values: readonly number[] }
  | { readonly type: 'string'; readonly text: string }
  /** `i18n`: one string a locale of tag 100 */
  | { readonly type: 'strings' | 'i18n'; readonly texts: readonly string[] }
  | { readonly type: 'bin'; readonly bytes: Uint8Array }

export const text = (value: string): Value => ({ type: 'string', text: value })
export const texts = (values: readonly string[]): Value => ({ type: 'strings', texts: values })
export const numbers = (values: readonly number[]): Value => ({ type: 'int32', values })

const types = { int16: 3, int32: 4, string: 6, bin: 7, strings: 8, i18n: 9 } as const
const widths = { int16: 2, int32: 4 } as const
/** rpm's own name of a header's first bytes: magic and version 1 */
export const headerMagic = 0x8eade801

/** Entries without values are left out: rpm refuses a count of 0. `region` covers all of them, which makes them immutable. */
export function encodeHeader(region: typeof tags.headerSignatures | typeof tags.headerImmutable, entries: readonly Entry[]): Buffer {
  const index: Buffer[] = []
  const data: Buffer[] = []
  let offset = 0
  for (const [tag, value] of [...entries].sort((a, b) => a[0] - b[0])) {
    const { bytes, count } = encode(value)
    if (count === 0) continue
    const alignment = value.type === 'int16' || value.type === 'int32' ? widths[value.type] : 1
    const fill = (alignment - (offset % alignment)) % alignment
    data.push(Buffer.alloc(fill), bytes)
    index.push(indexEntry(tag, types[value.type], offset + fill, count))
    offset += fill + bytes.length
  }
  const length = (index.length + 1) * 16
  const start = Buffer.alloc(16)
  start.writeUInt32BE(headerMagic, 0)
  start.writeUInt32BE(index.length + 1, 8)
  start.writeUInt32BE(offset + 16, 12)
  // the region's own data is an index entry again, whose offset says, negative, how long the index is
  return Buffer.concat([start, indexEntry(region, types.bin, offset, 16), ...index, ...data, indexEntry(region, types.bin, -length, 16)])
}

function indexEntry(tag: number, type: number, offset: number, count: number): Buffer {
  const entry = Buffer.alloc(16)
  entry.writeUInt32BE(tag, 0)
  entry.writeUInt32BE(type, 4)
  entry.writeInt32BE(offset, 8)
  entry.writeUInt32BE(count, 12)
  return entry
}

function encode(value: Value): { readonly bytes: Buffer; readonly count: number } {
  switch (value.type) {
    case 'int16':
    case 'int32': {
      const width = widths[value.type]
      const bytes = Buffer.alloc(width * value.values.length)
      value.values.forEach((each, n) => {
        bytes.writeUIntBE(each, n * width, width)
      })
      return { bytes, count: value.values.length }
    }
    case 'string':
      return { bytes: Buffer.from(`${value.text}\0`), count: 1 }
    case 'strings':
    case 'i18n':
      return { bytes: Buffer.from(value.texts.map((each) => `${each}\0`).join('')), count: value.texts.length }
    case 'bin':
      return { bytes: Buffer.from(value.bytes), count: value.bytes.length }
  }
}
