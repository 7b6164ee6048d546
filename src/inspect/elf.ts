/** The little of ELF that is needed to find things in it: https://gabi.xinuos.com. Offsets and sizes are bytes; all are checked. */

export type ReadAt = (offset: number, length: number) => Buffer | Promise<Buffer>

export interface ElfSegment {
  readonly type: number
  readonly flags: number
  readonly offset: number
  readonly address: number
  readonly fileSize: number
}

export interface ElfSection {
  readonly name: string
  readonly offset: number
  readonly size: number
}

export interface Elf {
  /** e_type: 2 is an executable, 3 a shared object (or position independent executable) */
  readonly type: number
  readonly machine: number
  readonly segments: readonly ElfSegment[]
  /** Empty when the table was stripped or makes no sense. */
  readonly sections: readonly ElfSection[]
}

export const elfMagic = Buffer.from('\x7fELF', 'latin1')
export const elfTypes = { executable: 2, sharedObject: 3 } as const
export const segmentTypes = { load: 1 } as const
export const segmentFlags = { execute: 1, write: 2 } as const

/** bytes of section names that are read */
const mostNames = 1024 * 1024

/** undefined = no ELF file, or one cut short. Never throws for what the bytes are. */
export async function readElf(read: ReadAt): Promise<Elf | undefined> {
  const head = await read(0, 64)
  if (head.length < 52 || !head.subarray(0, 4).equals(elfMagic)) return undefined
  const wide = head[4] === 2
  const little = head[5] === 1
  if (wide ? head.length < 64 : head[4] !== 1) return undefined
  const u16 = (at: number, from = head): number => (little ? from.readUInt16LE(at) : from.readUInt16BE(at))
  const u32 = (at: number, from = head): number => (little ? from.readUInt32LE(at) : from.readUInt32BE(at))
  const word = (at: number, from = head): number => {
    if (!wide) return u32(at, from)
    const value = little ? from.readBigUInt64LE(at) : from.readBigUInt64BE(at)
    return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value)
  }
  const table = async (start: number, entrySize: number, count: number, least: number): Promise<Buffer[]> => {
    if (entrySize < least || count === 0 || start === 0) return []
    const bytes = await read(start, entrySize * count)
    return bytes.length < entrySize * count
      ? []
      : Array.from({ length: count }, (_, n) => bytes.subarray(n * entrySize, (n + 1) * entrySize))
  }
  const segments = (await table(word(wide ? 32 : 28), u16(wide ? 54 : 42), u16(wide ? 56 : 44), wide ? 56 : 32)).map((entry) => ({
    type: u32(0, entry),
    flags: u32(wide ? 4 : 24, entry),
    offset: word(wide ? 8 : 4, entry),
    address: word(wide ? 16 : 8, entry),
    fileSize: word(wide ? 32 : 16, entry),
  }))
  const raw = (await table(word(wide ? 40 : 32), u16(wide ? 58 : 46), u16(wide ? 60 : 48), wide ? 64 : 40)).map((entry) => ({
    name: u32(0, entry),
    offset: word(wide ? 24 : 16, entry),
    size: word(wide ? 32 : 20, entry),
  }))
  const namesAt = raw[u16(wide ? 62 : 50)]
  const names = namesAt === undefined || namesAt.size > mostNames ? Buffer.alloc(0) : await read(namesAt.offset, namesAt.size)
  const nameOf = (at: number): string => {
    // no name of interest is longer; without the bound 65,535 sections could share one long name
    const end = names.indexOf(0, at)
    return at >= names.length || end < 0 ? '' : names.toString('latin1', at, Math.min(end, at + 64))
  }
  return { type: u16(16), machine: u16(18), segments, sections: raw.map(({ name, ...rest }) => ({ name: nameOf(name), ...rest })) }
}
