/**
 * A trusted root: who may certify, log and stamp for a keyless signature, and from when to when.
 * https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_trustroot.proto (TrustedRoot)
 */
import { TrustedRoot } from '@sigstore/protobuf-specs'
import { type TrustMaterial, toTrustMaterial } from '@sigstore/verify'
import { RfoError } from '../error.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import { canonicalJson, type Json, parseJson } from '../oci/json.ts'

export interface TrustRoot {
  readonly material: TrustMaterial
  /** canonical JSON of what was read */
  readonly text: string
  /** of `text` */
  readonly digest: Digest
}

const mediaType = /^application\/vnd\.dev\.sigstore\.trustedroot(\+json;version=0\.1|\.v0\.2\+json)$/
/** bytes; Sigstore's own has 7 kB */
const maxTrustedRoot = 1024 * 1024

/** Throws RFO_SIGN_ROOT (exit usage). */
export function readTrustedRoot(text: string): TrustRoot {
  if (text.length > maxTrustedRoot) throw unreadable('longer than any')
  try {
    const value = parseJson(text) as Json
    const root = TrustedRoot.fromJSON(value)
    if (!mediaType.test(root.mediaType)) throw unreadable(`its media type is ${JSON.stringify(root.mediaType.slice(0, 100))}`)
    // the library takes a log without a beginning for one that was always good
    if (root.tlogs.some((log) => log.publicKey?.validFor?.start === undefined))
      throw unreadable('a log does not say from when on it is valid')
    const canonical = canonicalJson(value)
    return { material: toTrustMaterial(root, refuseKeys), text: canonical, digest: digestOf(canonical) }
  } catch (thrown) {
    if (thrown instanceof RfoError && thrown.code !== 'RFO_OCI_JSON') throw thrown
    throw unreadable((thrown as Error).message.slice(0, 200))
  }
}

/** A trusted root vouches for certificates; keys are given by themselves. */
function refuseKeys(): never {
  throw new Error('a public key in place of a certificate')
}

function unreadable(why: string): RfoError {
  return new RfoError('RFO_SIGN_ROOT', `can't read the trusted root: ${why}`, {
    exit: 'usage',
    next: 'give a trusted root in JSON, as cosign trusted-root create writes it',
  })
}
