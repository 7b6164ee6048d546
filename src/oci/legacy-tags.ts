/** The tags under which cosign 2 looks beside an image: https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md#storage */
import { type Digest, hex } from './digest.ts'

export function legacyTags(subject: Digest): { readonly signature: string; readonly attestation: string } {
  return { signature: `sha256-${hex(subject)}.sig`, attestation: `sha256-${hex(subject)}.att` }
}
