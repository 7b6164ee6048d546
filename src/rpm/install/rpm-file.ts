/** An RPM as a file: lead, signature header, main header; the payload is left for a stream. Any RPM, of anybody. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { Readable } from 'node:stream'
import type { Extent } from '../../content/file.ts'
import { RfoError } from '../../error.ts'
import { headerMagic, signatureTags } from '../header.ts'
import { type Header, mostData, mostTags, readHeader } from './read-header.ts'

export interface RpmFile {
  /** a source: its files lie together, and nothing installs them */
  readonly isSource: boolean
  readonly signature: Header
  readonly header: Header
  /** compressed, from the disk */
  payload(): AsyncIterable<Uint8Array>
}

const leadBytes = 96
const introBytes = 16
/** of a signature header: lib/signature.c */
const mostSignatureData = 64 * 1024 * 1024

/**
 * Whoever calls has checked the file's digest; the header is held against the digests that the file itself has, too.
 * Throws RFO_RPM_FORMAT, RFO_RPM_HEADER.
 */
export async function readRpmFile(of: string | Extent, kind: 'binary' | 'any' = 'binary'): Promise<RpmFile> {
  const { file: path, start: base = 0, end: last }: Extent = typeof of === 'string' ? { file: of } : of
  const handle = await open(path)
  try {
    const size = last ?? (await handle.stat()).size
    const lead = await bytesAt(handle, base, leadBytes, size)
    if (lead.readUInt32BE(0) !== 0xedabeedb || lead[4] !== 3) throw bad('no lead of an RPM')
    const isSource = lead.readUInt16BE(6) !== 0
    if (isSource && kind === 'binary') throw bad('it is a source package')
    const signatureBytes = await headerAt(handle, base + leadBytes, mostSignatureData, size)
    const signatureEnd = leadBytes + signatureBytes.length
    const start = base + signatureEnd + ((8 - (signatureEnd % 8)) % 8)
    const headerBytes = await headerAt(handle, start, mostData, size)
    const signature = readHeader(signatureBytes)
    for (const [tag, algorithm] of [
      [signatureTags.sha256, 'sha256'],
      [signatureTags.sha1, 'sha1'],
    ] as const) {
      const said = signature.text(tag)
      if (said !== '' && said !== createHash(algorithm).update(headerBytes).digest('hex'))
        throw bad(`its header is not the one of its ${algorithm}`)
    }
    const from = start + headerBytes.length
    const payload = { start: from, end: size - 1, highWaterMark: 1 << 18 }
    return {
      isSource,
      signature,
      header: readHeader(headerBytes),
      payload: () => (from < size ? createReadStream(path, payload) : Readable.from([])),
    }
  } finally {
    await handle.close()
  }
}

async function headerAt(handle: FileHandle, at: number, most: number, size: number): Promise<Buffer> {
  const intro = await bytesAt(handle, at, introBytes, size)
  const [tags, data] = [intro.readUInt32BE(8), intro.readUInt32BE(12)]
  if (intro.readUInt32BE(0) !== headerMagic) throw bad('no header where one must begin')
  if (tags > mostTags || data > most) throw bad('a header of impossible length')
  return await bytesAt(handle, at, introBytes + tags * 16 + data, size)
}

/** The file's size is asked first: a length that lies costs no memory. */
async function bytesAt(handle: FileHandle, at: number, length: number, size: number): Promise<Buffer> {
  if (at + length > size) throw bad('it ends too early')
  const bytes = Buffer.alloc(length)
  for (let done = 0; done < length; ) {
    const { bytesRead } = await handle.read(bytes, done, length - done, at + done)
    if (bytesRead === 0) throw bad('it ends too early')
    done += bytesRead
  }
  return bytes
}

function bad(what: string): RfoError {
  return new RfoError('RFO_RPM_FORMAT', `an RPM can't be read: ${what}`, { exit: 'untrusted' })
}
