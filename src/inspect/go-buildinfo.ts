/**
 * What Go's linker says of a program: https://pkg.go.dev/debug/buildinfo. Found by section, or by scanning the data
 * segment when sections are stripped; inline strings since go1.18, pointers to Go strings before.
 */
import { type Elf, type ReadAt, readElf, segmentFlags, segmentTypes } from './elf.ts'
import { type GoModuleInfo, parseModuleInfo } from './go-modinfo.ts'

export interface GoBuildInfo extends GoModuleInfo {
  /** `go1.26.8`, with experiments behind it where there are any */
  readonly goVersion: string
  /** e_machine of the ELF header */
  readonly machine: number
}

const magic = Buffer.from('\xff Go buildinf:', 'latin1')
const align = 16
const headerBytes = 32
/** bytes of a data segment that are scanned, and of the module text that are read; etcd's is 20 KiB */
const mostScanned = 1024 * 1024
const mostText = 4 * 1024 * 1024

/** undefined = no ELF file, or one without build info. `read` gives fewer bytes than asked at the end of the file. */
export async function readGoBuildInfo(read: ReadAt, size: number): Promise<GoBuildInfo | undefined> {
  const bounded: ReadAt = (offset, length) =>
    offset >= size || length <= 0 ? Buffer.alloc(0) : read(offset, Math.min(length, size - offset, mostText))
  const elf = await readElf(bounded)
  if (elf === undefined) return undefined
  const at = await findHeader(elf, bounded)
  if (at === undefined) return undefined
  const header = await bounded(at, headerBytes)
  if (header.length < headerBytes) return undefined
  const flags = header.readUInt8(15)
  const found = (flags & 2) !== 0 ? await inline(bounded, at + headerBytes) : await pointers(elf, bounded, header)
  if (found === undefined) return undefined
  const goVersion = found.version.toString('utf8')
  return goVersion === '' ? undefined : { goVersion, machine: elf.machine, ...parseModuleInfo(unframed(found.modules)) }
}

async function findHeader(elf: Elf, read: ReadAt): Promise<number | undefined> {
  const section = elf.sections.find(({ name }) => name === '.go.buildinfo')
  const places =
    section === undefined
      ? elf.segments
          .filter(
            ({ type, flags }) => type === segmentTypes.load && (flags & (segmentFlags.execute | segmentFlags.write)) === segmentFlags.write,
          )
          .map(({ offset, fileSize }) => ({ offset, size: fileSize }))
          .slice(0, 4)
      : [section]
  for (const { offset, size } of places) {
    const bytes = await read(offset, Math.min(size, mostScanned))
    for (let at = bytes.indexOf(magic); at >= 0; at = bytes.indexOf(magic, at + 1)) {
      if (at % align === 0) return offset + at
    }
  }
  return undefined
}

interface Strings {
  readonly version: Buffer
  readonly modules: Buffer
}

/** Two strings with their lengths as varints in front. */
async function inline(read: ReadAt, start: number): Promise<Strings | undefined> {
  const first = await stringAt(read, start)
  const second = first === undefined ? undefined : await stringAt(read, first.end)
  return first === undefined || second === undefined ? undefined : { version: first.bytes, modules: second.bytes }
}

async function stringAt(read: ReadAt, start: number): Promise<{ readonly bytes: Buffer; readonly end: number } | undefined> {
  const head = await read(start, 10)
  let length = 0
  for (const [n, byte] of head.entries()) {
    length += (byte & 0x7f) * 2 ** (7 * n)
    if (byte >= 0x80) continue
    if (length > mostText) return undefined
    const bytes = await read(start + n + 1, length)
    return bytes.length === length ? { bytes, end: start + n + 1 + length } : undefined
  }
  return undefined
}

/** Before go1.18: addresses of two Go string headers (address, length), in the program's own pointer size and order. */
async function pointers(elf: Elf, read: ReadAt, header: Buffer): Promise<Strings | undefined> {
  const width = header.readUInt8(14)
  if (width !== 4 && width !== 8) return undefined
  const big = (header.readUInt8(15) & 1) !== 0
  const pointer = (bytes: Buffer, at: number): number => {
    if (width === 4) return big ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at)
    return Number(big ? bytes.readBigUInt64BE(at) : bytes.readBigUInt64LE(at))
  }
  const atAddress = async (address: number, length: number): Promise<Buffer | undefined> => {
    const segment = elf.segments.find(
      (one) => one.type === segmentTypes.load && address >= one.address && address < one.address + one.fileSize,
    )
    if (segment === undefined || length > mostText) return undefined
    const bytes = await read(segment.offset + address - segment.address, length)
    return bytes.length === length ? bytes : undefined
  }
  const string = async (address: number): Promise<Buffer | undefined> => {
    const head = await atAddress(address, 2 * width)
    return head === undefined ? undefined : atAddress(pointer(head, 0), pointer(head, width))
  }
  const version = await string(pointer(header, 16))
  // a program without modules has no second string
  const modules = (await string(pointer(header, 16 + width))) ?? Buffer.alloc(0)
  return version === undefined ? undefined : { version, modules }
}

/** The module text stands between 16 bytes that mark its start and 16 that mark its end. */
function unframed(modules: Buffer): string {
  const framed = modules.length >= 33 && modules[modules.length - 17] === 0x0a
  return framed ? modules.toString('utf8', 16, modules.length - 16) : ''
}
