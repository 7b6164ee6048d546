/** What a group archive holds, in its order: decided by the images alone, so that a reader can derive it again and compare. */
import { readBytes } from '../content/read.ts'
import type { ContentReader } from '../content/store.ts'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, hex } from '../oci/digest.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { type Manifest, parseImageConfig, parseManifest } from '../oci/manifest.ts'
import { annotationKeys, isManifestType, mediaTypes } from '../oci/mediatype.ts'
import { type PlatformName, platformOf } from '../oci/platform.ts'
import { formatReference, parseReference } from '../oci/reference.ts'

export interface GroupImage {
  /** with a tag: RKE2 v1.24.8 finds images in archives by tag alone */
  readonly reference: string
  /** of one platform */
  readonly manifest: Descriptor
}

export interface Contents {
  readonly files: readonly { readonly name: string; readonly bytes: Buffer }[]
  readonly blobs: readonly { readonly name: string; readonly blob: Descriptor; readonly packed: boolean }[]
}

/** https://github.com/containerd/containerd/blob/v1.6.20/images/annotations.go */
const containerdName = 'io.containerd.image.name'

/** Refuses what could not be imported: images without a tag, twice the same, of another platform. */
export async function contentsOf(
  platform: PlatformName,
  images: readonly GroupImage[],
  from: ContentReader,
  signal?: AbortSignal,
): Promise<Contents> {
  const named = sorted(images)
  const manifests = new Map<Digest, Manifest>()
  for (const { reference, manifest } of named) {
    if (manifests.has(manifest.digest)) continue
    if (!isManifestType(manifest.mediaType)) throw otherPlatform(reference, platform, `it is a ${manifest.mediaType}`, 'usage')
    const parsed = parseManifest(await readBytes(from, manifest, undefined, signal))
    checkPlatform(reference, platform, await readBytes(from, parsed.config, undefined, signal), 'usage')
    manifests.set(manifest.digest, parsed)
  }
  return contentsFrom(platform, named, manifests)
}

/** Throws RFO_PACK_PLATFORM when an image's config names another platform. */
export function checkPlatform(image: string, platform: PlatformName, config: Uint8Array, exit: 'usage' | 'untrusted'): void {
  const { os, architecture } = parseImageConfig(config)
  if (platformOf(platform).os === os && platformOf(platform).architecture === architecture) return
  throw otherPlatform(image, platform, `its config says ${os}/${architecture}`, exit)
}

/** `images` sorted; `manifests` has all of theirs. */
export function contentsFrom(platform: PlatformName, images: readonly GroupImage[], manifests: ReadonlyMap<Digest, Manifest>): Contents {
  return {
    files: [
      { name: 'manifest.json', bytes: Buffer.from(dockerManifest(images, manifests)) },
      { name: 'oci-layout', bytes: Buffer.from(canonicalJson({ imageLayoutVersion: '1.0.0' })) },
      { name: 'index.json', bytes: Buffer.from(flatIndex(platform, images)) },
    ],
    blobs: orderedBlobs(images, manifests),
  }
}

/** By reference in its full spelling. */
function sorted(images: readonly GroupImage[]): GroupImage[] {
  const byName = new Map<string, GroupImage>()
  for (const image of images) {
    const parsed = parseReference(image.reference)
    if (parsed.tag === undefined || parsed.digest !== undefined) {
      throw new RfoError('RFO_PACK_REFERENCE', `${image.reference}: an archive names its images by tag`, { exit: 'usage' })
    }
    const reference = formatReference(parsed)
    if (byName.has(reference)) throw new RfoError('RFO_PACK_IMAGES', `${reference} comes twice`, { exit: 'usage' })
    byName.set(reference, { reference, manifest: image.manifest })
  }
  return [...byName.keys()].sort().map((name) => byName.get(name) as GroupImage)
}

/** https://github.com/moby/docker-image-spec/blob/v1.3.1/spec.md#combined-image-json--filesystem-changeset-format */
function dockerManifest(images: readonly GroupImage[], manifests: ReadonlyMap<Digest, Manifest>): string {
  const entries = new Map<Digest, { readonly Config: string; readonly Layers: readonly string[]; readonly RepoTags: string[] }>()
  for (const image of images) {
    const { config, layers } = manifests.get(image.manifest.digest) as Manifest
    const entry = entries.get(image.manifest.digest) ?? { Config: blobName(config), Layers: layers.map(blobName), RepoTags: [] }
    entry.RepoTags.push(image.reference)
    entries.set(image.manifest.digest, entry)
  }
  return canonicalJson([...entries.values()])
}

/**
 * Manifests of the one platform, without an index above them: containerd before 1.7.17 refuses a whole archive for one
 * platform of an index that is not in it.
 */
function flatIndex(platform: PlatformName, images: readonly GroupImage[]): string {
  const manifests = images.map(({ reference, manifest: { mediaType, digest, size } }) => ({
    mediaType,
    digest,
    size,
    platform: { ...platformOf(platform) },
    annotations: { [containerdName]: reference, [annotationKeys.refName]: reference },
  }))
  return canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.index, manifests } as Json)
}

/**
 * Manifests, configs, layers: who looks for one image reads no layer of another, and a reader knows all that is to come once
 * it has the manifests. Layers that most images share come first. Within that, by digest.
 */
function orderedBlobs(images: readonly GroupImage[], manifests: ReadonlyMap<Digest, Manifest>): Contents['blobs'] {
  const distinct = distinctManifests(images)
  const parsed = distinct.map(({ digest }) => manifests.get(digest) as Manifest)
  const sharedBy = new Map<Digest, number>()
  for (const { layers } of parsed) {
    for (const digest of new Set(layers.map((layer) => layer.digest))) sharedBy.set(digest, (sharedBy.get(digest) ?? 0) + 1)
  }
  const shared = ({ digest }: Descriptor): number => sharedBy.get(digest) ?? 0
  const ordered = [
    ...distinct,
    ...parsed.map(({ config }) => config).sort(byDigest),
    ...parsed.flatMap(({ layers }) => layers).sort((a, b) => shared(b) - shared(a) || byDigest(a, b)),
  ]
  const once = new Map<Digest, Descriptor>()
  for (const blob of ordered) if (!once.has(blob.digest)) once.set(blob.digest, blob)
  return [...once.values()].map((blob) => ({ name: blobName(blob), blob, packed: isPacked(blob.mediaType) }))
}

/** In the order in which they stand in the archive. */
export function distinctManifests(images: readonly GroupImage[]): Descriptor[] {
  return [...new Map(images.map(({ manifest }) => [manifest.digest, manifest])).values()].sort(byDigest)
}

function byDigest(a: Descriptor, b: Descriptor): number {
  return a.digest < b.digest ? -1 : a.digest > b.digest ? 1 : 0
}

export function blobName({ digest }: Descriptor): string {
  return `blobs/sha256/${hex(digest)}`
}

function isPacked(mediaType: string): boolean {
  return /[.+](gzip|zstd)$/.test(mediaType)
}

function otherPlatform(reference: string, platform: PlatformName, why: string, exit: 'usage' | 'untrusted'): RfoError {
  return new RfoError('RFO_PACK_PLATFORM', `${reference} is no image of ${platform}: ${why}`, { exit })
}
