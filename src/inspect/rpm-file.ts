/**
 * The front of an RPM: lead, signature header, main header. https://rpm-software-management.github.io/rpm/manual/format_v4.html
 * Any RPM of anybody; the payload is not read.
 */
import { open } from 'node:fs/promises'
import { RfoError } from '../error.ts'
import { digestOf, hex } from '../oci/digest.ts'
import type { ReadAt } from './elf.ts'
import { parseRpmHeader, type RpmPackage } from './rpmdb/header.ts'

export interface RpmFront {
  readonly header: RpmPackage
  /** bytes from the file's start */
  readonly payloadStart: number
}

const leadBytes = 96
const introBytes = 16
export const rpmMagic = Buffer.from([0xed, 0xab, 0xee, 0xdb])
/** rpm's own limits: lib/header.c, lib/signature.c */
const mostTags = 0xffff
const mostSignatureData = 64 * 1024 * 1024
const mostData = 0x0fffffff

/** The package with its header's own SHA-256, which stands outside of it. Throws RFO_INSPECT_RPM and RFO_INSPECT_RPMHEADER. */
export async function readRpmFront(read: ReadAt): Promise<RpmFront> {
  const lead = await read(0, leadBytes)
  if (lead.length < leadBytes || !lead.subarray(0, 4).equals(rpmMagic) || lead[4] !== 3) throw bad('no lead of an RPM')
  const signature = await headerBytes(read, leadBytes, mostSignatureData)
  const start = leadBytes + signature + ((8 - (signature % 8)) % 8)
  const length = await headerBytes(read, start, mostData)
  const blob = await read(start, length)
  if (blob.length < length) throw bad('it ends inside its header')
  return { header: { ...parseRpmHeader(blob), sha256: hex(digestOf(blob)) }, payloadStart: start + length }
}

/** The same of a file. */
export async function readRpmFrontOf(path: string): Promise<RpmFront> {
  const file = await open(path)
  try {
    return await readRpmFront(async (at, length) => {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, at)
      return buffer.subarray(0, bytesRead)
    })
  } finally {
    await file.close()
  }
}

async function headerBytes(read: ReadAt, at: number, most: number): Promise<number> {
  const intro = await read(at, introBytes)
  if (intro.length < introBytes || intro.readUInt32BE(0) !== 0x8eade801) throw bad('no header where one must begin')
  const [tags, data] = [intro.readUInt32BE(8), intro.readUInt32BE(12)]
  if (tags > mostTags || data > most) throw bad('a header of impossible length')
  return introBytes + tags * 16 + data
}

function bad(what: string): RfoError {
  return new RfoError('RFO_INSPECT_RPM', `an RPM can't be read: ${what}`, { exit: 'untrusted' })
}
