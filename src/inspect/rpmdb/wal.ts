/**
 * SQLite's write-ahead log: https://www.sqlite.org/fileformat2.html#the_write_ahead_log. rpm keeps its database in WAL
 * mode, and an image built without a checkpoint has packages that stand here alone.
 */

const headerBytes = 32
const frameHeaderBytes = 24

/**
 * The pages that the log replaces. Like SQLite it takes frames up to the last commit, and stops at the first frame whose
 * salt or checksum is wrong: what follows is left over from an earlier round and no error.
 */
export function readWal(wal: Buffer, pageSize: number): Map<number, Buffer> {
  const pages = new Map<number, Buffer>()
  if (wal.length < headerBytes) return pages
  const magic = wal.readUInt32BE(0)
  if ((magic & ~1) >>> 0 !== 0x377f0682 || wal.readUInt32BE(8) !== pageSize) return pages
  const bigEndian = (magic & 1) === 1
  let sum = checksum(wal.subarray(0, 24), [0, 0], bigEndian)
  if (sum[0] !== wal.readUInt32BE(24) || sum[1] !== wal.readUInt32BE(28)) return pages
  const salt = wal.subarray(16, 24)
  const pending = new Map<number, Buffer>()
  for (let at = headerBytes; at + frameHeaderBytes + pageSize <= wal.length; at += frameHeaderBytes + pageSize) {
    if (!wal.subarray(at + 8, at + 16).equals(salt)) break
    const body = wal.subarray(at + frameHeaderBytes, at + frameHeaderBytes + pageSize)
    sum = checksum(body, checksum(wal.subarray(at, at + 8), sum, bigEndian), bigEndian)
    if (sum[0] !== wal.readUInt32BE(at + 16) || sum[1] !== wal.readUInt32BE(at + 20)) break
    pending.set(wal.readUInt32BE(at), body)
    if (wal.readUInt32BE(at + 4) === 0) continue
    for (const [number, page] of pending) pages.set(number, page)
    pending.clear()
  }
  return pages
}

type Sum = readonly [number, number]

/** https://www.sqlite.org/fileformat2.html#checksum_algorithm */
function checksum(bytes: Buffer, start: Sum, bigEndian: boolean): Sum {
  let [first, second] = start
  for (let at = 0; at + 8 <= bytes.length; at += 8) {
    first = (first + (bigEndian ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at)) + second) >>> 0
    second = (second + (bigEndian ? bytes.readUInt32BE(at + 4) : bytes.readUInt32LE(at + 4)) + first) >>> 0
  }
  return [first, second]
}
