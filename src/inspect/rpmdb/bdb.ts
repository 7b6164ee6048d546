/**
 * The Berkeley DB hash file `Packages` of rpm before 4.16, which mirrored images on older bases still have. Only what rpm
 * writes is read: values that lie on overflow pages (H_OFFPAGE). Layout: Berkeley DB's dbinc/db_page.h, hash version 8+.
 */
import { RfoError } from '../../error.ts'

const hashMagic = 0x00061561
const pageHeader = 26

export function isBdb(bytes: Buffer): boolean {
  return bytes.length >= 512 && (bytes.readUInt32LE(12) === hashMagic || bytes.readUInt32BE(12) === hashMagic)
}

/** The header blobs in the order of their pages. Throws RFO_INSPECT_BDB. */
export function readBdb(bytes: Buffer): Buffer[] {
  if (!isBdb(bytes)) throw badBdb('it is no hash file')
  const little = bytes.readUInt32LE(12) === hashMagic
  const u16 = (at: number): number => (little ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at))
  const u32 = (at: number): number => (little ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at))
  const size = u32(20)
  if (size < 512 || size > 65536 || (size & (size - 1)) !== 0) throw badBdb(`a page size of ${size}`)
  const pages = Math.floor(bytes.length / size)
  // each overflow page belongs to one value: no loop, and no more bytes out than in
  const used = new Set<number>()

  const value = (first: number, length: number): Buffer => {
    const parts: Buffer[] = []
    for (let number = first; number !== 0; ) {
      if (number >= pages || used.has(number)) throw badBdb(`page ${number} is used twice or is not there`)
      used.add(number)
      const at = number * size
      const next = u32(at + 16)
      const filled = next === 0 ? u16(at + 22) : size - pageHeader
      if (filled > size - pageHeader) throw badBdb(`page ${number} says it holds more than a page`)
      parts.push(bytes.subarray(at + pageHeader, at + pageHeader + filled))
      number = next
    }
    const whole = Buffer.concat(parts)
    if (whole.length !== length) throw badBdb(`a value of ${whole.length} bytes that should have ${length}`)
    return whole
  }

  const found: Buffer[] = []
  for (let number = 1; number < pages; number++) {
    const at = number * size
    const kind = bytes.readUInt8(at + 25)
    // 13 is a hash page, 2 one from before it was sorted; all others are reached from these or are bookkeeping
    if (kind !== 13 && kind !== 2) continue
    const entries = u16(at + 20)
    if (pageHeader + entries * 2 > size) throw badBdb(`page ${number} has more entries than fit`)
    for (let entry = 1; entry < entries; entry += 2) {
      const item = u16(at + pageHeader + entry * 2)
      if (item >= size) throw badBdb(`an entry of page ${number} leaves it`)
      if (bytes.readUInt8(at + item) !== 3) continue // a value in place is too small for a header: rpm's own counter
      if (item + 12 > size) throw badBdb(`an entry of page ${number} leaves it`)
      found.push(value(u32(at + item + 4), u32(at + item + 8)))
    }
  }
  return found
}

function badBdb(what: string): RfoError {
  return new RfoError('RFO_INSPECT_BDB', `the Berkeley DB database can't be read: ${what}`, { exit: 'untrusted' })
}
