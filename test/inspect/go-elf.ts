/** Small programs with Go's build info, in both of its forms. */

/** As go1.17 and older linked it: pointers to string headers in the data segment. */
export function pointerProgram(big: boolean, version: string, modules: string): Buffer {
  const { bytes, u64, info } = program(big)
  const base = 0x400000
  bytes[info + 15] = big ? 1 : 0
  u64(base + 256, info + 16)
  u64(base + 272, info + 24)
  for (const [header, at, text] of [
    [256, 512, version],
    [272, 600, framed(modules)],
  ] as const) {
    u64(base + at, 1024 + header)
    u64(Buffer.byteLength(text), 1024 + header + 8)
    bytes.write(text, 1024 + at)
  }
  return bytes
}

/** As Go has linked it since 1.18: the strings themselves. */
export function inlineProgram(version: string, modules: string): Buffer {
  const { bytes, info } = program(false)
  bytes[info + 15] = 2
  let at = info + 32
  for (const text of [version, framed(modules)]) {
    let length = Buffer.byteLength(text)
    for (; length >= 0x80; length >>>= 7) bytes[at++] = (length & 0x7f) | 0x80
    bytes[at++] = length
    at += bytes.write(text, at)
  }
  return bytes
}

/** One loaded segment that can be written, and no sections. */
function program(big: boolean) {
  const bytes = Buffer.alloc(4096)
  const u16 = (value: number, at: number): unknown => (big ? bytes.writeUInt16BE(value, at) : bytes.writeUInt16LE(value, at))
  const u32 = (value: number, at: number): unknown => (big ? bytes.writeUInt32BE(value, at) : bytes.writeUInt32LE(value, at))
  const u64 = (value: number, at: number): unknown =>
    big ? bytes.writeBigUInt64BE(BigInt(value), at) : bytes.writeBigUInt64LE(BigInt(value), at)
  bytes.write('\x7fELF\x02', 0, 'latin1')
  bytes[5] = big ? 2 : 1
  u16(2, 16)
  u16(183, 18)
  u64(64, 32)
  u16(56, 54)
  u16(1, 56)
  u32(1, 64)
  u32(6, 68)
  u64(1024, 72)
  u64(0x400000, 80)
  u64(3072, 96)
  const info = 1024 + 32
  bytes.write('\xff Go buildinf:', info, 'latin1')
  bytes[info + 14] = 8
  return { bytes, u64, info }
}

function framed(modules: string): string {
  return `${'<'.repeat(16)}${modules}${'>'.repeat(16)}`
}
