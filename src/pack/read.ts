/** Group archives, read back: one pass, everything verified, nothing accepted that writeGroupArchive would not have written. */
import { bytesBody, gather, verified } from '../content/body.ts'
import { gunzipped } from '../content/gzip.ts'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { type Manifest, maxManifestBytes, parseIndex, parseManifest } from '../oci/manifest.ts'
import { annotationKeys } from '../oci/mediatype.ts'
import { isPlatformName, type PlatformName } from '../oci/platform.ts'
import type { ArchiveKind } from '../plan/component.ts'
import { blobName, type Contents, checkPlatform, contentsFrom, distinctManifests, type GroupImage } from './contents.ts'
import { unzstdFrames } from './unframe.ts'
import { readTarFiles, type TarFile } from './untar.ts'

/** `body` must be read to its end before the next blob comes. */
export interface ArchiveBlob {
  readonly blob: Descriptor
  readonly body: AsyncIterable<Uint8Array>
}

export interface GroupArchive {
  readonly platform: PlatformName
  /** seconds */
  readonly epoch: number
  /** sorted by reference */
  readonly images: readonly GroupImage[]
  /** Once: every blob in the archive's order, verified as it streams. The archive is whole only when this has ended without an error. */
  blobs(): AsyncGenerator<ArchiveBlob, void, undefined>
}

/** A group has some fifty images; who names more wants our memory. */
const mostImages = 1000
/** bytes */
const mostManifests = 1 << 26
const largestFile = 2 * maxManifestBytes

/**
 * Reads up to the last manifest: from there on all that must follow is known. Throws RFO_PACK_ZSTD and RFO_PACK_TAR for
 * broken files, RFO_PACK_ARCHIVE for one that holds something else than its images, RFO_CONTENT_DIGEST for a blob that is
 * not what its name says.
 */
export async function openGroupArchive(source: AsyncIterable<Uint8Array>, kind: ArchiveKind = 'tar.zst'): Promise<GroupArchive> {
  const entries = readTarFiles(kind === 'tar.gz' ? plainOf(source) : unzstdFrames(source))
  try {
    const front: Buffer[] = []
    let epoch = 0
    for (const name of ['manifest.json', 'oci-layout', 'index.json']) {
      const entry = await next(entries, name)
      if (entry.size > largestFile) throw refused(`${name} has ${entry.size} bytes`)
      epoch = entry.mtime
      front.push(await gather(entry.body))
    }
    const { platform, images } = imagesOf(front[2] as Buffer)
    const manifests = new Map<Digest, Manifest>()
    const first: ArchiveBlob[] = []
    for (const blob of distinctManifests(images)) {
      const bytes = await gather((await nextBlob(entries, blob)).body)
      manifests.set(blob.digest, parseManifest(bytes))
      first.push({ blob, body: bytesBody(bytes) })
    }
    const contents = contentsFrom(platform, images, manifests)
    for (const [i, { name, bytes }] of contents.files.entries()) {
      if (front[i]?.equals(bytes) !== true) throw refused(`${name} is not what the manifests make it`)
    }
    return { platform, epoch, images, blobs: () => blobsOf(platform, contents, manifests, first, entries) }
  } catch (thrown) {
    await entries.return()
    throw thrown
  }
}

async function* plainOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* gunzipped(source)
  } catch (thrown) {
    // zlib's own codes; a disk that can't be read says nothing of the archive
    if (!/^Z_/.test((thrown as NodeJS.ErrnoException).code ?? '')) throw thrown
    throw new RfoError('RFO_PACK_GZIP', `not gzip: ${(thrown as Error).message}`, { exit: 'untrusted', cause: thrown })
  }
}

/** The whole archive, verified and thrown away. Gives what it holds. */
export async function checkGroupArchive(source: AsyncIterable<Uint8Array>, kind?: ArchiveKind): Promise<Omit<GroupArchive, 'blobs'>> {
  const { blobs, ...archive } = await openGroupArchive(source, kind)
  for await (const { body } of blobs()) for await (const _ of body);
  return archive
}

async function* blobsOf(
  platform: PlatformName,
  contents: Contents,
  manifests: ReadonlyMap<Digest, Manifest>,
  first: readonly ArchiveBlob[],
  entries: AsyncGenerator<TarFile, void, undefined>,
): AsyncGenerator<ArchiveBlob, void, undefined> {
  const configs = new Set([...manifests.values()].map((manifest) => manifest.config.digest))
  try {
    yield* first
    for (const { blob } of contents.blobs.slice(first.length)) {
      const entry = await nextBlob(entries, blob)
      if (!configs.has(blob.digest)) {
        yield entry
        continue
      }
      if (blob.size > maxManifestBytes) throw refused(`the config ${blob.digest} has ${blob.size} bytes`)
      const bytes = await gather(entry.body)
      checkPlatform(blob.digest, platform, bytes, 'untrusted')
      yield { blob, body: bytesBody(bytes) }
    }
    const more = await entries.next()
    if (more.done !== true) throw refused(`${JSON.stringify(more.value.name)} belongs to no image`)
  } finally {
    await entries.return()
  }
}

function imagesOf(index: Buffer): { platform: PlatformName; images: readonly GroupImage[] } {
  const { manifests } = parseIndex(index, largestFile)
  const first = manifests[0]?.platform
  const platform = `${first?.os}/${first?.architecture}`
  if (!isPlatformName(platform)) throw refused('its index names no platform of ours')
  if (manifests.length > mostImages) throw refused(`its index names ${manifests.length} images`)
  const images = manifests.map(({ mediaType, digest, size, annotations }) => {
    return { reference: annotations?.[annotationKeys.refName] ?? '', manifest: { mediaType, digest, size } }
  })
  const total = images.reduce((sum, { manifest }) => sum + manifest.size, 0)
  if (total > mostManifests) throw refused(`its manifests have ${total} bytes`)
  return { platform, images }
}

async function nextBlob(entries: AsyncGenerator<TarFile, void, undefined>, blob: Descriptor): Promise<ArchiveBlob> {
  const entry = await next(entries, blobName(blob))
  if (entry.size !== blob.size) throw refused(`${entry.name} has ${entry.size} bytes instead of ${blob.size}`)
  return { blob, body: verified(blob, entry.body) }
}

async function next(entries: AsyncGenerator<TarFile, void, undefined>, name: string): Promise<TarFile> {
  const entry = await entries.next()
  if (entry.done === true) throw refused(`it ends where ${name} should be`)
  if (entry.value.name !== name) throw refused(`${JSON.stringify(entry.value.name)} stands where ${name} should be`)
  return entry.value
}

function refused(why: string): RfoError {
  return new RfoError('RFO_PACK_ARCHIVE', `not a group archive of ours: ${why}`, { exit: 'untrusted' })
}
