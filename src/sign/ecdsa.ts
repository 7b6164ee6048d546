/**
 * One spelling per ECDSA signature. (r, s) and (r, n − s) are both good, so whoever has a signed file could write a
 * second, different, valid one without the key. We write the lower s, in strict DER, and for our own files accept no other.
 * https://www.rfc-editor.org/rfc/rfc3279#section-2.2.3 (the DER form)
 */

/** The order of P-256: https://nvlpubs.nist.gov/nistpubs/SpecialPublications/NIST.SP.800-186.pdf, 3.2.1.3 */
const n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

/** The same signature with the lower s; undefined when the bytes are not a P-256 signature in strict DER. */
export function canonicalSignature(der: Uint8Array): Buffer | undefined {
  const read = decode(der)
  if (read === undefined) return undefined
  const s = read.s > n / 2n ? n - read.s : read.s
  return encode(read.r, s)
}

export function isCanonicalSignature(der: Uint8Array): boolean {
  return canonicalSignature(der)?.equals(der) ?? false
}

/** DER of r and s side by side, as PKCS#11 gives them: https://docs.oasis-open.org/pkcs11/pkcs11-spec/v3.1/, 6.3.1 */
export function rawSignature(bytes: Uint8Array): Buffer {
  const half = bytes.length / 2
  const [r, s] = [bytes.subarray(0, half), bytes.subarray(half)].map((part) => BigInt(`0x0${Buffer.from(part).toString('hex')}`))
  return encode(r ?? 0n, s ?? 0n)
}

/** Whether bytes are two integers below the order of a curve of 256 bits, in strict DER. */
export function isSignatureDer(der: Uint8Array, order: bigint): boolean {
  return decode(der, order) !== undefined
}

function decode(der: Uint8Array, order = n): { readonly r: bigint; readonly s: bigint } | undefined {
  // 0x30 length 0x02 length r 0x02 length s; two integers of at most 33 bytes never need a long length
  if (der.length < 8 || der.length > 72) return undefined
  const rLength = der[3] ?? 0
  const sLength = der[5 + rLength] ?? 0
  if (der.length !== 6 + rLength + sLength) return undefined
  const r = integer(der.subarray(4, 4 + rLength), order)
  const s = integer(der.subarray(6 + rLength), order)
  if (r === undefined || s === undefined) return undefined
  return encode(r, s).equals(der) ? { r, s } : undefined
}

function integer(bytes: Uint8Array, order: bigint): bigint | undefined {
  if (bytes.length === 0 || bytes.length > 33) return undefined
  const value = BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
  return value > 0n && value < order ? value : undefined
}

function encode(r: bigint, s: bigint): Buffer {
  const body = Buffer.concat([encodeInteger(r), encodeInteger(s)])
  return Buffer.concat([Buffer.from([0x30, body.length]), body])
}

function encodeInteger(value: bigint): Buffer {
  const text = value.toString(16)
  const bytes = Buffer.from(text.length % 2 === 0 ? text : `0${text}`, 'hex')
  // a first bit that is set would mean a negative number
  const padded = (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes
  return Buffer.concat([Buffer.from([0x02, padded.length]), padded])
}
