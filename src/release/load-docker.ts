/**
 * A verified release's images into Docker, of any version: layers in zstd, which Docker before 23 does not read, are unpacked on the way.
 * What Docker calls an image is the digest of its config, which the signed manifest names.
 */
import { readBytes } from '../content/read.ts'
import type { ContentReader } from '../content/store.ts'
import { unzstd } from '../content/zstd.ts'
import type { DaemonOptions } from '../daemon/containerd.ts'
import { dockerImages, loadArchive, refuseOtherStore } from '../daemon/docker.ts'
import { RfoError } from '../error.ts'
import { type Layer, layersOf } from '../inspect/layers.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { createDigester, type Digest, hex } from '../oci/digest.ts'
import { canonicalJson } from '../oci/json.ts'
import { parseManifest } from '../oci/manifest.ts'
import { blockSize, headerBlocks, padding } from '../oci/tar-header.ts'
import { imagesIn } from './group-archive.ts'
import { legacyGroups } from './lists.ts'
import type { LoadedImage } from './load.ts'
import { type DaemonLoad, refuseOthers } from './load-containerd.ts'
import { blobsOf } from './shelf.ts'
import { fullName, isWanted, signedImages } from './signed-images.ts'

/** An image of a release as Docker knows it. */
interface DockerImage {
  readonly reference: string
  readonly config: Descriptor
  /** of the platform's image: what is signed */
  readonly digest: Digest
}

interface Work extends DockerImage {
  readonly layers: readonly Layer[]
}

/** Nothing is written when a name is refused. Throws RFO_LOAD_EXISTING (condition), RFO_LOAD_DOCKER (machine). */
export async function loadIntoDocker(request: DaemonLoad): Promise<readonly LoadedImage[]> {
  const { files, predicate, platform, groups = legacyGroups, existing, env, signal } = request
  const options = { env, signal }
  signedImages(predicate, platform, groups)
  await refuseOtherStore(options)
  const from = blobsOf(files)
  const works: Work[] = []
  for (const { reference, manifest } of await imagesIn(predicate, platform, groups, from)) {
    const { config } = parseManifest(await readBytes(from, manifest))
    works.push({ reference: fullName(reference), config, layers: await layersOf(manifest, from), digest: manifest.digest })
  }
  const before = statesOf(works, await dockerImages(options))
  refuseOthers(before, existing, 'docker:')
  const wanted = works.filter((_, n) => isWanted(before[n]?.state, existing))
  if (wanted.length === 0) return before
  await loadArchive(dockerArchive(wanted, predicate.epoch, from, signal), options)
  return statesOf(works, await dockerImages(options))
}

/** What Docker has of these groups. Throws RFO_LOAD_GROUP (condition), RFO_LOAD_DOCKER (machine). */
export async function heldByDocker(
  { files, predicate }: Pick<DaemonLoad, 'files' | 'predicate'>,
  platform: DaemonLoad['platform'],
  groups: readonly string[],
  options: DaemonOptions,
): Promise<LoadedImage[]> {
  await refuseOtherStore(options)
  const from = blobsOf(files)
  const images: DockerImage[] = []
  for (const { reference, manifest } of await imagesIn(predicate, platform, groups, from))
    images.push({ reference: fullName(reference), config: parseManifest(await readBytes(from, manifest)).config, digest: manifest.digest })
  return statesOf(images, await dockerImages(options))
}

function statesOf(works: readonly DockerImage[], held: ReadonlyMap<string, Digest>): LoadedImage[] {
  const byName = new Map([...held].flatMap(([name, id]) => (name.includes('<none>') ? [] : [[fullName(name), id] as const])))
  return works.map(({ reference, digest, config }) => {
    const id = byName.get(reference)
    return { reference, digest, state: id === undefined ? 'missing' : id === config.digest ? 'present' : 'other' }
  })
}

/** https://github.com/moby/docker-image-spec/blob/v1.3.1/spec.md#combined-image-json--filesystem-changeset-format */
async function* dockerArchive(
  works: readonly Work[],
  epoch: number,
  from: ContentReader,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const header = (name: string, size: number): Buffer => headerBlocks({ name, type: 'file', mode: 0o644, size, mtime: epoch, link: '' })
  const whole = function* (name: string, bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
    yield header(name, bytes.length)
    yield bytes
    yield Buffer.alloc(padding(bytes.length))
  }
  const entries = works.map(({ reference, config, layers }) => ({
    Config: `${hex(config.digest)}.json`,
    Layers: layers.map(({ diffId }) => `${hex(diffId)}.tar`),
    RepoTags: [reference],
  }))
  yield* whole('manifest.json', Buffer.from(canonicalJson(entries)))
  const configs = new Map(works.map(({ config }) => [config.digest, config]))
  for (const config of configs.values()) yield* whole(`${hex(config.digest)}.json`, await readBytes(from, config))
  const layers = new Map(works.flatMap((work) => work.layers.map((each) => [each.diffId, each] as const)))
  for (const each of layers.values()) {
    const { layer, diffId } = each
    const packed = /[.+]zstd$/.test(layer.mediaType)
    // a tar says the size first, and no layer says how large it is unpacked
    const size = packed ? await plainSize(each, from, signal) : layer.size
    yield header(`${hex(diffId)}.tar`, size)
    yield* packed ? unzstd(from.fetch(layer, signal)) : from.fetch(layer, signal)
    yield Buffer.alloc(padding(size))
  }
  yield Buffer.alloc(2 * blockSize)
}

async function plainSize({ layer, diffId }: Layer, from: ContentReader, signal: AbortSignal): Promise<number> {
  const digester = createDigester()
  let size = 0
  for await (const bytes of unzstd(from.fetch(layer, signal))) {
    digester.update(bytes)
    size += bytes.length
  }
  if (digester.finish() === diffId) return size
  throw new RfoError('RFO_LOAD_DIFFID', `the layer's bytes are not those of diff_id ${diffId}`, { exit: 'untrusted', where: layer.digest })
}
