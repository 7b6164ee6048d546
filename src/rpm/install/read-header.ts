/**
 * A header, read: of an RPM or as a database has it, which leaves the 8 bytes of magic and version out. The bytes come from
 * outside: every offset and count is checked. https://rpm-software-management.github.io/rpm/manual/format_v4.html#header-format
 */
import { RfoError } from '../../error.ts'
import { headerMagic } from '../header.ts'

export interface Header {
  /** types 6 (string), 8 (array of strings), 9 (one per locale); none = no such tag */
  strings(tag: number): readonly string[]
  /** the first string; '' = no such tag */
  text(tag: number): string
  /** types 2 to 4: 8, 16 and 32 bits, unsigned */
  numbers(tag: number): readonly number[]
  has(tag: number): boolean
  /** the entry as it lies there, for whoever copies it */
  raw(tag: number): { readonly type: number; readonly count: number; readonly bytes: Buffer } | undefined
  /** index and data without magic, as a database has them */
  readonly index: Buffer
  readonly data: Buffer
}

/** rpm's own limits: lib/header.c, hdrchkTags and hdrchkData */
export const mostTags = 0xffff
export const mostData = 0x0fffffff
const widths: Readonly<Record<number, number>> = { 1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1 }

interface Entry {
  readonly type: number
  readonly offset: number
  readonly count: number
}

/** Throws RFO_RPM_HEADER. */
export function readHeader(blob: Buffer): Header {
  const start = blob.length >= 8 && blob.readUInt32BE(0) === headerMagic ? 8 : 0
  if (blob.length < start + 8) throw bad('it is shorter than its own length fields')
  const [tags, length] = [blob.readUInt32BE(start), blob.readUInt32BE(start + 4)]
  const dataStart = start + 8 + tags * 16
  if (tags > mostTags || length > mostData || dataStart + length > blob.length) throw bad('its lengths are more than its bytes')
  const index = blob.subarray(start + 8, dataStart)
  const data = blob.subarray(dataStart, dataStart + length)
  const entries = new Map<number, Entry>()
  for (let at = 0; at < index.length; at += 16) {
    // a tag may stand in the package's own region and again behind it, changed at installation: the later one counts
    entries.set(index.readUInt32BE(at), {
      type: index.readUInt32BE(at + 4),
      offset: index.readUInt32BE(at + 8),
      count: index.readUInt32BE(at + 12),
    })
  }

  const stringsAt = (tag: number): { readonly found: readonly string[]; readonly end: number } => {
    const entry = entries.get(tag)
    if (entry === undefined) return { found: [], end: 0 }
    const { type, offset, count } = entry
    if (type !== 6 && type !== 8 && type !== 9) throw bad(`tag ${tag} has type ${type}, not a string`)
    if (offset > data.length || count > data.length - offset) throw bad(`tag ${tag} has more strings than bytes`)
    const found: string[] = []
    let at = offset
    for (let n = 0; n < count; n++) {
      const end = data.indexOf(0, at)
      if (end < 0) throw bad(`tag ${tag} has a string without an end`)
      found.push(data.toString('utf8', at, end))
      at = end + 1
    }
    return { found, end: at }
  }

  return {
    strings: (tag) => stringsAt(tag).found,
    text: (tag) => stringsAt(tag).found[0] ?? '',
    numbers(tag) {
      const entry = entries.get(tag)
      if (entry === undefined) return []
      const { type, offset, count } = entry
      const width = type >= 2 && type <= 4 ? widths[type] : undefined
      if (width === undefined) throw bad(`tag ${tag} has type ${type}, not a number`)
      if (offset > data.length || count > (data.length - offset) / width) throw bad(`tag ${tag} has more numbers than bytes`)
      return Array.from({ length: count }, (_, n) => data.readUIntBE(offset + n * width, width))
    },
    has: (tag) => entries.has(tag),
    raw(tag) {
      const entry = entries.get(tag)
      if (entry === undefined) return undefined
      const { type, offset, count } = entry
      const width = widths[type]
      const end = width === undefined ? stringsAt(tag).end : offset + count * width
      if (end > data.length) throw bad(`tag ${tag} has more values than bytes`)
      return { type, count, bytes: data.subarray(offset, end) }
    },
    index,
    data,
  }
}

function bad(what: string): RfoError {
  return new RfoError('RFO_RPM_HEADER', `an RPM's header can't be read: ${what}`, { exit: 'untrusted' })
}
