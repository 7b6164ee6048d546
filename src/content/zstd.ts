/**
 * A zstd stream of any number of frames, https://www.rfc-editor.org/rfc/rfc8878#section-3.1: each is decoded on its own, since
 * node's decoder drops what follows a frame whose end it meets within one write. Constant memory.
 */
import { constants, createZstdDecompress } from 'node:zlib'
import { RfoError } from '../error.ts'
import { drained } from '../oci/drained.ts'
import { type Pull, pull } from './pull.ts'

const magicNumber = 0xfd2fb528

export interface ZstdOptions {
  /** the largest window that is decoded, as a power of two of bytes; default 27, which is zstd's own */
  readonly windowLogMax?: number
  /** gets each frame's Window_Size in bytes: https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1.1.2 */
  readonly window?: (bytes: number) => void
}

/** The content. Throws RFO_CONTENT_ZSTD (untrusted) for what is no zstd, is cut short, or asks for a larger window. */
export async function* unzstd(source: AsyncIterable<Uint8Array>, options: ZstdOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
  const input = pull(source, () => refused('it ends inside a frame'))
  try {
    while (!(await input.ended())) {
      const start = await input.exactly(4)
      const magic = start.readUInt32LE(0)
      if (magic >>> 4 === 0x184d2a5) {
        for await (const _ of exactly(input, (await input.exactly(4)).readUInt32LE(0)));
      } else if (magic === magicNumber) yield* decoded(frame(start, input, options.window ?? (() => {})), options.windowLogMax ?? 27)
      else throw refused(`no frame begins with ${magic.toString(16).padStart(8, '0')}`)
    }
  } finally {
    await input.close()
  }
}

async function* decoded(frame: AsyncGenerator<Uint8Array>, windowLogMax: number): AsyncGenerator<Uint8Array, void, undefined> {
  const decoder = createZstdDecompress({ chunkSize: 1 << 18, params: { [constants.ZSTD_d_windowLogMax]: windowLogMax } })
  let failed: { readonly cause: unknown } | undefined
  const fed = (async () => {
    for await (const bytes of frame) {
      if (!decoder.write(bytes)) await drained(decoder)
      if (decoder.destroyed) return
    }
    decoder.end()
  })().catch((cause: unknown) => {
    failed = { cause }
    decoder.destroy()
  })
  try {
    yield* decoder as AsyncIterable<Uint8Array>
  } catch (thrown) {
    await fed
    throw failed?.cause ?? refused((thrown as Error).message, thrown)
  } finally {
    decoder.destroy()
  }
  await fed
  if (failed !== undefined) throw failed.cause
}

/** The bytes of one frame. */
async function* frame(start: Buffer, input: Pull, window: (bytes: number) => void): AsyncGenerator<Uint8Array, void, undefined> {
  const flags = await input.exactly(1)
  const descriptor = flags.readUInt8(0)
  const single = (descriptor & 0x20) !== 0
  const asked = await input.exactly(single ? 0 : 1)
  const dictionary = await input.exactly([0, 1, 2, 4][descriptor & 3] as number)
  const content = await input.exactly([single ? 1 : 0, 2, 4, 8][descriptor >>> 6] as number)
  window(single ? contentSize(content) : windowSize(asked.readUInt8(0)))
  yield Buffer.concat([start, flags, asked, dictionary, content])
  for (let last = false; !last; ) {
    const head = await input.exactly(3)
    const bits = head.readUIntLE(0, 3)
    last = (bits & 1) === 1
    yield head
    // an RLE block is one byte, whatever it says
    yield* exactly(input, ((bits >>> 1) & 3) === 1 ? 1 : bits >>> 3)
  }
  if ((descriptor & 0x04) !== 0) yield await input.exactly(4)
}

async function* exactly(input: Pull, size: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (let left = size; left > 0; ) {
    const bytes = await input.some(left)
    left -= bytes.length
    yield bytes
  }
}

function windowSize(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >>> 3))
  return base + (base / 8) * (descriptor & 7)
}

function contentSize(field: Buffer): number {
  if (field.length === 8) return Number(field.readBigUInt64LE(0))
  return field.readUIntLE(0, field.length) + (field.length === 2 ? 256 : 0)
}

function refused(why: string, cause?: unknown): RfoError {
  return new RfoError('RFO_CONTENT_ZSTD', `not a zstd stream: ${why}`, { exit: 'untrusted', ...(cause === undefined ? {} : { cause }) })
}
