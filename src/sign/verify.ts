/**
 * Verifies what `sign` makes, and what cosign makes with a key. Offline, no clock. The only place that makes a
 * VerifiedStatement, so nothing downstream can read a predicate that nobody vouches for.
 * @sigstore/verify checks the signature alone; subject, predicate type, payload type, hint and spelling are checked here.
 */
import { verify as verifyBytes } from 'node:crypto'
import { bundleFromJSON } from '@sigstore/bundle'
import { toSignedEntity, Verifier } from '@sigstore/verify'
import { parseStatement, type Statement } from '../attest/statement.ts'
import { type Digest, digestOf, hex, isDigest } from '../oci/digest.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import { bundleForDigest, bundleText } from './bundle.ts'
import { isCanonicalSignature } from './ecdsa.ts'
import { decodeBase64, type Envelope, readBlobBundle, readBundle, readEnvelope, readSimpleSigning } from './forms.ts'
import { fingerprintOfHint, type PublicKey } from './key.ts'
import { noKey, refused, unknownKey } from './refusal.ts'

declare const verified: unique symbol
/** A statement whose signature held. Only this file makes one. */
export interface VerifiedStatement {
  readonly [verified]: true
  readonly statement: Statement
  /** the bytes that were signed */
  readonly payload: Buffer
  /** DER */
  readonly signature: Buffer
  readonly key: PublicKey
}

export interface VerifyOptions {
  /** Any one of them may have signed. None = exit undecided, with the fingerprint that was found. */
  readonly keys: readonly PublicKey[]
  /** The statement must be about this. Left out only where the caller compares all subjects himself. */
  readonly subject?: { readonly digest: Digest }
  readonly predicateType?: string
  /** `canonical` (default): byte for byte what we would write. `any`: another tool's white space, key order and s. */
  readonly spelling?: 'canonical' | 'any'
}

/** Throws RFO_SIGN_* (exit untrusted; undecided when there are no keys). */
export function verifyBundle(bundle: string | Uint8Array, options: VerifyOptions): VerifiedStatement {
  const text = typeof bundle === 'string' ? bundle : Buffer.from(bundle).toString('utf8')
  const form = readBundle(text)
  const hint = form.verificationMaterial.publicKey.hint
  const [payload, signature] = partsOf(form.dsseEnvelope)
  if ((options.spelling ?? 'canonical') === 'canonical') refuseSpelling(text, { payload, signature, hint })
  if (options.keys.length === 0) throw noKey(fingerprintOfHint(hint) ?? hint)
  const key = options.keys.find((candidate) => candidate.hint === hint)
  if (key === undefined) throw unknownKey(fingerprintOfHint(hint) ?? hint)
  checkSignature(form, key)
  return accept(payload, signature, key, options)
}

/** What a bundle in its canonical bytes says, of a signature that nobody here can judge. Throws RFO_SIGN_*. */
export function readUnjudged(bundle: string): { readonly payload: Buffer; readonly fingerprint: string | undefined } {
  const form = readBundle(bundle)
  const { hint } = form.verificationMaterial.publicKey
  const [payload, signature] = partsOf(form.dsseEnvelope)
  refuseSpelling(bundle, { payload, signature, hint })
  return { payload, fingerprint: fingerprintOfHint(hint) }
}

/** The same for a bare DSSE envelope (cosign 2's `.att`), which names no key. */
export function verifyEnvelope(envelope: string, options: Omit<VerifyOptions, 'spelling'>): VerifiedStatement {
  const form = readEnvelope(envelope)
  const [payload, signature] = partsOf(form)
  if (options.keys.length === 0) throw noKey()
  for (const key of options.keys) {
    try {
      checkSignature(JSON.parse(bundleText({ payload, signature, hint: key.hint })), key)
    } catch {
      continue
    }
    return accept(payload, signature, key, options)
  }
  throw unknownKey()
}

/** A DER signature over bytes, as openssl makes and reads it. Throws RFO_SIGN_*. */
export function verifyBlob(bytes: Uint8Array, signature: Uint8Array, keys: readonly PublicKey[]): PublicKey {
  if (keys.length === 0) throw noKey()
  if (!isCanonicalSignature(signature)) throw refused('RFO_SIGN_BYTES', 'the signature is not in its canonical form')
  const key = keys.find((candidate) => verifyBytes('sha256', bytes, candidate.object, signature))
  if (key === undefined) throw unknownKey()
  return key
}

/** A bundle around a signature over bytes (`cosign sign-blob --bundle`), in its canonical bytes. Throws RFO_SIGN_*. */
export function verifyBlobBundle(bundle: string, bytes: Uint8Array, keys: readonly PublicKey[]): PublicKey {
  const form = readBlobBundle(bundle)
  const hint = form.verificationMaterial.publicKey.hint
  const digest = `sha256:${decodeBase64(form.messageSignature.messageDigest.digest, 'digest').toString('hex')}`
  const signature = decodeBase64(form.messageSignature.signature, 'signature')
  // the library does not compare this digest with the bytes
  if (!isDigest(digest) || digest !== digestOf(bytes)) throw refused('RFO_SIGN_SUBJECT', 'the bundle is about other bytes')
  if (bundle !== bundleForDigest(digest, signature, hint)) throw refused('RFO_SIGN_BYTES', 'the bundle is not in its canonical bytes')
  if (keys.length === 0) throw noKey(fingerprintOfHint(hint) ?? hint)
  const named = keys.filter((key) => key.hint === hint)
  if (named.length === 0) throw unknownKey(fingerprintOfHint(hint) ?? hint)
  return verifyBlob(bytes, signature, named)
}

export interface VerifiedSimpleSigning {
  readonly key: PublicKey
  /** what the signer called the image; covered by the signature, decided by nobody */
  readonly reference: string
}

/**
 * cosign 2's signature: a payload that names a digest, and a signature over it.
 * https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md
 */
export function verifySimpleSigning(
  payload: Uint8Array,
  signatureB64: string,
  digest: Digest,
  keys: readonly PublicKey[],
): VerifiedSimpleSigning {
  const signature = decodeBase64(signatureB64, 'signature')
  if (keys.length === 0) throw noKey()
  const key = keys.find((candidate) => verifyBytes('sha256', payload, candidate.object, signature))
  if (key === undefined) throw unknownKey()
  const form = readSimpleSigning(payload)
  if (form.critical.image['docker-manifest-digest'] !== digest) {
    throw refused('RFO_SIGN_SUBJECT', `the signature is about ${form.critical.image['docker-manifest-digest'].slice(0, 80)}, not ${digest}`)
  }
  return { key, reference: form.critical.identity['docker-reference'] }
}

function refuseSpelling(text: string, parts: Parameters<typeof bundleText>[0]): void {
  if (text !== bundleText(parts)) throw refused('RFO_SIGN_BYTES', 'the bundle is not in its canonical bytes')
  if (!isCanonicalSignature(Buffer.from(parts.signature))) throw refused('RFO_SIGN_BYTES', 'the signature is not in its canonical form')
}

/** What is common to bundle and envelope: one signature, no keyid, the payload type, canonical base64. */
function partsOf(envelope: Envelope): readonly [payload: Buffer, signature: Buffer] {
  const [only, ...more] = envelope.signatures
  if (only === undefined || more.length > 0) {
    throw refused('RFO_SIGN_FORM', `exactly one signature is wanted, there are ${envelope.signatures.length}`)
  }
  if (only.keyid !== undefined && only.keyid !== '') throw refused('RFO_SIGN_FORM', 'a keyid is set, which no signature covers')
  if (envelope.payloadType !== mediaTypes.inToto) throw refused('RFO_SIGN_FORM', 'the payload is not an in-toto statement')
  return [decodeBase64(envelope.payload, 'payload'), decodeBase64(only.sig, 'signature')]
}

function checkSignature(bundle: unknown, key: PublicKey): void {
  // An empty trust root: no log, no authority, no clock. What carries a log entry or a time stamp is refused.
  const trust = {
    certificateAuthorities: [],
    timestampAuthorities: [],
    tlogs: [],
    ctlogs: [],
    publicKey: () => ({ publicKey: key.object, validFor: () => true }),
  }
  try {
    const verifier = new Verifier(trust, { tlogThreshold: 0, ctlogThreshold: 0, timestampThreshold: 0 })
    verifier.verify(toSignedEntity(bundleFromJSON(bundle)))
  } catch (cause) {
    // the library throws TypeErrors too, for bundles that it did not expect
    throw refused('RFO_SIGN_SIGNATURE', `the signature by ${key.fingerprint} does not hold`, cause)
  }
}

function accept(payload: Buffer, signature: Buffer, key: PublicKey, options: VerifyOptions): VerifiedStatement {
  return { statement: readStatement(payload, options), payload, signature, key } as VerifiedStatement
}

/** A payload whose signature held: what it is about, and of which type. Throws RFO_SIGN_SUBJECT, RFO_SIGN_PREDICATE. */
export function readStatement(payload: Buffer, { subject, predicateType }: Pick<VerifyOptions, 'subject' | 'predicateType'>): Statement {
  const statement = parseStatement(payload)
  if (subject !== undefined && !statement.subject.some((one) => one.digest.sha256 === hex(subject.digest))) {
    throw refused('RFO_SIGN_SUBJECT', `the statement is not about ${subject.digest}`)
  }
  if (predicateType !== undefined && statement.predicateType !== predicateType) {
    throw refused('RFO_SIGN_PREDICATE', `the statement is ${statement.predicateType.slice(0, 200)}, wanted ${predicateType}`)
  }
  return statement
}
