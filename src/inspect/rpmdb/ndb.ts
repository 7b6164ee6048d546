/**
 * rpm's own "new database", Packages.db, which openEuler uses: little endian, slots of 16 bytes in pages of 4096, blobs
 * in blocks of 16. https://github.com/rpm-software-management/rpm/blob/rpm-4.18.0-release/lib/backend/ndb/rpmpkg.c
 */
import { RfoError } from '../../error.ts'

const block = 16
const page = 4096
/** magic, pkgidx, time stamp, length */
const blobHead = 16
/** adler32, length, magic */
const blobTail = 12

export function isNdb(bytes: Buffer): boolean {
  return bytes.length >= 32 && bytes.toString('latin1', 0, 4) === 'RpmP'
}

/** The header blobs, in the order of their slots. Throws RFO_INSPECT_NDB. */
export function readNdb(bytes: Buffer): Buffer[] {
  if (!isNdb(bytes)) throw badNdb('no RpmP at its start')
  if (bytes.readUInt32LE(4) !== 0) throw badNdb(`version ${bytes.readUInt32LE(4)}, and only 0 is known`)
  const pages = bytes.readUInt32LE(12)
  if (pages === 0 || pages * page > bytes.length) throw badNdb(`${pages} pages of slots in ${bytes.length} bytes`)
  const slots: { readonly index: number; readonly start: number; readonly end: number }[] = []
  // the first two slots are the file's own header
  for (let at = 2 * 16; at < pages * page; at += 16) {
    if (bytes.toString('latin1', at, at + 4) !== 'Slot') throw badNdb(`no slot at ${at}`)
    const index = bytes.readUInt32LE(at + 4)
    const start = bytes.readUInt32LE(at + 8) * block
    const end = start + bytes.readUInt32LE(at + 12) * block
    if (start === 0) continue // free
    if (index === 0 || start < pages * page || end > bytes.length || end - start < blobHead + blobTail) throw badNdb(`a bad slot at ${at}`)
    slots.push({ index, start, end })
  }
  let last = 0
  for (const { start, end } of [...slots].sort((a, b) => a.start - b.start)) {
    if (start < last) throw badNdb('two slots that overlap')
    last = end
  }
  if (new Set(slots.map(({ index }) => index)).size !== slots.length) throw badNdb('two slots for one package')
  return slots.map(({ index, start, end }) => {
    const length = bytes.readUInt32LE(start + 12)
    const good =
      bytes.toString('latin1', start, start + 4) === 'BlbS' &&
      bytes.readUInt32LE(start + 4) === index &&
      Math.ceil((blobHead + length + blobTail) / block) * block === end - start &&
      bytes.readUInt32LE(end - 8) === length &&
      bytes.toString('latin1', end - 4, end) === 'BlbE'
    if (!good) throw badNdb(`no blob of package ${index} at ${start}`)
    return bytes.subarray(start + blobHead, start + blobHead + length)
  })
}

function badNdb(what: string): RfoError {
  return new RfoError('RFO_INSPECT_NDB', `the ndb database can't be read: ${what}`, { exit: 'untrusted' })
}
