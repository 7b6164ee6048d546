/**
 * zstd as independent frames (https://www.rfc-editor.org/rfc/rfc8878#section-3.1): to any reader one ordinary stream, to
 * us pieces that can be made, checked and fetched alone. Each frame says how many bytes it holds.
 */
import { promisify } from 'node:util'
import { constants, zstdCompress } from 'node:zlib'

/** Bytes of a tar; a frame may end before those that begin an entry. */
export interface Piece {
  readonly bytes: Uint8Array
  /** `size` in bytes; `packed`: compressed already */
  readonly begins?: { readonly size: number; readonly packed: boolean }
}

/**
 * bytes of a frame before compression, and so of its window. RKE2's reader takes windows of up to 32 MiB
 * (https://github.com/rancher/wharfie/blob/v0.5.3/pkg/tarfile/tarfile.go: MaxDecoderMemory = 1<<25); layers arrive
 * compressed and gain nothing from a wide one, so it is as small as memory and random access like it.
 */
export const frameBytes = 1 << 23
/** bytes; small entries (manifests, configs) share a frame up to here */
const smallFrameBytes = 1 << 20
/** Frames made at the same time, on zlib's threads. */
const atOnce = 2
/** Level 1 passes what can't be compressed at 1.2 GB/s a core, as do the levels below it; plain bytes are worth layers' level. */
const levels = { packed: 1, plain: 9 } as const

/** For task keys: what decides the bytes besides the tar. */
export const frameEncoder = `frames@1 zstd-${levels.packed}/${levels.plain}/${frameBytes >> 20}MiB ${process.versions.zstd}`

const compress = promisify(zstdCompress)

/** The same pieces' bytes give the same frames, in whatever chunks they come, as long as the cuts are the same. */
export async function* zstdFrames(pieces: AsyncIterable<Piece>): AsyncGenerator<Uint8Array, void, undefined> {
  const running: Promise<Uint8Array>[] = []
  try {
    for await (const { bytes, packed } of gathered(pieces)) {
      const frame = zstdFrame(bytes, packed ? levels.packed : levels.plain)
      frame.catch(() => {}) // awaited below
      running.push(frame)
      if (running.length === atOnce) yield await (running.shift() as Promise<Uint8Array>)
    }
    while (running.length > 0) yield await (running.shift() as Promise<Uint8Array>)
  } finally {
    await Promise.allSettled(running)
  }
}

interface Gathered {
  readonly bytes: Buffer
  readonly packed: boolean
}

/** One buffer a frame: full, or ended before an entry that is large, of another kind, or far enough from the frame's start. */
async function* gathered(pieces: AsyncIterable<Piece>): AsyncGenerator<Gathered, void, undefined> {
  let frame = Buffer.allocUnsafeSlow(frameBytes)
  let filled = 0
  let packed = false
  const taken = (): Gathered => {
    const done = { bytes: frame.subarray(0, filled), packed }
    frame = Buffer.allocUnsafeSlow(frameBytes)
    filled = 0
    return done
  }
  for await (const piece of pieces) {
    const { begins } = piece
    if (begins !== undefined) {
      const apart = begins.packed !== packed || begins.size >= smallFrameBytes
      if (filled > 0 && (apart || filled >= smallFrameBytes)) yield taken()
      packed = begins.packed
    }
    for (let at = 0; at < piece.bytes.length; ) {
      const size = Math.min(piece.bytes.length - at, frameBytes - filled)
      frame.set(piece.bytes.subarray(at, at + size), filled)
      at += size
      filled += size
      if (filled === frameBytes) yield taken()
    }
  }
  if (filled > 0) yield taken()
}

async function zstdFrame(bytes: Buffer, level: number): Promise<Uint8Array> {
  const params = { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 }
  // zlib's own output chunks of 16 KiB cost twice the CPU; ZSTD_COMPRESSBOUND is size + size/256 above 128 KiB
  return (await compress(bytes, { params, chunkSize: bytes.length + (bytes.length >> 8) + 1024 })) as Buffer
}
