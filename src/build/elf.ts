/** What a program is, read from its own header: https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html */
import { open } from 'node:fs/promises'
import { RfoError } from '../error.ts'
import { type Architecture, architectures } from '../oci/platform.ts'

const PT_INTERP = 3
const ET_EXEC = 2
const ET_DYN = 3

/** RFO_BUILD_ELF unless `file` is a static 64-bit little-endian program for the architecture; `pie`: and for any address. */
export async function checkElf(file: string, architecture: Architecture, address: 'any' | 'pie' = 'any'): Promise<void> {
  const refuse = (why: string): never => {
    throw new RfoError('RFO_BUILD_ELF', `${file} ${why}`, { exit: 'build', where: `linux/${architecture}` })
  }
  const handle = await open(file)
  try {
    const header = Buffer.alloc(64)
    const { bytesRead } = await handle.read(header, 0, 64, 0)
    if (bytesRead < 64 || header.readUInt32BE(0) !== 0x7f454c46) refuse('is no ELF program')
    if (header[4] !== 2 || header[5] !== 1) refuse('is not 64-bit little-endian')
    const kind = header.readUInt16LE(16)
    if (kind !== ET_EXEC && kind !== ET_DYN) refuse(`is no program (e_type ${kind})`)
    if (address === 'pie' && kind !== ET_DYN) refuse(`is for a fixed address and no PIE (e_type ${kind})`)
    const machine = header.readUInt16LE(18)
    const wanted = architectures[architecture].elfMachine
    if (machine !== wanted) refuse(`is for another machine: e_machine ${machine}, not ${wanted} (${architecture})`)
    const offset = Number(header.readBigUInt64LE(32))
    const entrySize = header.readUInt16LE(54)
    const entries = header.readUInt16LE(56)
    if (entrySize < 56) refuse('has no program headers')
    const table = Buffer.alloc(entrySize * entries)
    const read = await handle.read(table, 0, table.length, offset)
    if (read.bytesRead !== table.length) refuse('is cut off')
    for (let at = 0; at < table.length; at += entrySize) {
      if (table.readUInt32LE(at) === PT_INTERP) refuse('is linked dynamically (PT_INTERP)')
    }
  } finally {
    await handle.close()
  }
}
