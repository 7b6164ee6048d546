/** A moving image tag → what it names now: the index and one manifest per platform, by digest. */
import type { ContentReader } from '../content/store.ts'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { digestOf, isDigest } from '../oci/digest.ts'
import { isIndexType, isManifestType } from '../oci/mediatype.ts'
import { isPlatformName, type PlatformName } from '../oci/platform.ts'
import type { ImagePin, LockedBase, PinnedManifest } from '../plan/lock.ts'
import { parseImageName } from '../plan/reference.ts'

/** `docker.io/rancher/pause` → a reader of that repository; mirrors and stand-ins are the opener's matter. */
export type OpenRepository = (registry: string, repository: string) => Promise<ContentReader> | ContentReader

/** A manifest is at most 4 MiB: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests */
const maxManifest = 4 * 1024 * 1024

/** Throws RFO_UPSTREAM_ABSENT (outside) when the registry has no such tag, RFO_UPSTREAM_MANIFEST (untrusted) for one that can't be read. */
export async function resolveImage(open: OpenRepository, reference: string, signal?: AbortSignal): Promise<ImagePin> {
  const name = parseImageName(reference)
  const reader = await open(name.registry, name.repository)
  const root = await reader.resolve(name.tag)
  if (root === undefined) {
    throw new RfoError('RFO_UPSTREAM_ABSENT', `the registry has no ${reference}`, {
      exit: 'outside',
      next: 'check the tag, or whether the registry still serves it',
    })
  }
  return { kind: 'image', reference, index: pinned(root), platforms: await platformsOf(reader, root, reference, signal) }
}

/** One platform of a base image. Throws RFO_UPSTREAM_PLATFORM (outside) when the image lacks it. */
export async function resolveBase(
  open: OpenRepository,
  base: { readonly reference: string; readonly platform: PlatformName; readonly name: string },
  signal?: AbortSignal,
): Promise<LockedBase> {
  const pin = await resolveImage(open, base.reference, signal)
  const manifest = pin.platforms[base.platform]
  if (manifest === undefined) {
    throw new RfoError('RFO_UPSTREAM_PLATFORM', `${base.reference} has no manifest for ${base.platform}`, {
      exit: 'outside',
      next: `name another base for ${base.platform} in pipelines/release.yaml`,
    })
  }
  return { kind: 'image', name: base.name, reference: base.reference, manifest }
}

async function platformsOf(
  reader: ContentReader,
  root: Descriptor,
  reference: string,
  signal?: AbortSignal,
): Promise<ImagePin['platforms']> {
  const document = await readJson(reader, root, reference, signal)
  if (isManifestType(root.mediaType)) {
    // a single image says in its config what it runs on
    const config = descriptorIn(document.config, reference)
    const platform = platformIn(await readJson(reader, config, reference, signal))
    return platform === undefined ? {} : { [platform]: pinned(root) }
  }
  if (!isIndexType(root.mediaType) || !Array.isArray(document.manifests)) throw unreadable(reference, `media type ${root.mediaType}`)
  const found: Partial<Record<PlatformName, PinnedManifest>> = {}
  for (const entry of document.manifests) {
    const descriptor = descriptorIn(entry, reference)
    const platform = platformIn((entry as { platform?: unknown }).platform)
    // buildkit's attestations have platform unknown/unknown; the first of two manifests for a platform is what clients take
    if (platform !== undefined && isManifestType(descriptor.mediaType)) found[platform] ??= pinned(descriptor)
  }
  return found
}

function platformIn(value: unknown): PlatformName | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { os, architecture } = value as { os?: unknown; architecture?: unknown }
  const name = `${os}/${architecture}`
  return isPlatformName(name) ? name : undefined
}

function descriptorIn(value: unknown, reference: string): Descriptor {
  const { mediaType, digest, size } = (typeof value === 'object' && value !== null ? value : {}) as {
    mediaType?: unknown
    digest?: unknown
    size?: unknown
  }
  if (
    typeof mediaType !== 'string' ||
    typeof digest !== 'string' ||
    !isDigest(digest) ||
    typeof size !== 'number' ||
    !Number.isSafeInteger(size) ||
    size < 0
  ) {
    throw unreadable(reference, 'a descriptor in it is none')
  }
  return { mediaType, digest, size }
}

async function readJson(
  reader: ContentReader,
  target: Descriptor,
  reference: string,
  signal?: AbortSignal,
): Promise<Record<string, unknown>> {
  if (target.size > maxManifest) throw unreadable(reference, `${target.size} bytes`)
  const chunks: Uint8Array[] = []
  for await (const chunk of reader.fetch(target, signal)) chunks.push(chunk)
  const bytes = Buffer.concat(chunks)
  if (bytes.length !== target.size || digestOf(bytes) !== target.digest) throw unreadable(reference, 'bytes of another digest')
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'))
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  } catch {
    // said below
  }
  throw unreadable(reference, 'no JSON object')
}

function pinned({ mediaType, digest, size }: Descriptor): PinnedManifest {
  return { mediaType, digest, size }
}

function unreadable(reference: string, why: string): RfoError {
  return new RfoError('RFO_UPSTREAM_MANIFEST', `the manifest of ${reference} can't be read: ${why}`, {
    exit: 'untrusted',
    next: 'do not use this registry before you know why',
  })
}
