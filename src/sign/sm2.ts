/**
 * SM2 signatures over SM3 (GB/T 32918.2, ISO/IEC 14888-3), beside the ones that the field's tools read. Sigstore knows no
 * SM2, so they are files of their own: `openssl dgst -sm3 -verify sm2.pub -sigopt distid:1234567812345678 -signature f.sm2 f`.
 * Node's own sign('sm3') can't be used: a key made in this process signs plain ECDSA on that curve, and one that was read
 * signs with an empty identity. This is the algorithm, not a certified module.
 */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { RfoError } from '../error.ts'
import { isSignatureDer } from './ecdsa.ts'
import { noKey, refused, unknownKey } from './refusal.ts'

/** The identity that everybody uses who has none: GM/T 0009-2012, 10. */
const identity = '1234567812345678'

/** The order of the curve: GB/T 32918.5-2017. */
const order = 0xfffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123n

/** SubjectPublicKeyInfo of id-ecPublicKey on 1.2.156.10197.1.301, up to the uncompressed point. */
const spkiPrefix = '3059301306072a8648ce3d020106082a811ccf5501822d034200'
const curveOid = '06082a811ccf5501822d'

export interface Sm2PublicKey {
  /** PEM, SubjectPublicKeyInfo */
  readonly pem: string
  /** hex, uncompressed: 04 x y */
  readonly point: string
  /** `sha256:<hex>` of the SPKI in DER, as for every other key */
  readonly fingerprint: string
}

export interface Sm2Key {
  readonly publicKey: Sm2PublicKey
  /** DER */
  sign(bytes: Uint8Array): Promise<Buffer>
}

export function generateSm2Key(): { readonly privatePem: string; readonly publicPem: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', {
    namedCurve: 'SM2',
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
  return { privatePem: privateKey, publicPem: publicKey }
}

/** Whether a private key in PEM is on SM2's curve; a password is needed to tell of an encrypted one. */
export function isSm2Key(text: string, password?: string): boolean {
  try {
    return derOf(privateKey(text, password)).includes(Buffer.from(curveOid, 'hex'))
  } catch {
    return false
  }
}

/** PEM (PKCS#8, plain or encrypted), as `openssl genpkey -algorithm SM2` writes it. Throws RFO_SIGN_KEY (exit usage). */
export function readSm2Key(text: string, password?: string): Sm2Key {
  let scalar: string
  let own: Sm2PublicKey
  try {
    const key = privateKey(text, password)
    const der = derOf(key).toString('hex')
    const at = der.indexOf('0420', der.indexOf(curveOid) + curveOid.length)
    if (!der.includes(curveOid) || at === -1) throw new Error('another curve')
    scalar = der.slice(at + 4, at + 4 + 64)
    own = publicOf(createPublicKey(key).export({ format: 'der', type: 'spki' }))
  } catch {
    throw unreadable('not a private SM2 key in PEM (PKCS#8), or another password')
  }
  return {
    publicKey: own,
    async sign(bytes) {
      const { sm2 } = await import('sm-crypto-v2')
      const signature = sm2.doSignature(Uint8Array.from(bytes), scalar, { hash: true, der: true, publicKey: own.point, userId: identity })
      const der = Buffer.from(signature, 'hex')
      await verifySm2(bytes, der, [own])
      return der
    },
  }
}

/** PEM (SPKI). Throws RFO_SIGN_KEY (exit usage). */
export function readSm2PublicKey(pem: string): Sm2PublicKey {
  const body = /^-----BEGIN PUBLIC KEY-----\r?\n([A-Za-z0-9+/=\r\n]{1,400})-----END PUBLIC KEY-----\s*$/.exec(pem)?.[1]
  if (body === undefined) throw unreadable('not a public key in PEM (SPKI)')
  return publicOf(Buffer.from(body, 'base64'))
}

export function isSm2PublicKey(pem: string): boolean {
  try {
    readSm2PublicKey(pem)
    return true
  } catch {
    return false
  }
}

/** Throws RFO_SIGN_* (exit untrusted; undecided without keys). One signature has one spelling: strict DER. */
export async function verifySm2(bytes: Uint8Array, signature: Uint8Array, keys: readonly Sm2PublicKey[]): Promise<Sm2PublicKey> {
  if (keys.length === 0) throw noKey()
  if (!isSignatureDer(signature, order)) throw refused('RFO_SIGN_BYTES', 'the signature is not in strict DER')
  const { sm2 } = await import('sm-crypto-v2')
  const hexSignature = Buffer.from(signature).toString('hex')
  // the library takes a Buffer for something else than bytes
  const plain = Uint8Array.from(bytes)
  const key = keys.find((each) => sm2.doVerifySignature(plain, hexSignature, each.point, { hash: true, der: true, userId: identity }))
  if (key === undefined) throw unknownKey()
  return key
}

function privateKey(text: string, password: string | undefined): KeyObject {
  if (text.length > 65_536) throw new Error('longer than any key')
  const locked = text.includes('-----BEGIN ENCRYPTED PRIVATE KEY-----')
  return createPrivateKey({ key: text, format: 'pem', ...(locked ? { passphrase: password ?? '' } : {}) })
}

/** PKCS#8 */
function derOf(key: KeyObject): Buffer {
  return key.export({ format: 'der', type: 'pkcs8' })
}

function publicOf(der: Buffer): Sm2PublicKey {
  const text = der.toString('hex')
  if (!text.startsWith(spkiPrefix) || der.length !== 91 || text.slice(spkiPrefix.length, spkiPrefix.length + 2) !== '04')
    throw unreadable('not a public key on the curve of SM2')
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return {
    pem: `-----BEGIN PUBLIC KEY-----\n${lines.join('\n')}\n-----END PUBLIC KEY-----\n`,
    point: text.slice(spkiPrefix.length),
    fingerprint: `sha256:${createHash('sha256').update(der).digest('hex')}`,
  }
}

function unreadable(why: string): RfoError {
  return new RfoError('RFO_SIGN_KEY', `can't read the key: ${why}`, { exit: 'usage', next: 'rfo-build keys generate --sm2' })
}
