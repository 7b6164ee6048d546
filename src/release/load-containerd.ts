/** A verified release's images into containerd itself, as one stream of what is not there yet; then it is asked. */
import type { ReleasePredicate } from '../attest/release.ts'
import { type HeldImage, imagesIn as imagesInContainerd, importImages } from '../daemon/containerd.ts'
import { type ContainerdPlace, placeText } from '../daemon/place.ts'
import { RfoError } from '../error.ts'
import type { Digest } from '../oci/digest.ts'
import type { PlatformName } from '../oci/platform.ts'
import { formatReference, parseReference } from '../oci/reference.ts'
import { groupTarBytes } from '../pack/archive.ts'
import { imagesIn } from './group-archive.ts'
import { legacyGroups } from './lists.ts'
import type { LoadedImage, LoadRequest } from './load.ts'
import { blobsOf, type ReleaseFiles } from './shelf.ts'

export interface DaemonLoad {
  readonly files: ReleaseFiles
  readonly predicate: ReleasePredicate
  /** One name means one image there, so of one platform. */
  readonly platform: PlatformName
  /** absent = what a server with the default CNI needs */
  readonly groups?: readonly string[]
  readonly existing: LoadRequest['existing']
  readonly env: Readonly<Record<string, string>>
  readonly signal: AbortSignal
}

/** Nothing is written when a name is refused. Throws RFO_LOAD_EXISTING (condition), RFO_LOAD_CONTAINERD (machine). */
export async function loadIntoContainerd(request: DaemonLoad & { readonly place: ContainerdPlace }): Promise<readonly LoadedImage[]> {
  const { files, predicate, platform, groups = legacyGroups, existing, env, signal, place } = request
  const before = await containerdState(request)
  refuseOthers(before, existing, placeText(place))
  const wanted = new Set(
    before.filter(({ state }) => state === 'missing' || (state === 'other' && existing === 'replace')).map(({ reference }) => reference),
  )
  const from = blobsOf(files)
  const images = (await imagesIn(predicate, platform, groups, from)).filter(({ reference }) => wanted.has(fullName(reference)))
  if (images.length === 0) return before
  await importImages(place, groupTarBytes({ platform, images, epoch: predicate.epoch }, from, signal), { env, signal })
  return await containerdState(request)
}

export type ContainerdQuestion = Pick<DaemonLoad, 'predicate' | 'platform' | 'groups' | 'env' | 'signal'> & {
  readonly place: ContainerdPlace
}

/** What is there now of the images that are asked for. The index that was signed is as good as the platform's image in it. */
export async function containerdState({
  predicate,
  platform,
  groups = legacyGroups,
  env,
  signal,
  place,
}: ContainerdQuestion): Promise<readonly LoadedImage[]> {
  const held = await imagesInContainerd(place, { env, signal })
  return signedImages(predicate, platform, groups).map(({ reference, digest, index }) => ({
    reference,
    digest,
    state: stateOf(held.get(reference), [digest, index]),
  }))
}

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

function stateOf(held: HeldImage | undefined, signed: readonly Digest[]): LoadedImage['state'] {
  if (held === undefined) return 'missing'
  if (!signed.includes(held.digest)) return 'other'
  return held.whole ? 'present' : 'missing'
}

export function refuseOthers(images: readonly LoadedImage[], existing: LoadRequest['existing'], where: string): void {
  const others = images.filter(({ state }) => state === 'other').map(({ reference }) => reference)
  if (others.length === 0 || existing !== 'refuse') return
  throw new RfoError('RFO_LOAD_EXISTING', `${others.length} names mean something else there: nothing was written`, {
    exit: 'condition',
    where,
    details: others,
    next: 'leave them with --existing skip, or give --existing replace',
  })
}

export function fullName(reference: string): string {
  return formatReference(parseReference(reference))
}
