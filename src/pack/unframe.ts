/** Reads what zstdFrames writes: frame by frame, each bounded before it is decoded, nothing accepted that was cut short. */
import { promisify } from 'node:util'
import { zstdDecompress } from 'node:zlib'
import { RfoError } from '../error.ts'

const decompress = promisify(zstdDecompress)

/** bytes; a frame of more content is not ours, and RKE2's reader has no more than this either */
const largestContent = 1 << 25
/** bytes; what such a frame has at most when nothing in it can be compressed: three bytes a block of at most 128 KiB, and its ends */
const largestFrame = largestContent + (largestContent >> 8)
/** bytes; a skippable frame is read over, but must not hold a reader for ever */
const largestSkipped = 1 << 26

/**
 * The content. Frames must say their content's size (https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1.1.4), as one-shot
 * encoders let them, so that no frame can grow beyond what it said. Throws RFO_PACK_ZSTD.
 */
export async function* unzstdFrames(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, void, undefined> {
  const input = window(source)
  try {
    while (await input.has(1)) {
      const magic = (await input.peek(4)).readUInt32LE(0)
      // https://www.rfc-editor.org/rfc/rfc8878#section-3.1.2: 0x184D2A50 to 0x184D2A5F
      if (magic >>> 4 === 0x184d2a5) await skip(input)
      else if (magic === 0xfd2fb528) yield await oneFrame(input)
      else throw refused(`no frame begins with ${magic.toString(16).padStart(8, '0')}`)
    }
  } finally {
    await input.close()
  }
}

async function skip(input: Window): Promise<void> {
  const size = (await input.peek(8)).readUInt32LE(4)
  if (size > largestSkipped) throw refused(`a skippable frame of ${size} bytes`)
  await input.take(8)
  for (let left = size; left > 0; left -= Math.min(left, 1 << 16)) await input.take(Math.min(left, 1 << 16))
}

async function oneFrame(input: Window): Promise<Buffer> {
  const { headerSize, contentSize, checksum } = await frameHeader(input)
  let size = headerSize
  for (let last = false; !last; ) {
    const header = (await input.peek(size + 3)).readUIntLE(size, 3)
    last = (header & 1) === 1
    const type = (header >>> 1) & 3
    if (type === 3) throw refused('a block of a reserved type')
    // an RLE block is one byte, whatever it says
    size += 3 + (type === 1 ? 1 : header >>> 3)
    if (size > largestFrame) throw refused(`a frame of more than ${largestFrame} bytes`)
  }
  const frame = await input.take(size + (checksum ? 4 : 0))
  let content: Buffer
  try {
    content = (await decompress(frame, { maxOutputLength: Math.max(contentSize, 1), chunkSize: Math.max(contentSize, 64) })) as Buffer
  } catch (cause) {
    throw refused((cause as Error).message, cause)
  }
  if (content.length !== contentSize) throw refused(`a frame of ${content.length} bytes that said ${contentSize}`)
  return content
}

/** https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1.1 */
async function frameHeader(input: Window): Promise<{ headerSize: number; contentSize: number; checksum: boolean }> {
  const descriptor = (await input.peek(5)).readUInt8(4)
  const singleSegment = (descriptor & 0x20) !== 0
  const sizeFlag = descriptor >>> 6
  if ((descriptor & 0x08) !== 0) throw refused('a reserved bit is set')
  if ((descriptor & 0x03) !== 0) throw refused('a frame that needs a dictionary')
  const fieldSize = [singleSegment ? 1 : 0, 2, 4, 8][sizeFlag] as number
  if (fieldSize === 0) throw refused('a frame that does not say how much it holds')
  const at = 5 + (singleSegment ? 0 : 1)
  const header = await input.peek(at + fieldSize)
  const contentSize = fieldSize === 8 ? Number(header.readBigUInt64LE(at)) : header.readUIntLE(at, fieldSize) + (fieldSize === 2 ? 256 : 0)
  if (contentSize > largestContent) throw refused(`a frame of ${contentSize} bytes; at most ${largestContent} are read`)
  return { headerSize: at + fieldSize, contentSize, checksum: (descriptor & 0x04) !== 0 }
}

interface Window {
  has(size: number): Promise<boolean>
  /** The next `size` bytes, which stay; throws when there are fewer. */
  peek(size: number): Promise<Buffer>
  take(size: number): Promise<Buffer>
  close(): Promise<void>
}

/** A stream with its next bytes at hand: no more than one frame and one chunk of them. */
function window(source: AsyncIterable<Uint8Array>): Window {
  const chunks = source[Symbol.asyncIterator]()
  let held = Buffer.alloc(0)
  let begin = 0
  let end = 0
  const has = async (size: number): Promise<boolean> => {
    while (end - begin < size) {
      const next = await chunks.next()
      if (next.done === true) return false
      const bytes = next.value
      if (end + bytes.length > held.length) {
        const length = end - begin
        // doubled, so that a frame which comes in small chunks is not copied for each of them
        const larger = length + bytes.length > held.length / 2 ? Buffer.allocUnsafeSlow(2 * (length + bytes.length)) : held
        held.copy(larger, 0, begin, end)
        held = larger
        begin = 0
        end = length
      }
      held.set(bytes, end)
      end += bytes.length
    }
    return true
  }
  const peek = async (size: number): Promise<Buffer> => {
    if (!(await has(size))) throw refused('it ends inside a frame')
    return held.subarray(begin, begin + size)
  }
  return {
    has,
    peek,
    async take(size) {
      const bytes = await peek(size)
      begin += size
      return bytes
    },
    async close() {
      await chunks.return?.()
    },
  }
}

function refused(why: string, cause?: unknown): RfoError {
  return new RfoError('RFO_PACK_ZSTD', `not a zstd file of independent frames: ${why}`, { exit: 'untrusted', cause })
}
