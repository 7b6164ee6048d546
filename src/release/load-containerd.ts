/** A verified release's images into containerd itself, as one stream of what is not there yet; then it is asked. */
import type { ReleasePredicate } from '../attest/release.ts'
import { imagesIn as imagesInContainerd, importImages } from '../daemon/containerd.ts'
import { type ContainerdPlace, placeText } from '../daemon/place.ts'
import { RfoError } from '../error.ts'
import type { PlatformName } from '../oci/platform.ts'
import { groupTarBytes } from '../pack/archive.ts'
import { imagesIn } from './group-archive.ts'
import { legacyGroups } from './lists.ts'
import type { LoadedImage, LoadRequest } from './load.ts'
import { blobsOf, type ReleaseFiles } from './shelf.ts'
import { fullName, heldImages, isWanted, signedImages } from './signed-images.ts'

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
  const wanted = new Set(before.filter(({ state }) => isWanted(state, existing)).map(({ reference }) => reference))
  const from = blobsOf(files)
  const images = (await imagesIn(predicate, platform, groups, from)).filter(({ reference }) => wanted.has(fullName(reference)))
  if (images.length === 0) return before
  await importImages(place, groupTarBytes({ platform, images, epoch: predicate.epoch }, from, signal), { env, signal })
  return await containerdState(request)
}

export type ContainerdQuestion = Pick<DaemonLoad, 'predicate' | 'platform' | 'groups' | 'env' | 'signal'> & {
  readonly place: ContainerdPlace
}

/** What is there now of the images that are asked for. */
export async function containerdState({
  predicate,
  platform,
  groups = legacyGroups,
  env,
  signal,
  place,
}: ContainerdQuestion): Promise<readonly LoadedImage[]> {
  const held = await imagesInContainerd(place, { env, signal })
  return heldImages(signedImages(predicate, platform, groups), held)
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
