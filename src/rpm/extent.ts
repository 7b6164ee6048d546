/** Where the parts of an RPM lie, and the digest of what no signature changes. Any RPM, of anybody; it is streamed once. */
import type { ContentReader } from '../content/store.ts'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { createDigester, type Digest } from '../oci/digest.ts'
import { headerMagic } from './header.ts'

export interface RpmExtent {
  /** bytes from the file's start: the main header begins, and the payload begins */
  readonly headerStart: number
  readonly headerEnd: number
  /** SHA-256 of main header and payload, which is what a release's root lists */
  readonly unsigned: Digest
  /** bytes of main header and payload */
  readonly unsignedSize: number
}

export const leadBytes = 96
export const introBytes = 16
/** rpm's own limits: lib/header.c, hdrchkTags and hdrchkData; of a signature header, signature.c */
const mostTags = 0xffff
export const mostData = 0x0fffffff
export const mostSignatureData = 64 * 1024 * 1024

/** Throws RFO_RPM_FORMAT, and what the store throws. */
export async function rpmExtent(rpm: Descriptor, from: ContentReader, signal?: AbortSignal): Promise<RpmExtent> {
  const digester = createDigester()
  let front: Buffer = Buffer.alloc(0)
  let extent: { start: number; end: number } | undefined
  /** position of `front`'s end in the file */
  let passed = 0
  let signatureEnd: number | undefined
  for await (const bytes of from.fetch(rpm, signal)) {
    const before = passed
    passed += bytes.length
    if (extent !== undefined) {
      digester.update(bytes)
      continue
    }
    // only intros are kept: whatever lies before the next one is let go as it comes
    front = Buffer.concat([front, bytes])
    const frontStart = before + bytes.length - front.length
    if (signatureEnd === undefined) {
      if (front.length < leadBytes + introBytes) continue
      if (front.readUInt32BE(0) !== 0xedabeedb || front[4] !== 3) throw bad('no lead of an RPM')
      const end = leadBytes + headerLength(front.subarray(leadBytes), mostSignatureData)
      signatureEnd = end + ((8 - (end % 8)) % 8)
    }
    if (passed < signatureEnd + introBytes) {
      const keep = Math.max(0, passed - signatureEnd)
      front = Buffer.from(front.subarray(front.length - keep))
      continue
    }
    const main = front.subarray(signatureEnd - frontStart)
    extent = { start: signatureEnd, end: signatureEnd + headerLength(main, mostData) }
    digester.update(main)
    front = Buffer.alloc(0)
  }
  if (extent === undefined || extent.end > rpm.size) throw bad('it ends inside a header')
  return { headerStart: extent.start, headerEnd: extent.end, unsigned: digester.finish(), unsignedSize: rpm.size - extent.start }
}

/** With its intro, which `bytes` must hold. */
export function headerLength(intro: Buffer, most: number): number {
  const [tags, data] = [intro.readUInt32BE(8), intro.readUInt32BE(12)]
  if (intro.readUInt32BE(0) !== headerMagic) throw bad('no header where one must begin')
  if (tags > mostTags || data > most) throw bad('a header of impossible length')
  return introBytes + tags * 16 + data
}

function bad(what: string): RfoError {
  return new RfoError('RFO_RPM_FORMAT', `an RPM can't be read: ${what}`, { exit: 'untrusted' })
}
