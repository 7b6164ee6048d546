/**
 * Group archives, `rfo-images-<group>.linux-<arch>.tar.zst`: one tar that is an OCI layout and a docker-archive over the same
 * blobs, each once. containerd reads `index.json`; RKE2 looks rfo-runtime up in `manifest.json`, which therefore comes first.
 *
 *     manifest.json  oci-layout  index.json  blobs/sha256/<hex> ...
 */
import { verified } from '../content/read.ts'
import type { ContentReader } from '../content/store.ts'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { annotationKeys } from '../oci/mediatype.ts'
import type { PlatformName } from '../oci/platform.ts'
import { blockSize, headerBlocks, padding } from '../oci/tar-header.ts'
import { type Contents, contentsOf, type GroupImage } from './contents.ts'
import { type FrameEntry, frameEncoder, zstdFrames } from './frames.ts'

export interface GroupArchiveRequest {
  readonly platform: PlatformName
  /** in any order; each a flat manifest of `platform` */
  readonly images: readonly GroupImage[]
  /** seconds; every entry's time */
  readonly epoch: number
  /** the title of what is made */
  readonly file?: string
}

/** A store that takes a stream whose digest nobody knows yet, as the working store does: whole or not at all. */
export interface StreamStore {
  pushStream(mediaType: string, body: AsyncIterable<Uint8Array>, extra?: Partial<Descriptor>): Promise<Descriptor>
}

/** https://www.rfc-editor.org/rfc/rfc8878#section-7.1 */
export const archiveMediaType = 'application/zstd'

/** For task keys: what decides the bytes besides the images, their names and the epoch. */
export const archiveEncoder = `archive@1 ${frameEncoder}`

/**
 * One pass over the blobs, each verified as it passes. Throws RFO_PACK_IMAGES for no image or one reference twice,
 * RFO_PACK_REFERENCE for a name without a tag, RFO_PACK_PLATFORM for an image of another platform, and what the stores throw.
 */
export async function writeGroupArchive(
  request: GroupArchiveRequest,
  from: ContentReader,
  to: StreamStore,
  signal?: AbortSignal,
): Promise<Descriptor> {
  return await to.pushStream(archiveMediaType, groupArchiveBytes(request, from, signal), titled(request.file))
}

/** What writeGroupArchive writes, as a stream. */
export async function* groupArchiveBytes(
  request: GroupArchiveRequest,
  from: ContentReader,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (request.images.length === 0) {
    throw new RfoError('RFO_PACK_IMAGES', `no image for ${request.platform}: there is no archive of nothing`, { exit: 'usage' })
  }
  const contents = await contentsOf(request.platform, request.images, from, signal)
  yield* zstdFrames(tarEntries(contents, request.epoch, from, signal))
}

/** The tar alone, for who reads no zstd: what decoding writeGroupArchive's bytes gives. */
export async function* groupTarBytes(
  request: GroupArchiveRequest,
  from: ContentReader,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const contents = await contentsOf(request.platform, request.images, from, signal)
  for await (const { chunks } of tarEntries(contents, request.epoch, from, signal)) yield* chunks
}

function titled(file: string | undefined): Partial<Descriptor> {
  return file === undefined ? {} : { annotations: { [annotationKeys.title]: file } }
}

async function* tarEntries(
  { files, blobs }: Contents,
  epoch: number,
  from: ContentReader,
  signal: AbortSignal | undefined,
): AsyncGenerator<FrameEntry, void, undefined> {
  const header = (name: string, size: number): Buffer => headerBlocks({ name, type: 'file', mode: 0o644, size, mtime: epoch, link: '' })
  const entry = (name: string, size: number, packed: boolean, body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): FrameEntry => ({
    size: blockSize + size + padding(size),
    packed,
    chunks: (async function* () {
      yield header(name, size)
      yield* body
      yield Buffer.alloc(padding(size))
    })(),
  })
  for (const { name, bytes } of files) yield entry(name, bytes.length, false, [bytes])
  for (const { name, blob, packed } of blobs) yield entry(name, blob.size, packed, verified(blob, from.fetch(blob, signal)))
  // "two 512-octet blocks filled with binary zeros" end the archive
  yield { size: 2 * blockSize, packed: false, chunks: [Buffer.alloc(2 * blockSize)] }
}
