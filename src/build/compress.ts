/** A layer's compressed form. Constant memory, and the same bytes for the same tar whoever feeds it and in whatever pieces. */
import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { constants, zstdCompress } from 'node:zlib'
import { gzipLevel, gzipped, pieces } from '../content/gzip.ts'
import type { ContentStore } from '../content/store.ts'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { createDigester, type Digest } from '../oci/digest.ts'
import { mediaTypes } from '../oci/mediatype.ts'

export interface CompressedLayer {
  readonly layer: Descriptor
  /** digest of the uncompressed tar */
  readonly diffId: Digest
}

export interface CompressOptions {
  /** for one temporary file of the compressed size */
  readonly workDir?: string
  readonly signal?: AbortSignal
}

/**
 * RKE2's archive reader gives a zstd decoder 1<<25 bytes (https://github.com/rancher/wharfie, tarfile.go: MaxDecoderMemory);
 * a larger window is refused there. Frames of that much input are independent, so two cores can make them.
 */
const frameBytes = 1 << 25
const largestWindowLog = 25
const zstdLevel = 9

/** For task keys: what decides the bytes besides the tar. */
export const layerEncoder = `layer@1 zstd-${zstdLevel}/${frameBytes >> 20}MiB ${process.versions.zstd} gzip-${gzipLevel} ${process.versions.zlib}`

const compressFrame = promisify(zstdCompress)

/** Pushes the compressed layer. Throws what the store throws when the tar is not the one named. */
export async function compressLayer(
  tar: Descriptor,
  encoding: 'zstd' | 'gzip',
  store: ContentStore,
  options: CompressOptions = {},
): Promise<CompressedLayer> {
  const folder = options.workDir ?? tmpdir()
  await mkdir(folder, { recursive: true })
  const temporary = join(folder, `.layer-${randomUUID()}`)
  const handle = await open(temporary, 'wx', 0o600)
  try {
    const plain = createDigester()
    const packed = createDigester()
    let size = 0
    const source = digested(store.fetch(tar, options.signal), plain)
    for await (const chunk of encoding === 'zstd' ? zstdFrames(source) : gzipped(source)) {
      options.signal?.throwIfAborted()
      packed.update(chunk)
      await writeAll(handle, chunk, temporary)
      size += chunk.length
    }
    await handle.close()
    const layer: Descriptor = {
      mediaType: encoding === 'zstd' ? mediaTypes.layerZstd : mediaTypes.layerGzip,
      digest: packed.finish(),
      size,
    }
    await store.push(layer, bytesOf(temporary))
    return { layer, diffId: plain.finish() }
  } finally {
    await handle.close().catch(() => {})
    await rm(temporary, { force: true })
  }
}

/** Opened by whoever reads it: a store that has these bytes never does, and a stream would find its file gone. */
async function* bytesOf(file: string): AsyncGenerator<Uint8Array, void, undefined> {
  yield* createReadStream(file, { highWaterMark: 1 << 20 })
}

async function writeAll(handle: FileHandle, chunk: Uint8Array, file: string): Promise<void> {
  try {
    await handle.writeFile(chunk)
  } catch (cause) {
    throw new RfoError('RFO_BUILD_SPACE', `can't write ${file}: ${(cause as Error).message}`, {
      exit: 'machine',
      cause,
      next: 'free some space',
    })
  }
}

async function* digested(
  source: AsyncIterable<Uint8Array>,
  digester: { update(bytes: Uint8Array): void },
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of source) {
    digester.update(chunk)
    yield chunk
  }
}

/** https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1: frames one after the other; two are made at a time. */
async function* zstdFrames(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, void, undefined> {
  let before: Promise<Buffer> | undefined
  try {
    for await (const piece of pieces(source, frameBytes)) {
      const frame = zstdFrame(piece)
      frame.catch(() => {}) // awaited below, one turn later
      if (before !== undefined) yield await before
      before = frame
    }
    if (before !== undefined) yield await before
  } finally {
    await before?.catch(() => {})
  }
}

async function zstdFrame(piece: Buffer): Promise<Buffer> {
  const windowLog = Math.min(largestWindowLog, Math.max(10, Math.ceil(Math.log2(Math.max(piece.length, 2)))))
  const params = {
    [constants.ZSTD_c_compressionLevel]: zstdLevel,
    [constants.ZSTD_c_windowLog]: windowLog,
    [constants.ZSTD_c_enableLongDistanceMatching]: 1,
    [constants.ZSTD_c_checksumFlag]: 1,
  }
  return (await compressFrame(piece, { params })) as Buffer
}
