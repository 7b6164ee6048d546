/**
 * Images as one tar that containerd imports: an OCI layout whose entries bear the names that containers ask for. The entry of
 * an image is what the release lists, index and all, so that the node knows it by the digest that ships; of other platforms
 * it holds nothing. https://github.com/containerd/containerd/blob/v1.6.8/images/archive/importer.go
 */
import { createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { readBytes } from '../content/read.ts'
import type { ContentReader } from '../content/store.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { hex } from '../oci/digest.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { parseIndex, parseManifest } from '../oci/manifest.ts'
import { isIndexType, mediaTypes } from '../oci/mediatype.ts'
import { type PlatformName, platformOf } from '../oci/platform.ts'
import { blockSize, headerBlocks, padding } from '../oci/tar-header.ts'
import { clusterError } from './refusal.ts'

export interface NodeImage {
  /** every name that it shall have on the node: `docker.io/rfolabs/pause:3.6` */
  readonly names: readonly string[]
  /** index, or one platform's manifest */
  readonly target: Descriptor
  readonly from: ContentReader
}

export async function writeImageArchive(
  file: string,
  images: readonly NodeImage[],
  platform: PlatformName,
  signal?: AbortSignal,
): Promise<void> {
  await pipeline(archiveBytes(images, platform), createWriteStream(file), signal === undefined ? {} : { signal })
}

async function* archiveBytes(images: readonly NodeImage[], platform: PlatformName): AsyncGenerator<Uint8Array, void, undefined> {
  const written = new Set<string>()
  const entries: Json[] = []
  yield* small('oci-layout', canonicalJson({ imageLayoutVersion: '1.0.0' }))
  for (const { names, target, from } of images) {
    for (const each of await graphOf(target, from, platform)) {
      if (written.has(each.digest)) continue
      written.add(each.digest)
      yield header(`blobs/sha256/${hex(each.digest)}`, each.size)
      yield* from.fetch(each)
      yield Buffer.alloc(padding(each.size))
    }
    const { mediaType, digest, size } = target
    entries.push(
      ...names.map((name) => ({
        mediaType,
        digest,
        size,
        annotations: { 'io.containerd.image.name': name, 'org.opencontainers.image.ref.name': name },
      })),
    )
  }
  yield* small('index.json', canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: entries }))
  yield Buffer.alloc(2 * blockSize)
}

/** What of an image one platform needs, index first. */
async function graphOf(target: Descriptor, from: ContentReader, platform: PlatformName): Promise<Descriptor[]> {
  if (!isIndexType(target.mediaType)) {
    const { config, layers } = parseManifest(await readBytes(from, target))
    return [target, config, ...layers]
  }
  const { architecture } = platformOf(platform)
  const own = parseIndex(await readBytes(from, target)).manifests.find(
    (each) => each.platform?.os === 'linux' && each.platform.architecture === architecture,
  )
  if (own === undefined) throw clusterError('READY', `the image ${target.digest} has no ${platform}`)
  return [target, ...(await graphOf(own, from, platform))]
}

function* small(name: string, text: string): Generator<Uint8Array, void, undefined> {
  const bytes = Buffer.from(text, 'utf8')
  yield header(name, bytes.length)
  yield bytes
  yield Buffer.alloc(padding(bytes.length))
}

function header(name: string, size: number): Uint8Array {
  return headerBlocks({ name, type: 'file', mode: 0o644, size, mtime: 0, link: '' })
}
