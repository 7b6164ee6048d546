/** Whether upstream signed an image, as far as its registry shows: for those whose pipeline has no key of upstream's. */
import type { ContentReader } from '../content/store.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { hex } from '../oci/digest.ts'
import { mediaTypes } from '../oci/mediatype.ts'

export type UpstreamSignature = 'none' | 'unverified'

/** cosign 2's tag (https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md) or cosign 3's referrers. Throws what the reader throws. */
export async function upstreamSignature(
  image: Pick<Descriptor, 'mediaType' | 'digest' | 'size'>,
  from: ContentReader,
): Promise<UpstreamSignature> {
  if ((await from.resolve(`sha256-${hex(image.digest)}.sig`)) !== undefined) return 'unverified'
  return (await from.referrers(image, mediaTypes.sigstoreBundle)).length > 0 ? 'unverified' : 'none'
}
