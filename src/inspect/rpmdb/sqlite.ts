/**
 * The table `Packages(hnum INTEGER PRIMARY KEY, blob BLOB)` of an rpmdb.sqlite: https://www.sqlite.org/fileformat2.html.
 * Every page is used at most once, so a file can neither loop nor give more bytes than it has.
 */
import { RfoError } from '../../error.ts'
import { readWal } from './wal.ts'

export function isSqlite(bytes: Buffer): boolean {
  return bytes.length >= 512 && bytes.toString('latin1', 0, 16) === 'SQLite format 3\0'
}

const deepest = 32

interface Database {
  /** Bytes of a page that may hold content: the page without its reserved end. */
  readonly usable: number
  /** A page by number, from 1. Each number once. */
  page(number: number): Buffer
}

/** The header blobs in the order of hnum. `wal` is the write-ahead log beside the file. Throws RFO_INSPECT_SQLITE. */
export function readSqlite(bytes: Buffer, wal?: Buffer): Buffer[] {
  if (!isSqlite(bytes)) throw badSqlite('no SQLite format 3 at its start')
  try {
    const schema = open(bytes, wal)
    let root: number | undefined
    for (const record of rows(schema, 1, 0)) {
      const [type, name, , rootPage] = record
      if (text(type) === 'table' && text(name) === 'Packages' && typeof rootPage === 'number') root = rootPage
    }
    if (root === undefined) throw badSqlite('no table Packages')
    const found: Buffer[] = []
    // sqlite_schema has been read to its end: its pages are nobody else's
    for (const record of rows(schema, root, 0)) {
      const blob = record[1]
      if (!Buffer.isBuffer(blob)) throw badSqlite('a row of Packages without a blob')
      found.push(blob)
    }
    return found
  } catch (thrown) {
    // a read beyond a page
    if (thrown instanceof RangeError) throw badSqlite('an offset beyond its page', thrown)
    throw thrown
  }
}

function open(bytes: Buffer, wal: Buffer | undefined): Database {
  const stored = bytes.readUInt16BE(16)
  const size = stored === 1 ? 65536 : stored
  const usable = size - bytes.readUInt8(20)
  if (size < 512 || (size & (size - 1)) !== 0 || usable < 480) throw badSqlite(`a page size of ${stored}`)
  const newer = wal === undefined ? new Map<number, Buffer>() : readWal(wal, size)
  const used = new Set<number>()
  return {
    usable,
    page(number) {
      if (used.has(number)) throw badSqlite(`page ${number} is used twice`)
      used.add(number)
      const page = newer.get(number) ?? bytes.subarray((number - 1) * size, number * size)
      if (number < 1 || page.length !== size) throw badSqlite(`no page ${number}`)
      return page
    },
  }
}

type Value = null | number | Buffer

function* rows(database: Database, number: number, depth: number): Generator<Value[]> {
  if (depth > deepest) throw badSqlite('a tree deeper than any')
  const page = database.page(number)
  const start = number === 1 ? 100 : 0
  const kind = page.readUInt8(start)
  const cells = page.readUInt16BE(start + 3)
  if (kind === 5) {
    for (let n = 0; n < cells; n++) yield* rows(database, page.readUInt32BE(page.readUInt16BE(start + 12 + 2 * n)), depth + 1)
    yield* rows(database, page.readUInt32BE(start + 8), depth + 1)
  } else if (kind === 13) {
    const seen = new Set<number>()
    for (let n = 0; n < cells; n++) {
      const at = page.readUInt16BE(start + 8 + 2 * n)
      if (seen.has(at)) throw badSqlite('a cell that is used twice')
      seen.add(at)
      yield recordOf(payload(database, page, at))
    }
  } else throw badSqlite(`page ${number} is of kind ${kind}, not of a table`)
}

/** https://www.sqlite.org/fileformat2.html#b_tree_pages, "payload overflow": how much lies in the cell, how much in a chain. */
function payload(database: Database, page: Buffer, cell: number): Buffer {
  const { usable } = database
  const [length, afterLength] = varint(page, cell)
  const [, start] = varint(page, afterLength)
  const most = usable - 35
  const least = Math.floor(((usable - 12) * 32) / 255) - 23
  const fitting = least + ((length - least) % (usable - 4))
  const local = length <= most ? length : fitting <= most ? fitting : least
  if (start + local > usable) throw badSqlite('a cell that leaves its page')
  const parts = [page.subarray(start, start + local)]
  let left = length - local
  for (let next = left > 0 ? page.readUInt32BE(start + local) : 0; left > 0; ) {
    const overflow = database.page(next)
    const taken = Math.min(left, usable - 4)
    parts.push(overflow.subarray(4, 4 + taken))
    left -= taken
    next = overflow.readUInt32BE(0)
  }
  return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)
}

/** https://www.sqlite.org/fileformat2.html#record_format */
function recordOf(body: Buffer): Value[] {
  const [headerLength, afterLength] = varint(body, 0)
  const values: Value[] = []
  let at = afterLength
  let data = headerLength
  while (at < headerLength) {
    const [kind, next] = varint(body, at)
    at = next
    const length = kind >= 12 ? Math.floor((kind - 12) / 2) : (widths[kind] ?? 0)
    if (data + length > body.length) throw badSqlite('a record that leaves its cell')
    if (kind >= 12) values.push(body.subarray(data, data + length))
    else if (kind === 8 || kind === 9) values.push(kind - 8)
    else if (kind >= 1 && kind <= 5) values.push(body.readIntBE(data, length))
    else values.push(null) // NULL, a 64-bit number or a float: nothing that rpm has in these columns
    data += length
  }
  return values
}

/** bytes of serial types 0 to 9 */
const widths = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0]

/** Up to 9 bytes, big endian; more than 2^53 is no length of anything here. */
function varint(bytes: Buffer, start: number): readonly [value: number, next: number] {
  let value = 0
  for (let n = 0; n < 8; n++) {
    const byte = bytes.readUInt8(start + n)
    value = value * 128 + (byte & 0x7f)
    if (byte < 0x80) return [value, start + n + 1]
    if (value > Number.MAX_SAFE_INTEGER) break
  }
  throw badSqlite('a number that is too big')
}

function text(value: Value | undefined): string {
  return Buffer.isBuffer(value) ? value.toString('utf8') : ''
}

function badSqlite(what: string, cause?: unknown): RfoError {
  return new RfoError('RFO_INSPECT_SQLITE', `the sqlite database can't be read: ${what}`, { exit: 'untrusted', cause })
}
