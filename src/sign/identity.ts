/**
 * Who may have signed without a key: one identity, certified by one issuer, by the trusted root of whoever verifies. Both
 * texts are compared as they are; there are no patterns, since one that forgets an anchor lets in whoever registers a longer name.
 * Offline: the time is the one that a log or a time stamp authority signed. @sigstore/verify checks chains, logs and
 * stamps; identity, subject, predicate type and spelling are checked here.
 */
import { X509Certificate } from 'node:crypto'
import { type Bundle, bundleFromJSON } from '@sigstore/bundle'
import { type SignedEntity, toSignedEntity, Verifier } from '@sigstore/verify'
import type { Statement } from '../attest/statement.ts'
import { type ErrorCode, RfoError } from '../error.ts'
import type { Digest } from '../oci/digest.ts'
import { isCanonicalSignature } from './ecdsa.ts'
import type { PublicKey } from './key.ts'
import { isCanonicalCheckpoint, isKeylessBundle, type KeylessParts, keylessBundleText, readKeylessBundle } from './keyless-bundle.ts'
import { noKey, refused } from './refusal.ts'
import type { TrustRoot } from './trusted-root.ts'
import { readStatement, type VerifiedStatement, verifyBundle } from './verify.ts'

export interface TrustedIdentity {
  /** the certificate's one subject alternative name: an address, or the URI of a workflow */
  readonly identity: string
  /** URL of who certified it: https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md (1.3.6.1.4.1.57264.1.8) */
  readonly issuer: string
  readonly root: TrustRoot
}

/** Whom a policy may name. */
export type TrustedSigner = { readonly kind: 'key'; readonly key: PublicKey } | ({ readonly kind: 'identity' } & TrustedIdentity)

/** How many of each must vouch. What a bundle carries beyond that must hold as well. */
export interface Thresholds {
  /** entries in transparency logs */
  readonly log: number
  /** RFC 3161 time stamps; a log's signed time is none */
  readonly stamps: number
  /** signed certificate timestamps */
  readonly certificateLog: number
}

declare const verified: unique symbol
/** A statement that the identity signed while its certificate was valid. Only this file makes one. */
export interface IdentityStatement {
  readonly [verified]: true
  readonly statement: Statement
  /** the bytes that were signed */
  readonly payload: Buffer
  readonly signer: TrustedIdentity
}

export interface IdentityOptions {
  readonly subject?: { readonly digest: Digest }
  readonly predicateType?: string
  /** as in VerifyOptions */
  readonly spelling?: 'canonical' | 'any'
  /** absent: one of each kind of service that the root knows */
  readonly thresholds?: Thresholds
}

/** Throws RFO_SIGN_PATTERN (exit usage) for what can only be meant as a pattern. */
export function trustedIdentity(identity: string, issuer: string, root: TrustRoot): TrustedIdentity {
  const bad = [identity, issuer].find((text) => !/^[\x21-\x7e]{1,2048}$/.test(text) || /^\^|\$$|\.[*+]|[\\*]/.test(text))
  if (bad !== undefined || !URL.canParse(issuer)) {
    throw new RfoError(
      'RFO_SIGN_PATTERN',
      `not an identity and its issuer, written out: ${JSON.stringify((bad ?? issuer).slice(0, 200))}`,
      {
        exit: 'usage',
        next: 'give both exactly as the certificate has them: a pattern trusts whoever matches it',
      },
    )
  }
  return { identity, issuer, root }
}

/** Throws RFO_SIGN_* (exit untrusted). */
export function verifyIdentityBundle(
  bundle: string | Uint8Array,
  signer: TrustedIdentity,
  options: IdentityOptions = {},
): IdentityStatement {
  const text = typeof bundle === 'string' ? bundle : Buffer.from(bundle).toString('utf8')
  const parts = readKeylessBundle(text)
  if ((options.spelling ?? 'canonical') === 'canonical') checkSpelling(text, parts)
  const parsed = fromJson(JSON.parse(text))
  checkCertified(parsed, asEntity(parsed), signer, options.thresholds ?? thresholdsOf(signer.root))
  return { statement: readStatement(parts.payload, options), payload: parts.payload, signer } as IdentityStatement
}

/** A bundle by any one of the trusted signers, by key or by identity. Throws RFO_SIGN_* (undecided when there are none). */
export function verifySigned(
  bundle: string,
  signers: readonly TrustedSigner[],
  options: IdentityOptions = {},
): VerifiedStatement | IdentityStatement {
  if (signers.length === 0) throw noKey()
  const { subject, predicateType, spelling } = options
  const asked = { ...(subject && { subject }), ...(predicateType && { predicateType }), ...(spelling && { spelling }) }
  if (!isKeylessBundle(bundle))
    return verifyBundle(bundle, { ...asked, keys: signers.flatMap((each) => (each.kind === 'key' ? [each.key] : [])) })
  let refusal: unknown = refused('RFO_SIGN_IDENTITY', 'signed by an identity, and only keys are trusted')
  for (const signer of signers) {
    if (signer.kind === 'key') continue
    try {
      return verifyIdentityBundle(bundle, signer, options)
    } catch (thrown) {
      refusal = thrown
    }
  }
  throw refusal
}

/** Each kind of service that the root knows must have taken part: what an attacker could strip is demanded. */
export function thresholdsOf({ material }: TrustRoot): Thresholds {
  const one = (services: readonly unknown[]): number => (services.length > 0 ? 1 : 0)
  return { log: one(material.tlogs), stamps: one(material.timestampAuthorities), certificateLog: one(material.ctlogs) }
}

/** What is common to all bundles with a certificate, whatever they sign. Throws RFO_SIGN_* (exit untrusted). */
export function checkCertified(bundle: Bundle, entity: SignedEntity, signer: TrustedIdentity, thresholds: Thresholds): void {
  const stamps = bundle.verificationMaterial.timestampVerificationData?.rfc3161Timestamps.length ?? 0
  if (bundle.verificationMaterial.tlogEntries.length < thresholds.log)
    throw refused('RFO_SIGN_LOG', 'no transparency log has seen this signature')
  if (stamps < thresholds.stamps) throw refused('RFO_SIGN_TIME', 'no time stamp authority has seen this signature')
  try {
    const verifier = new Verifier(signer.root.material, {
      tlogThreshold: thresholds.log,
      ctlogThreshold: thresholds.certificateLog,
      timestampThreshold: 1, // without any signed time nobody knows whether the certificate was valid
    })
    const { identity } = verifier.verify(entity)
    checkIdentity(leafOf(bundle), identity?.extensions?.issuer, signer)
  } catch (thrown) {
    throw thrown instanceof RfoError ? thrown : refused(...meaning(thrown), thrown)
  }
}

function checkIdentity(certificate: X509Certificate, issuer: string | undefined, signer: TrustedIdentity): void {
  const names = certificate.subjectAltName ?? ''
  const wanted = ['URI', 'email'].flatMap((kind) => [`${kind}:${signer.identity}`, `${kind}:${JSON.stringify(signer.identity)}`])
  if (!wanted.includes(names)) throw refused('RFO_SIGN_IDENTITY', `signed by ${printable(names)}, not by ${signer.identity}`)
  // the library reads the extension as ASCII and drops the eighth bit: the bytes themselves must be there
  if (issuer !== signer.issuer || !certificate.raw.includes(signer.issuer))
    throw refused('RFO_SIGN_ISSUER', `certified by ${printable(issuer ?? 'nobody')}, not by ${signer.issuer}`)
}

function leafOf({ verificationMaterial: { content } }: Bundle): X509Certificate {
  if (content.$case === 'certificate') return new X509Certificate(content.certificate.rawBytes)
  const first = content.$case === 'x509CertificateChain' ? content.x509CertificateChain.certificates[0] : undefined
  if (first === undefined) throw refused('RFO_SIGN_FORM', 'the bundle has no certificate')
  return new X509Certificate(first.rawBytes)
}

function checkSpelling(text: string, parts: KeylessParts): void {
  if (text !== keylessBundleText(parts)) throw refused('RFO_SIGN_BYTES', 'the bundle is not in its canonical bytes')
  if (!isCanonicalSignature(parts.signature)) throw refused('RFO_SIGN_BYTES', 'the signature is not in its canonical form')
  if (!parts.log.every((entry) => isCanonicalCheckpoint(entry.inclusionProof.checkpoint.envelope)))
    throw refused('RFO_SIGN_BYTES', 'a checkpoint is not in its canonical form')
}

function fromJson(value: unknown): Bundle {
  try {
    return bundleFromJSON(value)
  } catch (cause) {
    throw refused('RFO_SIGN_FORM', 'not a bundle v0.3', cause)
  }
}

function asEntity(bundle: Bundle): SignedEntity {
  try {
    return toSignedEntity(bundle)
  } catch (cause) {
    throw refused('RFO_SIGN_FORM', 'a certificate or a time stamp can not be read', cause)
  }
}

/** What the library's refusal is about. It throws TypeErrors too, for bundles that it did not expect. */
function meaning(thrown: unknown): [code: ErrorCode, what: string] {
  const { code = '', message, cause } = thrown as { code?: string; message: string; cause?: { message?: string } }
  if (cause?.message?.includes('not valid or expired')) return ['RFO_SIGN_EXPIRED', 'the certificate was not valid when this was signed']
  if (code === 'TIMESTAMP_ERROR') return ['RFO_SIGN_TIME', `the time of signing is not vouched for: ${message}`]
  if (code === 'CERTIFICATE_ERROR') return ['RFO_SIGN_CERTIFICATE', `the certificate does not hold: ${message}`]
  if (code.startsWith('TLOG_')) return ['RFO_SIGN_LOG', `the entry in the transparency log does not hold: ${message}`]
  if (code === 'SIGNATURE_ERROR') return ['RFO_SIGN_SIGNATURE', 'the signature by the certificate’s key does not hold']
  return ['RFO_SIGN_FORM', 'not a bundle that can be verified']
}

function printable(text: string): string {
  return text.slice(0, 300).replace(/[^\x20-\x7e]/g, '?')
}
