/** The images of a release as a node knows them: by full name and the digest of one platform. */
import type { ReleasePredicate } from '../attest/release.ts'
import type { HeldImage } from '../daemon/containerd.ts'
import { RfoError } from '../error.ts'
import type { Digest } from '../oci/digest.ts'
import type { PlatformName } from '../oci/platform.ts'
import { formatReference, parseReference } from '../oci/reference.ts'
import type { LoadedImage, LoadRequest, LoadState } from './load.ts'

export interface SignedImage {
  /** in its full spelling */
  readonly reference: string
  /** of the platform's image */
  readonly digest: Digest
  readonly index: Digest
}

/** Throws RFO_LOAD_GROUP (condition) when no image is made for the platform in these groups. */
export function signedImages(predicate: ReleasePredicate, platform: PlatformName, groups: readonly string[]): SignedImage[] {
  const found = predicate.images.flatMap(({ reference, digest: index, platforms, groups: its }) => {
    const made = platforms[platform]
    if (made?.status !== 'made' || !its.some((group) => groups.includes(group))) return []
    return [{ reference: fullName(reference), digest: made.digest, index }]
  })
  if (found.length > 0) return found
  throw new RfoError('RFO_LOAD_GROUP', `the release has no image of ${groups.join(', ')} for ${platform}`, {
    exit: 'condition',
    next: 'choose with --group and --platform what there is',
  })
}

/** Each as it is held there, by its full name. */
export function heldImages(images: readonly SignedImage[], held: ReadonlyMap<string, HeldImage>): LoadedImage[] {
  return images.map((image) => ({ reference: image.reference, digest: image.digest, state: heldState(held.get(image.reference), image) }))
}

/** Whether what is there now is to be written, by what a person says of names that are taken. */
export function isWanted(state: LoadState | undefined, existing: LoadRequest['existing']): boolean {
  return state === 'missing' || (state === 'other' && existing === 'replace')
}

/** The index that was signed is as good as the platform's image in it. */
function heldState(held: HeldImage | undefined, { digest, index }: SignedImage): LoadState {
  if (held === undefined) return 'missing'
  if (held.digest !== digest && held.digest !== index) return 'other'
  return held.whole ? 'present' : 'missing'
}

export function fullName(reference: string): string {
  return formatReference(parseReference(reference))
}
