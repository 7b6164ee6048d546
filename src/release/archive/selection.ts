/** A part of a release: the files of some platforms and image groups, with what says that they are genuine. */
import { z } from 'zod'
import type { ReleasePredicate } from '../../attest/release.ts'
import { readBytes } from '../../content/read.ts'
import { parseNode } from '../../content/referrer.ts'
import type { ContentReader } from '../../content/store.ts'
import { RfoError } from '../../error.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { type Digest, hex } from '../../oci/digest.ts'
import { parseIndex } from '../../oci/manifest.ts'
import { annotationKeys, mediaTypes } from '../../oci/mediatype.ts'
import { isPlatformName, type PlatformName, platformNames } from '../../oci/platform.ts'
import { groupFileOf } from '../group-archive.ts'
import { platformOfFile } from '../lists.ts'
import { reachable } from '../oci-entries.ts'
import { blobDigest, blobsOf, type ReleaseFile, type ReleaseFiles, smallFile } from '../shelf.ts'

const maxLayoutIndexBytes = 1 << 26

export const Selection = z.strictObject({
  platforms: z
    .array(z.custom<PlatformName>((value) => typeof value === 'string' && isPlatformName(value), 'a platform we know'))
    .min(1)
    .max(platformNames.length)
    .optional(),
  groups: z.array(z.string().min(1).max(100)).min(1).max(100).optional(),
})
/** Sorted; absent = all. */
export type Selection = z.infer<typeof Selection>

/** Throws RFO_ARCHIVE_SELECTION (usage) for what the release has not. */
export function selectionOf(
  predicate: ReleasePredicate,
  platforms: readonly PlatformName[] | undefined,
  groups: readonly string[] | undefined,
): Selection {
  const known = [...new Set(predicate.images.flatMap((image) => image.groups))].sort()
  const odd = groups?.find((group) => !known.includes(group)) ?? platforms?.find((one) => !predicate.platforms.includes(one))
  if (odd !== undefined)
    throw new RfoError('RFO_ARCHIVE_SELECTION', `the release has no ${odd}`, {
      exit: 'usage',
      next: `choose from ${[...predicate.platforms, ...known].join(', ')}`,
    })
  return {
    ...(platforms === undefined ? {} : { platforms: [...new Set(platforms)].sort() }),
    ...(groups === undefined ? {} : { groups: [...new Set(groups)].sort() }),
  }
}

/** Lists of sums have a platform, too, though no list of another one leaves them out. */
function platformOf(path: string): string | undefined {
  const arch = /^(?:sha256|sm3)sum-([a-z0-9]+)\.txt/.exec(path)?.[1]
  return arch === undefined ? platformOfFile(path) : `linux/${arch}`
}

/** Whether a file that is no blob belongs to it. */
export function selects(selection: Selection, predicate: ReleasePredicate): (path: string) => boolean {
  const { platforms, groups } = selection
  const byPath = (path: string): boolean => {
    const platform = platformOf(path)
    if (platforms !== undefined && platform !== undefined && !(platforms as readonly string[]).includes(platform)) return false
    if (groups === undefined) return true
    if (/^rfo-images-all\.linux-/.test(path)) return false
    return groupFileOf(path)?.groups.every((group) => groups.includes(group)) ?? true
  }
  const chosen = new Set(predicate.files.filter(({ path }) => byPath(path)).map(({ digest }) => hex(digest)))
  const listed = new Set(predicate.files.map(({ digest }) => hex(digest)))
  return (path) => {
    const about = /^evidence\/([0-9a-f]{64})\./.exec(path)?.[1]
    return about !== undefined && listed.has(about) ? chosen.has(about) : byPath(path)
  }
}

/** Files, charts, and the blobs of the chosen images, for the chosen platforms, with everything attached to them. */
export async function chosenFiles(from: ReleaseFiles, predicate: ReleasePredicate, selection: Selection): Promise<readonly ReleaseFile[]> {
  if (selection.platforms === undefined && selection.groups === undefined) return from.files
  const wanted = selects(selection, predicate)
  const blobs = await chosenBlobs(from, predicate, selection)
  return from.files.filter(({ path, digest }) => (blobDigest(path) === undefined ? wanted(path) : blobs.has(digest)))
}

async function chosenBlobs(
  from: ReleaseFiles,
  predicate: ReleasePredicate,
  { platforms, groups }: Selection,
): Promise<ReadonlySet<Digest>> {
  const layout = blobsOf(from)
  const blobs = new Set<Digest>()
  const left = new Set<Digest>()
  for (const image of predicate.images) {
    for (const digest of [image.digest, ...Object.values(image.platforms).flatMap((one) => (one.status === 'made' ? [one.digest] : []))])
      left.add(digest)
    if (groups !== undefined && !image.groups.some((group) => groups.includes(group))) continue
    const made = Object.entries(image.platforms).flatMap(([platform, one]) =>
      one.status === 'made' && (platforms ?? predicate.platforms).includes(platform as PlatformName) ? [one.digest] : [],
    )
    if (made.length === 0) continue
    const index: Descriptor = { mediaType: mediaTypes.index, digest: image.digest, size: image.size }
    for (const digest of [index.digest, ...made]) left.delete(digest)
    for (const manifest of parseIndex(await readBytes(layout, index)).manifests)
      if (made.includes(manifest.digest)) for (const { digest } of await reachable(manifest as Descriptor, layout)) blobs.add(digest)
    blobs.add(index.digest)
  }
  const images = new Set(predicate.images.map(({ digest }) => digest))
  for (const carrier of await besideImages(from, layout, images, left))
    for (const { digest } of await reachable(carrier, layout)) blobs.add(digest)
  return blobs
}

/** What the layout lists besides images: charts, and everything attached, but for what is attached to an image that is left out. */
async function besideImages(
  from: ReleaseFiles,
  layout: ContentReader,
  images: ReadonlySet<Digest>,
  left: ReadonlySet<Digest>,
): Promise<Descriptor[]> {
  const bytes = await smallFile(from, 'oci/index.json', maxLayoutIndexBytes)
  const found: Descriptor[] = []
  for (const entry of bytes === undefined ? [] : parseIndex(bytes, maxLayoutIndexBytes).manifests) {
    if (images.has(entry.digest)) continue
    const tagged = /^sha256-([0-9a-f]{64})\.(sig|att)$/.exec(entry.annotations?.[annotationKeys.refName] ?? '')?.[1]
    const subject = tagged === undefined ? parseNode(entry, await readBytes(layout, entry)).subject?.digest : (`sha256:${tagged}` as Digest)
    if (subject === undefined || !left.has(subject)) found.push(entry)
  }
  return found
}
