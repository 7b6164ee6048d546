/**
 * A tar as independent zstd frames (https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1), cut at its entries: to any
 * reader one ordinary stream, to us pieces that can be checked and fetched alone. Each frame says how much it holds.
 *
 * What is compressed already is stored: even zstd over gzip gains 0.2 % only, and stored bytes cost no CPU, no memory, and are the
 * same from any version of libzstd. Such frames carry no checksum: blobs have their SHA-256 for a name.
 */
import { promisify } from 'node:util'
import { constants, zstdCompress } from 'node:zlib'
import { frameBytes, seekWriter } from './seek.ts'

/** Some bytes of a tar that begin an entry: its header, content and padding. */
export interface FrameEntry {
  /** bytes of `chunks`, exactly */
  readonly size: number
  /** compressed already */
  readonly packed: boolean
  readonly chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>
}

/** bytes; "Block_Maximum_Size is the smallest of Window_Size or 128 KB": https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1.2.4 */
const blockBytes = 1 << 17
/** Layers' own level, for what nobody has compressed yet: manifests, configs, an odd layer. */
const level = 9

/** For task keys: what decides the bytes besides the tar. */
export const frameEncoder = `frames@2 stored zstd-${level}/${frameBytes >> 20}MiB ${process.versions.zstd}`

/** Bytes of a frame; the first of each say how much it holds. */
interface Piece {
  readonly begins?: number
  readonly bytes: Uint8Array
}

/** The same entries give the same frames, in whatever chunks they come. Their index follows them. */
export async function* zstdFrames(entries: AsyncIterable<FrameEntry>): AsyncGenerator<Uint8Array, void, undefined> {
  const index = seekWriter()
  for await (const { begins, bytes } of framesOf(entries)) {
    if (begins !== undefined) index.begin(begins)
    index.add(bytes)
    yield bytes
  }
  const { digests, table } = index.end()
  yield digests
  yield table
}

async function* framesOf(entries: AsyncIterable<FrameEntry>): AsyncGenerator<Piece, void, undefined> {
  const buffer = Buffer.allocUnsafeSlow(frameBytes)
  let filled = 0
  for await (const { size, packed, chunks } of entries) {
    if (filled > 0 && (packed || size > frameBytes - filled)) {
      yield await compressedFrame(buffer.subarray(0, filled))
      filled = 0
    }
    if (packed) {
      yield* storedFrames(size, chunks)
      continue
    }
    for await (const bytes of chunks) {
      for (let at = 0; at < bytes.length; ) {
        const taken = Math.min(bytes.length - at, frameBytes - filled)
        buffer.set(bytes.subarray(at, at + taken), filled)
        at += taken
        filled += taken
        if (filled < frameBytes) continue
        yield await compressedFrame(buffer)
        filled = 0
      }
    }
  }
  if (filled > 0) yield await compressedFrame(buffer.subarray(0, filled))
}

async function compressedFrame(bytes: Buffer): Promise<Piece> {
  const params = { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 }
  // without it a frame would not say how much it holds
  return { begins: bytes.length, bytes: (await promisify(zstdCompress)(bytes, { params, pledgedSrcSize: bytes.length })) as Buffer }
}

async function* storedFrames(size: number, chunks: FrameEntry['chunks']): AsyncGenerator<Piece, void, undefined> {
  let left = size
  let inFrame = 0
  let inBlock = 0
  for await (const bytes of chunks) {
    for (let at = 0; at < bytes.length; ) {
      if (inFrame === 0) {
        inFrame = Math.min(left, frameBytes)
        yield { begins: inFrame, bytes: frameHeader(inFrame) }
      }
      if (inBlock === 0) {
        inBlock = Math.min(inFrame, blockBytes)
        yield { bytes: rawBlockHeader(inBlock, inBlock === inFrame) }
      }
      const taken = bytes.subarray(at, at + inBlock)
      yield { bytes: taken }
      at += taken.length
      left -= taken.length
      inFrame -= taken.length
      inBlock -= taken.length
    }
  }
  if (left !== 0) throw new Error(`an entry of ${size} bytes had ${size - left}`)
}

/** Magic_Number, Frame_Header_Descriptor (Single_Segment, Frame_Content_Size of four bytes, no checksum), Frame_Content_Size. */
function frameHeader(contentSize: number): Buffer {
  const bytes = Buffer.allocUnsafe(9)
  bytes.writeUInt32LE(0xfd2fb528, 0)
  bytes.writeUInt8(0b10_1_0_0_0_00, 4)
  bytes.writeUInt32LE(contentSize, 5)
  return bytes
}

/** Last_Block, Block_Type Raw_Block, Block_Size: https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1.2 */
function rawBlockHeader(size: number, last: boolean): Buffer {
  const bytes = Buffer.allocUnsafe(3)
  bytes.writeUIntLE((size << 3) | (last ? 1 : 0), 0, 3)
  return bytes
}
