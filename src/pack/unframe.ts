/** Reads what zstdFrames writes: stored frames pass, others are bounded before they are decoded, nothing may be cut short. */
import { promisify } from 'node:util'
import { zstdDecompress } from 'node:zlib'
import { type Pull, pull } from '../content/pull.ts'
import { RfoError } from '../error.ts'
import { frameBytes, type SeekWriter, seekWriter } from './seek.ts'

/** bytes; "Block_Maximum_Size": https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1.2.4 */
const largestBlock = 1 << 17
const blockTypes = ['raw', 'rle', 'compressed', 'reserved'] as const

/**
 * The content. Throws RFO_PACK_ZSTD for a frame that we would not have written: none can grow beyond what it says, nor beyond 4 MiB;
 * behind them stands their index, and nothing else.
 */
export async function* unzstdFrames(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const plain = pull(source, () => refused('it ends inside a frame'))
  const index = seekWriter()
  try {
    for (;;) {
      const start = await plain.exactly(4)
      const magic = start.readUInt32LE(0)
      // https://www.rfc-editor.org/rfc/rfc8878#section-3.1.2: 0x184D2A50 to 0x184D2A5F
      if (magic >>> 4 === 0x184d2a5) return await atEnd(start, index, plain)
      if (magic !== 0xfd2fb528) throw refused(`no frame begins with ${magic.toString(16).padStart(8, '0')}`)
      yield* frame(start, plain, index)
    }
  } finally {
    await plain.close()
  }
}

/** What was read gives the index: nothing of it needs to be understood. */
async function atEnd(start: Buffer, index: SeekWriter, input: Pull): Promise<void> {
  const { digests, table } = index.end()
  const expected = Buffer.concat([digests, table])
  const found = Buffer.concat([start, await input.exactly(expected.length - start.length)])
  if (!found.equals(expected)) throw refused('what follows its frames is not their index')
  if (!(await input.ended())) throw refused('something stands behind its index')
}

/** https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1.1 */
async function* frame(start: Buffer, plain: Pull, index: SeekWriter): AsyncGenerator<Uint8Array, void, undefined> {
  const flags = await plain.exactly(1)
  const descriptor = flags.readUInt8(0)
  if ((descriptor & 0b11_011) !== 0) throw refused('a frame with a dictionary, or a bit that is reserved or unused')
  const singleSegment = (descriptor & 0x20) !== 0
  const window = await plain.exactly(singleSegment ? 0 : 1)
  const size = await plain.exactly([singleSegment ? 1 : 0, 2, 4, 8][descriptor >>> 6] as number)
  if (size.length === 0) throw refused('a frame that does not say how much it holds')
  const content = size.length === 8 ? Number(size.readBigUInt64LE(0)) : size.readUIntLE(0, size.length) + (size.length === 2 ? 256 : 0)
  if (content > frameBytes) throw refused(`a frame of ${content} bytes; at most ${frameBytes} are read`)
  index.begin(content)
  for (const bytes of [start, flags, window, size]) index.add(bytes)
  const input = noted(plain, index)
  if ((descriptor & 0x04) === 0) yield* stored(content, input)
  else yield await decoded(content, [start, flags, window, size], input)
}

/** `input`, whose bytes go into the index on their way. */
function noted(input: Pull, index: SeekWriter): Pull {
  const note = <T extends Uint8Array>(bytes: T): T => {
    index.add(bytes)
    return bytes
  }
  return { ...input, some: async (most) => note(await input.some(most)), exactly: async (size) => note(await input.exactly(size)) }
}

/** A frame without a checksum must hold raw blocks alone. */
async function* stored(content: number, input: Pull): AsyncGenerator<Uint8Array, void, undefined> {
  let total = 0
  for (let last = false; !last; ) {
    const block = blockOf(await input.exactly(3))
    last = block.last
    total += block.size
    if (block.type !== 'raw') throw refused('a compressed block without a checksum')
    if (total > content) break
    for (let left = block.size; left > 0; ) {
      const bytes = await input.some(left)
      left -= bytes.length
      yield bytes
    }
  }
  if (total !== content) throw refused(`a frame of ${total} bytes that said ${content}`)
}

async function decoded(content: number, header: readonly Buffer[], input: Pull): Promise<Buffer> {
  const parts = [...header]
  // an encoder never makes a frame larger than stored blocks would be
  let left = content + 3 * (Math.ceil(content / largestBlock) + 1)
  for (let last = false; !last; ) {
    const head = await input.exactly(3)
    const block = blockOf(head)
    last = block.last
    left -= 3 + block.size
    if (left < 0) throw refused('a frame that is larger than what it holds')
    parts.push(head, await input.exactly(block.size))
  }
  parts.push(await input.exactly(4))
  let bytes: Buffer
  try {
    // looked up when it is needed: a verifier runs on a Node without zstd, too
    bytes = (await promisify(zstdDecompress)(Buffer.concat(parts), { maxOutputLength: Math.max(content, 1) })) as Buffer
  } catch (cause) {
    throw refused((cause as Error).message, cause)
  }
  if (bytes.length !== content) throw refused(`a frame of ${bytes.length} bytes that said ${content}`)
  return bytes
}

/** https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1.2; an RLE block is one byte, whatever it says. */
function blockOf(head: Buffer): { readonly last: boolean; readonly type: (typeof blockTypes)[number]; readonly size: number } {
  const bits = head.readUIntLE(0, 3)
  const type = blockTypes[(bits >>> 1) & 3] ?? 'reserved'
  const size = bits >>> 3
  if (type === 'reserved' || size > largestBlock) throw refused(`a ${type} block of ${size} bytes`)
  return { last: (bits & 1) === 1, type, size: type === 'rle' ? 1 : size }
}

function refused(why: string, cause?: unknown): RfoError {
  return new RfoError('RFO_PACK_ZSTD', `not a zstd file of independent frames: ${why}`, { exit: 'untrusted', cause })
}
