/** gzip whose bytes depend on its input alone, whoever feeds it and in whatever pieces. Constant memory. */
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import { drained } from '../oci/drained.ts'

export const gzipLevel = 6
/** For task keys: what decides the bytes besides the input. */
export const gzipEncoder = `gzip-${gzipLevel} ${process.versions.zlib}`
const pieceBytes = 1 << 20
/** bytes of the first buffer of a stream */
const firstBytes = 1 << 16

/** Pieces of exactly `length` bytes, the last one shorter: a compressor's output must not depend on how its input arrived. */
export async function* pieces(source: AsyncIterable<Uint8Array>, length: number): AsyncGenerator<Buffer, void, undefined> {
  // grows: most layers are small, and a buffer of 32 MiB for each has the collector run all the time
  let piece = Buffer.allocUnsafe(Math.min(length, firstBytes))
  let filled = 0
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length; ) {
      if (filled === piece.length) piece = Buffer.concat([piece], Math.min(length, 4 * filled))
      const taken = Math.min(chunk.length - at, piece.length - filled)
      piece.set(chunk.subarray(at, at + taken), filled)
      at += taken
      filled += taken
      if (filled === length) {
        yield piece
        piece = Buffer.allocUnsafe(length)
        filled = 0
      }
    }
  }
  if (filled > 0) yield piece.subarray(0, filled)
}

/** RFC 1952 without a time; zlib writes the system that it was compiled for, so 255 ("unknown") is put in its place. */
export async function* gzipped(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, void, undefined> {
  const stream = createGzip({ level: gzipLevel, chunkSize: 1 << 18 })
  const fed = (async () => {
    for await (const piece of pieces(source, pieceBytes)) {
      if (!stream.write(piece)) await drained(stream)
      if (stream.destroyed) return
    }
    stream.end()
  })()
  fed.catch((cause: Error) => stream.destroy(cause))
  let first = true
  for await (const chunk of stream) {
    if (first) (chunk as Buffer)[9] = 255
    first = false
    yield chunk as Buffer
  }
  await fed
}

/** What `source` unpacks to. Throws what zlib says of bytes that are no gzip. */
export async function* gunzipped(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const unpack = createGunzip({ chunkSize: 256 * 1024 })
  const fed = pipeline(Readable.from(source, { objectMode: false }), unpack)
  // whoever reads sees the failure through the stream
  fed.catch(() => {})
  yield* unpack as AsyncIterable<Uint8Array>
  await fed
}
