/**
 * An ndb database with packages added: https://github.com/rpm-software-management/rpm/blob/rpm-4.18.0-release/lib/backend/ndb/rpmpkg.c.
 * All of it is written anew, so that the same packages on the same base give the same bytes.
 */
import { RfoError } from '../../error.ts'

const block = 16
const page = 4096
const slotsPerPage = page / 16
/** The file's own header takes the place of the first slots. */
const firstSlot = 2
const headBytes = 16
const tailBytes = 12

/** `time`: seconds, of the new blobs. The database has been read and is sound. */
export function withPackages(database: Buffer, added: readonly Buffer[], time: number): Buffer {
  if (database.length < page || database.toString('latin1', 0, 4) !== 'RpmP' || database.readUInt32LE(4) !== 0) throw bad('no ndb database')
  const oldEnd = database.readUInt32LE(12) * page
  const [generation, nextIndex] = [database.readUInt32LE(8), database.readUInt32LE(16)]
  if (oldEnd > database.length) throw bad('more slots than bytes')
  const kept: Buffer[] = []
  let largest = 0
  for (let at = firstSlot * 16; at < oldEnd; at += 16) {
    const [index, start, blocks] = [database.readUInt32LE(at + 4), database.readUInt32LE(at + 8) * block, database.readUInt32LE(at + 12)]
    if (start === 0) continue
    if (start + blocks * block > database.length) throw bad('a blob beyond its end')
    largest = Math.max(largest, index)
    kept.push(database.subarray(start, start + blocks * block))
  }
  const next = Math.max(nextIndex, largest + 1)
  const blobs = [...kept, ...added.map((header, n) => blobOf(next + n, header, time))]
  const pages = Math.max(1, Math.ceil((blobs.length + firstSlot) / slotsPerPage))
  const slots = Buffer.alloc(pages * page)
  slots.write('RpmP', 0, 'latin1')
  slots.writeUInt32LE(generation + added.length, 8)
  slots.writeUInt32LE(pages, 12)
  slots.writeUInt32LE(next + added.length, 16)
  for (let slot = firstSlot; slot < pages * slotsPerPage; slot++) slots.write('Slot', slot * 16, 'latin1')
  let at = pages * page
  for (const [n, blob] of blobs.entries()) {
    const slot = (n + firstSlot) * 16
    slots.writeUInt32LE(blob.readUInt32LE(4), slot + 4)
    slots.writeUInt32LE(at / block, slot + 8)
    slots.writeUInt32LE(blob.length / block, slot + 12)
    at += blob.length
  }
  return Buffer.concat([slots, ...blobs])
}

/** Head, data, padding to whole blocks, tail with an Adler-32 over all before it. */
function blobOf(index: number, data: Buffer, time: number): Buffer {
  const blob = Buffer.alloc(Math.ceil((headBytes + data.length + tailBytes) / block) * block)
  blob.write('BlbS', 0, 'latin1')
  blob.writeUInt32LE(index, 4)
  blob.writeUInt32LE(time, 8)
  blob.writeUInt32LE(data.length, 12)
  data.copy(blob, headBytes)
  blob.writeUInt32LE(adler32(blob.subarray(0, blob.length - tailBytes)), blob.length - 12)
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

function bad(what: string): RfoError {
  return new RfoError('RFO_RPM_DATABASE', `the base's rpm database can't be added to: ${what}`, { exit: 'untrusted' })
}
