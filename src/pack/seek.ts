/**
 * The index behind the frames of an archive: two skippable frames, which every decoder passes over, so that one frame can be found,
 * fetched and checked alone.
 *
 *     frame ...   SHA-256 of each frame as it lies   seek table
 *
 * The seek table is zstd's own and ends the file, so that its tools read it:
 * https://github.com/facebook/zstd/blob/v1.5.7/contrib/seekable_format/zstd_seekable_compression_format.md. Its checksums are XXH64 of
 * what a frame holds, which proves nothing against who wants to deceive: it is written without, and the frame before it holds SHA-256.
 */
import { createHash } from 'node:crypto'
import { RfoError } from '../error.ts'

/**
 * bytes of a frame's content, and so of its window. RKE2's reader takes windows of up to 32 MiB
 * (https://github.com/rancher/wharfie/blob/v0.5.3/pkg/tarfile/tarfile.go: MaxDecoderMemory = 1<<25); nothing here gains
 * from a wide one, so it is what memory and random access like.
 */
export const frameBytes = 1 << 22
/** https://www.rfc-editor.org/rfc/rfc8878#section-3.1.2 leaves sixteen magic numbers to its users; the seek table has the one before the last. */
const digestsMagic = 0x184d2a5f
const tableMagic = 0x184d2a5e
const footerMagic = 0x8f92eab1
/** bytes: magic number and size */
const skippableHeader = 8
/** bytes: number of frames, descriptor, magic number */
const footerBytes = 9
const entryBytes = 8
const digestBytes = 32
/** four terabytes of frames: their index is 40 MB */
const mostFrames = 1 << 20

export interface SeekFrame {
  /** bytes from the beginning of the file */
  readonly offset: number
  /** bytes as it lies */
  readonly size: number
  /** bytes from the beginning of the content */
  readonly contentOffset: number
  /** bytes that it holds */
  readonly content: number
  /** SHA-256 of it as it lies */
  readonly sha256: Buffer
}

/** What the index says of a frame. */
type Listed = Pick<SeekFrame, 'size' | 'content' | 'sha256'>

/** Collects frames as they are written or read. */
export interface SeekWriter {
  begin(content: number): void
  add(bytes: Uint8Array): void
  /** The two frames behind all others. */
  end(): { readonly digests: Buffer; readonly table: Buffer }
}

export function seekWriter(): SeekWriter {
  const frames: Listed[] = []
  let current: { readonly content: number; size: number; readonly hash: ReturnType<typeof createHash> } | undefined
  const close = (): void => {
    if (current !== undefined) frames.push({ content: current.content, size: current.size, sha256: current.hash.digest() })
    current = undefined
  }
  return {
    begin(content) {
      close()
      if (frames.length >= mostFrames)
        throw new RfoError('RFO_PACK_FRAMES', `more than ${mostFrames} frames in one file`, { exit: 'usage' })
      current = { content, size: 0, hash: createHash('sha256') }
    },
    add(bytes) {
      if (current === undefined) throw new Error('bytes of no frame')
      current.size += bytes.length
      current.hash.update(bytes)
    },
    end() {
      close()
      return indexOf(frames)
    },
  }
}

function indexOf(frames: readonly Listed[]): { readonly digests: Buffer; readonly table: Buffer } {
  const digests = skippable(
    digestsMagic,
    frames.map(({ sha256 }) => sha256),
  )
  // a frame's offset is "the cumulative sum of the Compressed_Size fields": the digests are a frame like the others, of no content
  const entries = [...frames, { size: digests.length, content: 0 }].map(({ size, content }) => {
    const entry = Buffer.allocUnsafe(entryBytes)
    entry.writeUInt32LE(size, 0)
    entry.writeUInt32LE(content, 4)
    return entry
  })
  return { digests, table: skippable(tableMagic, [...entries, footer(entries.length)]) }
}

function skippable(magic: number, content: readonly Buffer[]): Buffer {
  const size = content.reduce((sum, { length }) => sum + length, 0)
  const header = Buffer.allocUnsafe(skippableHeader)
  header.writeUInt32LE(magic, 0)
  header.writeUInt32LE(size, 4)
  return Buffer.concat([header, ...content])
}

/** Number_Of_Frames, Seek_Table_Descriptor (no checksums), Seekable_Magic_Number. */
function footer(frames: number): Buffer {
  const bytes = Buffer.alloc(footerBytes)
  bytes.writeUInt32LE(frames, 0)
  bytes.writeUInt32LE(footerMagic, 5)
  return bytes
}

/** Bytes `start` to `end`, the one at `end` not among them, exactly. */
export type ReadRange = (start: number, end: number) => Promise<Buffer>

/** Reads the index alone, at the end of a file of `size` bytes. Throws RFO_PACK_SEEK (untrusted) for one that we would not have written. */
export async function readSeekIndex(read: ReadRange, size: number): Promise<SeekFrame[]> {
  if (size < footerBytes) throw refused('no room for a footer')
  const end = await read(size - footerBytes, size)
  const count = end.readUInt32LE(0) - 1
  if (count < 0 || count > mostFrames || !end.equals(footer(count + 1))) throw refused('it has no footer')
  const digestsSize = skippableHeader + count * digestBytes
  const start = size - digestsSize - skippableHeader - (count + 1) * entryBytes - footerBytes
  if (start < 0) throw refused(`no room for ${count} frames`)
  const index = await read(start, size)
  const frames: SeekFrame[] = []
  let [offset, contentOffset] = [0, 0]
  for (let i = 0; i < count; i += 1) {
    const entry = digestsSize + skippableHeader + i * entryBytes
    const digest = skippableHeader + i * digestBytes
    const listed = { size: index.readUInt32LE(entry), content: index.readUInt32LE(entry + 4) }
    if (listed.content > frameBytes) throw refused(`a frame of ${listed.content} bytes`)
    frames.push({ ...listed, offset, contentOffset, sha256: index.subarray(digest, digest + digestBytes) })
    offset += listed.size
    contentOffset += listed.content
  }
  const { digests, table } = indexOf(frames)
  if (offset !== start || !Buffer.concat([digests, table]).equals(index)) throw refused('it is not that of these frames')
  return frames
}

function refused(why: string): RfoError {
  return new RfoError('RFO_PACK_SEEK', `no index of zstd frames: ${why}`, { exit: 'untrusted' })
}
