/**
 * Sigstore bundles v0.3 made with a key: https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md
 * A bundle has one spelling: canonical JSON of payload, signature and hint, and nothing else. So a bundle that was
 * changed in any byte is either another text than its parts give, or other parts.
 */
import { parseStatement } from '../attest/statement.ts'
import { RfoError } from '../error.ts'
import { type Digest, digestOf, hex } from '../oci/digest.ts'
import { canonicalJson } from '../oci/json.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import { isCanonicalSignature } from './ecdsa.ts'
import type { SigningKey } from './key.ts'

/** What a signed statement consists of. */
export interface SignedParts {
  readonly payload: Uint8Array
  /** DER */
  readonly signature: Uint8Array
  /** of the key: see PublicKey.hint */
  readonly hint: string
}

/**
 * The one spelling. There is no keyid: @sigstore/sign would write the hint there, which cosign 3 refuses ("accepted
 * signatures do not match threshold"), and a keyid is covered by no signature.
 */
export function bundleText(parts: SignedParts): string {
  return canonicalJson({
    mediaType: mediaTypes.sigstoreBundle,
    verificationMaterial: { publicKey: { hint: parts.hint } },
    dsseEnvelope: { payload: base64(parts.payload), payloadType: mediaTypes.inToto, signatures: [{ sig: base64(parts.signature) }] },
  })
}

/** The bare DSSE envelope, as cosign 2's `.att` layers hold it: https://github.com/secure-systems-lab/dsse/blob/master/envelope.md */
export function envelopeText(parts: Pick<SignedParts, 'payload' | 'signature'>): string {
  return canonicalJson({
    payload: base64(parts.payload),
    payloadType: mediaTypes.inToto,
    signatures: [{ keyid: '', sig: base64(parts.signature) }],
  })
}

/**
 * Signs the bytes of a statement; gives the text of a bundle that has been verified with the key's public half.
 * @sigstore/sign is loaded here and not before: it costs more than the rest of a start.
 */
export async function signStatement(bytes: Uint8Array, key: SigningKey): Promise<string> {
  parseStatement(bytes)
  const { DSSEBundleBuilder } = await import('@sigstore/sign')
  const builder = new DSSEBundleBuilder({ signer: key, witnesses: [], certificateChain: false })
  const { content, verificationMaterial } = await builder.create({ data: Buffer.from(bytes), type: mediaTypes.inToto })
  const signature = content.$case === 'dsseEnvelope' ? content.dsseEnvelope.signatures[0]?.sig : undefined
  const hint = verificationMaterial.content.$case === 'publicKey' ? verificationMaterial.content.publicKey.hint : undefined
  if (signature === undefined || hint === undefined) throw broken('the signer gave no signature by a key')
  const text = bundleText({ payload: bytes, signature, hint })
  const { verifyBundle } = await import('./verify.ts')
  verifyBundle(text, { keys: [key.publicKey] })
  return text
}

export interface SignedBlob {
  readonly digest: Digest
  /** DER: `openssl dgst -sha256 -verify cosign.pub -signature file.sig file` */
  readonly signature: Buffer
  /** `cosign verify-blob --bundle` */
  readonly bundle: string
}

/** Signs bytes that fit into memory: lists of checksums, not archives, which a list or a statement names by digest. */
export async function signBlob(bytes: Uint8Array, key: SigningKey): Promise<SignedBlob> {
  const { signature } = await key.sign(Buffer.from(bytes))
  const { verifyBlob } = await import('./verify.ts')
  if (!isCanonicalSignature(signature)) throw broken('the signer gave a signature that is not in its canonical form')
  verifyBlob(bytes, signature, [key.publicKey])
  const digest = digestOf(bytes)
  return { digest, signature, bundle: bundleForDigest(digest, signature, key.publicKey.hint) }
}

/** The one spelling of a bundle around a signature over bytes with that digest. */
export function bundleForDigest(digest: Digest, signature: Uint8Array, hint: string): string {
  return canonicalJson({
    mediaType: mediaTypes.sigstoreBundle,
    verificationMaterial: { publicKey: { hint } },
    messageSignature: {
      messageDigest: { algorithm: 'SHA2_256', digest: Buffer.from(hex(digest), 'hex').toString('base64') },
      signature: base64(signature),
    },
  })
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}

function broken(what: string): RfoError {
  return new RfoError('RFO_SIGN_SIGNER', what, { exit: 'machine', next: 'check the signing key or its token' })
}
