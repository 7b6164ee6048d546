/** Verifies everything that is attached to an image, down to the bytes of the manifests that carry it. */
import { predicateTypes } from '../attest/statement.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import { bundleReferrer, type Carrier, legacyAttestationManifest, legacySignatureManifest, simpleSigningPayload } from './carriers.ts'
import type { AttachedManifest, Found } from './find.ts'
import { type IdentityStatement, type TrustedIdentity, verifyIdentityBundle } from './identity.ts'
import type { PublicKey } from './key.ts'
import { isKeylessBundle } from './keyless-bundle.ts'
import { refused } from './refusal.ts'
import { type VerifiedStatement, verifyBlob, verifyBundle, verifySimpleSigning } from './verify.ts'

export interface VerifiedAttachments {
  /** all bundles by keys, the image signature (predicate type cosignSign) among them, in the order of their manifests' digests */
  readonly statements: readonly VerifiedStatement[]
  /** the bundles by the identity, if one is trusted; without one, such a bundle is refused */
  readonly keyless: readonly IdentityStatement[]
  /** the key and the reference of cosign 2's `.sig`; undefined = there is none */
  readonly signature: { readonly key: PublicKey; readonly reference: string } | undefined
  /** true when cosign 2's `.att` is there and holds exactly the bundles' attestations */
  readonly attestation: boolean
}

/**
 * Every attachment must verify and lie in canonical bytes; anything else attached is refused. What must be there is for
 * the caller to say. `epoch` (seconds) is the release's. Throws RFO_SIGN_*.
 */
export function verifyAttached(
  subject: Descriptor,
  found: Found,
  options: { readonly keys: readonly PublicKey[]; readonly epoch: number; readonly identity?: TrustedIdentity },
): VerifiedAttachments {
  const statements: VerifiedStatement[] = []
  const keyless: IdentityStatement[] = []
  for (const referrer of found.referrers) {
    const layer = referrer.layers[0]
    if (referrer.artifactType !== mediaTypes.sigstoreBundle || layer === undefined) {
      throw refused('RFO_SIGN_EXTRA', `${referrer.descriptor.digest} is attached to ${subject.digest}, but is no signature that we know`)
    }
    const text = layer.bytes.toString('utf8')
    const { identity } = options
    const byIdentity = identity !== undefined && isKeylessBundle(text) ? verifyIdentityBundle(text, identity, { subject }) : undefined
    const byKey = byIdentity === undefined ? verifyBundle(text, { keys: options.keys, subject }) : undefined
    if (byIdentity !== undefined) keyless.push(byIdentity)
    if (byKey !== undefined) statements.push(byKey)
    const predicateType = (byIdentity ?? byKey)?.statement.predicateType ?? ''
    same(referrer, bundleReferrer(subject, text, predicateType, options.epoch))
  }
  return {
    statements,
    keyless,
    signature: found.signature === undefined ? undefined : checkSignature(subject, found.signature, options.keys),
    attestation: found.attestation !== undefined && checkAttestation(found.attestation, statements),
  }
}

function checkSignature(subject: Descriptor, carrier: AttachedManifest, keys: readonly PublicKey[]): { key: PublicKey; reference: string } {
  const layer = carrier.layers[0]
  const signature = layer?.descriptor.annotations?.['dev.cosignproject.cosign/signature']
  if (layer === undefined || signature === undefined) throw refused('RFO_SIGN_FORM', `${carrier.descriptor.digest} carries no signature`)
  const verified = verifySimpleSigning(layer.bytes, signature, subject.digest, keys)
  verifyBlob(layer.bytes, Buffer.from(signature, 'base64'), [verified.key]) // and its canonical form
  same(carrier, legacySignatureManifest(simpleSigningPayload(verified.reference, subject.digest), signature))
  return verified
}

function checkAttestation(carrier: AttachedManifest, statements: readonly VerifiedStatement[]): true {
  const attested = statements
    .filter((one) => one.statement.predicateType !== predicateTypes.cosignSign)
    .map((one) => ({ payload: one.payload, signature: one.signature, predicateType: one.statement.predicateType }))
  same(carrier, legacyAttestationManifest(attested))
  return true
}

function same(found: AttachedManifest, wanted: Carrier): void {
  if (found.bytes.toString('utf8') !== wanted.text || found.bytes.length !== wanted.descriptor.size) {
    throw refused('RFO_SIGN_BYTES', `${found.descriptor.digest} is not what its signatures give`)
  }
}
