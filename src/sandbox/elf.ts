/**
 * Stand-in programs: the smallest honest ELF that says what it stands in for. Static, no libc, no section table; two
 * system calls: write(1, text), exit_group(0). https://gabi.xinuos.com/elf/02-eheader.html
 */
import { RfoError } from '../error.ts'
import { type Architecture, architectures } from '../oci/platform.ts'

/** Where the file is mapped; a multiple of every page size in use (4, 16 and 64 KiB). */
const address = 0x400000
const pageSize = 0x10000
const elfHeaderSize = 64
const programHeaderSize = 56
const codeAt = elfHeaderSize + 2 * programHeaderSize
/** riscv64 loads the length by one `addi`, whose immediate is a signed 12-bit number: the smallest limit of all. */
const maxTextBytes = 2047

/**
 * Machine code for `length` bytes of text that follow the code at once; system call numbers from the kernel's tables. An
 * architecture that is not here gets a program that says who it is to whoever reads it, and ends by an illegal instruction.
 */
const code: Readonly<Partial<Record<Architecture, (length: number) => Buffer>>> = {
  amd64: (length) => {
    const bytes = Buffer.from(
      'bf01000000' + // mov edi, 1
        '488d3500000000' + // lea rsi, [rip + text]
        'ba00000000' + // mov edx, length
        'b801000000' + // mov eax, 1 (write)
        '0f05' + // syscall
        '31ff' + // xor edi, edi
        'b8e7000000' + // mov eax, 231 (exit_group)
        '0f05', // syscall
      'hex',
    )
    bytes.writeInt32LE(bytes.length - 12, 8) // rip is the address of the next instruction, byte 12
    bytes.writeUInt32LE(length, 13)
    return bytes
  },
  arm64: (length) => {
    const words = [
      0xd2800020, // mov x0, #1
      0x10000001 | ((7 * 4) << 3), // adr x1, text: seven instructions on, in bits 5 to 23, in steps of 4 bytes
      0xd2800002 | (length << 5), // mov x2, #length
      0xd2800808, // mov x8, #64 (write)
      0xd4000001, // svc #0
      0xd2800000, // mov x0, #0
      0xd2800bc8, // mov x8, #94 (exit_group)
      0xd4000001, // svc #0
    ]
    return little(words)
  },
  riscv64: (length) => {
    const words = [
      0x00100513, // li a0, 1
      0x00000597, // auipc a1, 0
      0x00058593 | ((8 * 4) << 20), // addi a1, a1, text: eight instructions on from the auipc
      0x00000613 | (length << 20), // li a2, length
      0x04000893, // li a7, 64 (write)
      0x00000073, // ecall
      0x00000513, // li a0, 0
      0x05e00893, // li a7, 94 (exit_group)
      0x00000073, // ecall
    ]
    return little(words)
  },
}

function little(words: readonly number[]): Buffer {
  const bytes = Buffer.alloc(words.length * 4)
  words.forEach((word, index) => {
    bytes.writeUInt32LE(word >>> 0, index * 4)
  })
  return bytes
}

/** A program for `architecture` that prints `text` (at most 2047 bytes of UTF-8) whatever its arguments, and ends with 0. */
export function standInProgram(architecture: Architecture, text: string): Buffer {
  const data = Buffer.from(text, 'utf8')
  if (data.length > maxTextBytes) {
    throw new RfoError('RFO_SANDBOX_TEXT', `a stand-in program says at most ${maxTextBytes} bytes, not ${data.length}`, { exit: 'bug' })
  }
  const program = code[architecture]?.(data.length) ?? Buffer.alloc(8)
  const size = codeAt + program.length + data.length
  const head = Buffer.alloc(codeAt)
  head.write('\x7fELF', 0, 'latin1')
  head.set([2, 1, 1], 4) // ELFCLASS64, ELFDATA2LSB, EV_CURRENT; ELFOSABI_NONE
  head.writeUInt16LE(2, 16) // e_type ET_EXEC
  head.writeUInt16LE(architectures[architecture].elfMachine, 18)
  head.writeUInt32LE(1, 20) // e_version
  head.writeBigUInt64LE(BigInt(address + codeAt), 24) // e_entry
  head.writeBigUInt64LE(BigInt(elfHeaderSize), 32) // e_phoff
  head.writeUInt32LE(architectures[architecture].elfFlags, 48)
  head.writeUInt16LE(elfHeaderSize, 52)
  head.writeUInt16LE(programHeaderSize, 54)
  head.writeUInt16LE(2, 56) // e_phnum
  programHeader(head, elfHeaderSize, { type: 1, flags: 5, address, size, align: pageSize }) // PT_LOAD, read and execute
  programHeader(head, elfHeaderSize + programHeaderSize, { type: 0x6474e551, flags: 6, address: 0, size: 0, align: 16 }) // PT_GNU_STACK: not executable
  return Buffer.concat([head, program, data])
}

interface Segment {
  readonly type: number
  readonly flags: number
  readonly address: number
  readonly size: number
  readonly align: number
}

/** https://gabi.xinuos.com/elf/07-pheader.html; every segment begins at the file's first byte. */
function programHeader(into: Buffer, at: number, segment: Segment): void {
  into.writeUInt32LE(segment.type, at)
  into.writeUInt32LE(segment.flags, at + 4)
  into.writeBigUInt64LE(BigInt(segment.address), at + 16)
  into.writeBigUInt64LE(BigInt(segment.address), at + 24)
  into.writeBigUInt64LE(BigInt(segment.size), at + 32)
  into.writeBigUInt64LE(BigInt(segment.size), at + 40)
  into.writeBigUInt64LE(BigInt(segment.align), at + 48)
}
