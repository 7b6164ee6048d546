/** Which images a group archive of a release holds, by its name and the statement: all that is needed to make it again. */
import type { ReleasePredicate } from '../attest/release.ts'
import { readBytes } from '../content/read.ts'
import type { ContentReader } from '../content/store.ts'
import { RfoError } from '../error.ts'
import { parseIndex } from '../oci/manifest.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import type { PlatformName } from '../oci/platform.ts'
import { groupArchiveBytes } from '../pack/archive.ts'
import type { GroupImage } from '../pack/contents.ts'
import type { ArchiveKind } from '../plan/component.ts'
import { legacyGroups } from './lists.ts'

/** `rfo-images-core.linux-arm64.tar.zst`, the same as .tar.gz, and its list. */
export function groupFileOf(
  path: string,
): { readonly groups: readonly string[]; readonly arch: string; readonly kind: ArchiveKind | 'txt' } | undefined {
  const [, group, arch, kind] = /^rfo-images(?:-([^/.]+))?\.linux-([a-z0-9]+)\.(tar\.zst|tar\.gz|txt)$/.exec(path) ?? []
  if (arch === undefined || kind === undefined) return undefined
  return { groups: group === undefined ? legacyGroups : [group], arch, kind: kind as ArchiveKind | 'txt' }
}

/** Made again out of the layout, the same bytes that were signed. */
export async function* groupArchiveAgain(
  path: string,
  predicate: ReleasePredicate,
  from: ContentReader,
): AsyncGenerator<Uint8Array, void, undefined> {
  const named = groupFileOf(path)
  const platform = predicate.platforms.find((one) => one === `linux/${named?.arch}`)
  if (named?.kind !== 'tar.zst' || platform === undefined)
    throw new RfoError('RFO_SHELF_MADE', 'no group archive of a platform of this release', { exit: 'untrusted', where: path })
  const images = await imagesIn(predicate, platform, named.groups, from)
  yield* groupArchiveBytes({ platform, images, epoch: predicate.epoch }, from)
}

/** Those that are made for the platform, of any of the groups, with the manifest that is signed for it. */
export async function imagesIn(
  predicate: ReleasePredicate,
  platform: PlatformName,
  groups: readonly string[],
  from: ContentReader,
): Promise<GroupImage[]> {
  const found: GroupImage[] = []
  for (const image of predicate.images) {
    const made = image.platforms[platform]
    if (made?.status !== 'made' || !image.groups.some((group) => groups.includes(group))) continue
    const index = parseIndex(await readBytes(from, { mediaType: mediaTypes.index, digest: image.digest, size: image.size }))
    const manifest = index.manifests.find(({ digest }) => digest === made.digest)
    if (manifest === undefined)
      throw new RfoError('RFO_SHELF_MADE', `its index does not name ${made.digest}`, { exit: 'untrusted', where: image.reference })
    found.push({ reference: image.reference, manifest })
  }
  return found
}
