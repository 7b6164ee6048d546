/** Walks an image's layers in one pass each: digests and diff_ids checked, the merged view made, files shown to a visitor. */
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { readBytes } from '../content/read.ts'
import type { ContentReader } from '../content/store.ts'
import { unzstd } from '../content/zstd.ts'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { createDigester, type Digest } from '../oci/digest.ts'
import { maxManifestBytes, parseImageConfig, parseManifest } from '../oci/manifest.ts'
import { type SeenFile, spool, type Visitor } from './spool.ts'
import { readTar, splitPath, type TarEntry } from './tar.ts'
import { createTree, type Tree } from './tree.ts'

export interface WalkOptions {
  /** Where files over 1 MiB lie while they are looked at. */
  readonly tempDir: string
  readonly signal?: AbortSignal
}

export interface WalkedImage<T> {
  readonly os: string
  readonly architecture: string
  readonly tree: Tree<T>
}

/** https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#whiteouts */
const whiteoutPrefix = '.wh.'
const opaqueName = '.wh..wh..opq'
/** aufs kept its own files under this prefix; they are no part of an image. */
const aufsPrefix = '.wh..wh.'

/**
 * Throws what the reader throws, RFO_OCI_MANIFEST for what is no image, RFO_INSPECT_LAYER for a layer of an unknown
 * kind, RFO_INSPECT_DIFFID when a layer's bytes are not the config's, RFO_INSPECT_TAR, _PATH and _LIMIT.
 */
export async function walkImage<T>(
  manifest: Descriptor,
  from: ContentReader,
  visitor: Visitor<T>,
  options: WalkOptions,
): Promise<WalkedImage<T>> {
  const { config: configDescriptor, layers } = parseManifest(await readBytes(from, manifest, maxManifestBytes, options.signal))
  const config = parseImageConfig(await readBytes(from, configDescriptor, maxManifestBytes, options.signal))
  const diffIds = config.rootfs.diff_ids
  if (diffIds.length !== layers.length) {
    const what = `${manifest.digest} has ${layers.length} layers and its config ${diffIds.length} diff_ids`
    throw new RfoError('RFO_INSPECT_DIFFID', what, { exit: 'untrusted' })
  }
  const tree = createTree<T>()
  for (const [number, layer] of layers.entries()) {
    try {
      await walkLayer(layer, diffIds[number] as Digest, number, from, tree, visitor, options)
    } catch (thrown) {
      throw thrown instanceof RfoError ? thrown.at(`layer ${number + 1} of ${manifest.digest}`) : thrown
    }
  }
  return { os: config.os, architecture: config.architecture, tree }
}

async function walkLayer<T>(
  layer: Descriptor,
  diffId: Digest,
  number: number,
  from: ContentReader,
  tree: Tree<T>,
  visitor: Visitor<T>,
  options: WalkOptions,
): Promise<void> {
  const plain = createDigester()
  const read = async (source: AsyncIterable<Uint8Array>): Promise<void> => {
    for await (const entry of readTar(digested(source, plain))) await apply(entry, number, tree, visitor, options.tempDir)
  }
  await unpackLayer(layer, from, read, options.signal)
  const found = plain.finish()
  if (found !== diffId) {
    throw new RfoError('RFO_INSPECT_DIFFID', `the config says diff_id ${diffId}, the layer's bytes are ${found}`, { exit: 'untrusted' })
  }
}

/** Gives `read` the layer's tar. Throws what the reader throws, RFO_INSPECT_LAYER, and RFO_INSPECT_BOMB for one that grows for ever. */
export async function unpackLayer(
  layer: Descriptor,
  from: ContentReader,
  read: (tar: AsyncIterable<Uint8Array>) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const unpack = packingOf(layer)
  const bytes = from.fetch(layer, signal)
  const reading = async (source: AsyncIterable<unknown>): Promise<void> => read(bounded(source as AsyncIterable<Uint8Array>, layer))
  const options = signal === undefined ? {} : { signal }
  try {
    if (unpack === 'zstd') await read(bounded(unzstd(bytes), layer))
    else if (unpack === 'none') await read(bytes)
    else await pipeline(Readable.from(bytes, { objectMode: false }), createGunzip({ chunkSize: 64 * 1024 }), reading, options)
  } catch (thrown) {
    signal?.throwIfAborted()
    const { code } = thrown as { readonly code?: unknown }
    const packed = thrown instanceof RfoError ? code === 'RFO_CONTENT_ZSTD' : typeof code === 'string' && /^(Z_|ERR_ZLIB)/.test(code)
    if (!packed) throw thrown
    throw new RfoError('RFO_INSPECT_LAYER', `can't unpack a layer: ${(thrown as Error).message}`, { exit: 'untrusted', cause: thrown })
  }
}

/** bytes; a layer may always grow to this */
const freely = 64 * 1024 * 1024
/** deflate gives at most 1032 bytes for one; zstd has no such limit, and a few kB of it could keep a reader for days */
const ratio = 1100

async function* bounded(source: AsyncIterable<Uint8Array>, layer: Descriptor): AsyncGenerator<Uint8Array> {
  let left = Math.max(freely, layer.size * ratio)
  for await (const chunk of source) {
    left -= chunk.length
    if (left < 0)
      throw new RfoError('RFO_INSPECT_BOMB', `${layer.size} bytes grow to more than ${ratio} times as many`, { exit: 'untrusted' })
    yield chunk
  }
}

export async function* digested(
  source: AsyncIterable<Uint8Array>,
  digester: { update(bytes: Uint8Array): void },
): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    digester.update(chunk)
    yield chunk
  }
}

async function apply<T>(entry: TarEntry, layer: number, tree: Tree<T>, visitor: Visitor<T>, tempDir: string): Promise<void> {
  const { path, mode, size } = entry
  const name = path.at(-1)
  const seen: SeenFile = { path: `/${path.join('/')}`, size, mode }
  if (path.some((part) => part.startsWith(aufsPrefix) && part !== opaqueName)) {
    await drain(entry.body)
    return
  }
  if (name?.startsWith(whiteoutPrefix)) {
    await drain(entry.body)
    if (name === opaqueName) tree.opaque(path.slice(0, -1), layer)
    else tree.whiteout([...path.slice(0, -1), hidden(name)], layer)
    return
  }
  if (entry.kind === 'file') {
    const { sha256, found } = await spool(seen, entry.body, visitor, tempDir)
    tree.addLeaf(path, { kind: 'file', size, mode, sha256, ...(found === undefined ? {} : { found }) }, layer)
    return
  }
  if (entry.kind === 'directory') tree.addFolder(path, layer)
  else if (entry.kind === 'hardlink') tree.addLink(path, splitPath(entry.target), layer)
  else tree.addLeaf(path, { kind: entry.kind, size: 0, mode, ...(entry.kind === 'symlink' ? { target: entry.target } : {}) }, layer)
}

/** `.wh.name` hides `name`; the name must be one that a file could have. */
function hidden(whiteout: string): string {
  const [name, ...more] = splitPath(whiteout.slice(whiteoutPrefix.length))
  if (name === undefined || more.length > 0) {
    throw new RfoError('RFO_INSPECT_PATH', `the whiteout ${JSON.stringify(whiteout)} names no file`, { exit: 'untrusted' })
  }
  return name
}

async function drain(body: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of body) {
    // nobody reads it
  }
}

/** By media type, as the specification says, never by sniffing. */
function packingOf(layer: Descriptor): 'gzip' | 'zstd' | 'none' {
  const { mediaType } = layer
  if (/^application\/vnd\.(oci|docker)\.image\..*\btar[+.]gzip$/.test(mediaType)) return 'gzip'
  if (/^application\/vnd\.(oci|docker)\.image\..*\btar[+.]zstd$/.test(mediaType)) return 'zstd'
  if (/^application\/vnd\.(oci|docker)\.image\..*\btar$/.test(mediaType)) return 'none'
  throw new RfoError('RFO_INSPECT_LAYER', `no way to read a layer of type ${JSON.stringify(mediaType.slice(0, 100))}`, {
    exit: 'untrusted',
  })
}
