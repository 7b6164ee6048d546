/**
 * The signature header of an RPM: https://rpm-software-management.github.io/rpm/manual/format_v4.html#signature. It is as long
 * with a signature as without: room is kept for one, as rpmbuild keeps it for rpmsign. So whoever signs moves nothing, and what
 * a repository says of sizes and places holds for both.
 */
import { createHash } from 'node:crypto'
import { RfoError } from '../error.ts'
import { type Entry, encodeHeader, numbers, signatureTags, tags, text } from './header.ts'

/** What the header says besides a signature. */
export interface SignatureSums {
  /** of the main header: hexadecimal */
  readonly sha1: string
  readonly sha256: string
  /** of main header and payload */
  readonly md5: Uint8Array
  readonly size: number
  /** of the payload, uncompressed */
  readonly payloadSize: number
}

/** bytes: rpm's own %{__gpg_reserved_space} */
const reservedBytes = 4096

export function headerSums(header: Uint8Array): Pick<SignatureSums, 'sha1' | 'sha256'> {
  const sum = (algorithm: string): string => createHash(algorithm).update(header).digest('hex')
  return { sha1: sum('sha1'), sha256: sum('sha256') }
}

/** `signature`: a binary OpenPGP packet of version 4. Filled up to where the main header begins. */
export function signatureHeader(sums: SignatureSums, signature?: Uint8Array): Buffer {
  const unsigned = encoded(sums, [], reservedBytes)
  if (signature === undefined) return padded(unsigned)
  const signed: Entry = [signatureTag(signature), { type: 'bin', bytes: signature }]
  const left = reservedBytes - (encoded(sums, [signed], reservedBytes).length - unsigned.length)
  if (left <= 0)
    throw new RfoError('RFO_RPM_SIGNATURE', `a signature of ${signature.length} bytes is too long for an RPM`, { exit: 'usage' })
  return padded(encoded(sums, [signed], left))
}

function encoded(sums: SignatureSums, signed: readonly Entry[], reserved: number): Buffer {
  return encodeHeader(tags.headerSignatures, [
    ...signed,
    [signatureTags.sha1, text(sums.sha1)],
    [signatureTags.sha256, text(sums.sha256)],
    [signatureTags.size, numbers([sums.size])],
    [signatureTags.md5, { type: 'bin', bytes: sums.md5 }],
    [signatureTags.payloadSize, numbers([sums.payloadSize])],
    // the last of them: its length decides the header's
    [signatureTags.reserved, { type: 'bin', bytes: Buffer.alloc(reserved) }],
  ])
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((8 - (bytes.length % 8)) % 8)])
}

/** https://www.rfc-editor.org/rfc/rfc4880#section-5.2.3: the packet itself says which kind of key made it. */
function signatureTag(packet: Uint8Array): number {
  const [first = 0, length = 0] = packet
  const newForm = (first & 0x40) !== 0
  const lengthBytes = newForm ? (length < 192 ? 1 : length < 224 ? 2 : 5) : [1, 2, 4, 0][first & 3]
  const kind = newForm ? first & 0x3f : (first >> 2) & 0xf
  const body = packet.subarray(1 + (lengthBytes ?? 0))
  if ((first & 0x80) !== 0 && kind === 2 && body[0] === 4) {
    if (body[2] === 1) return signatureTags.rsa
    // DSA, and EdDSA of RFC 4880bis
    if (body[2] === 17 || body[2] === 22) return signatureTags.dsa
  }
  throw new RfoError('RFO_RPM_SIGNATURE', 'not an OpenPGP signature of version 4 by an RSA, DSA or EdDSA key', { exit: 'usage' })
}
