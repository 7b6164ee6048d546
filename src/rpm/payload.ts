/** A payload in its compressed form, in a temporary file: the header that stands before it holds its digests. */
import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { constants, createGzip, createZstdCompress } from 'node:zlib'
import { RfoError } from '../error.ts'
import { createDigester, type Digest } from '../oci/digest.ts'

/** Every rpm reads gzip; zstd is read since 4.14 and is smaller and faster. */
export type Compression = 'gzip' | 'zstd'

/** As PAYLOADFLAGS says it. */
export const compressionLevels: Readonly<Record<Compression, number>> = { gzip: 9, zstd: 9 }

/** A compressor's output must not depend on the pieces in which a store gives its bytes. */
const pieceBytes = 1 << 20
const readAtOnce = 1 << 20

/** What a header says of it. */
export interface PayloadSums {
  /** of the archive, uncompressed */
  readonly plain: Digest
  readonly packed: Digest
}

export interface Payload extends PayloadSums {
  /** bytes, compressed */
  readonly size: number
  read(): AsyncIterable<Uint8Array>
  /** The same bytes for whoever keeps none: always the same memory, which changes once `use` has returned. */
  each(use: (bytes: Uint8Array) => void): Promise<void>
}

/** For task keys: what decides a payload's bytes besides the archive. */
export const payloadEncoder = `rpm@1 gzip-${compressionLevels.gzip} ${process.versions.zlib} zstd-${compressionLevels.zstd} ${process.versions.zstd}`

/** The temporary file lives as long as `use`. */
export async function withPayload<T>(
  archive: AsyncIterable<Uint8Array>,
  compression: Compression,
  options: { readonly workDir: string; readonly signal?: AbortSignal },
  use: (payload: Payload) => Promise<T>,
): Promise<T> {
  await mkdir(options.workDir, { recursive: true })
  const path = join(options.workDir, `.rpm-${randomUUID()}`)
  const file = await open(path, 'wx', 0o600)
  const [plain, packed] = [createDigester(), createDigester()]
  let size = 0
  try {
    const write = async (source: AsyncIterable<Buffer>): Promise<void> => {
      for await (const chunk of source) {
        // RFC 1952's system byte: zlib writes the one that it was compiled for, 255 is "unknown"
        if (compression === 'gzip' && size === 0) chunk[9] = 255
        packed.update(chunk)
        size += chunk.length
        await file.writeFile(chunk).catch((cause: Error) => Promise.reject(noRoom(path, cause)))
      }
    }
    const source = Readable.from(pieces(archive, plain))
    const signal = options.signal === undefined ? {} : { signal: options.signal }
    if (compression === 'gzip') await pipeline(source, createGzip({ level: compressionLevels.gzip, chunkSize: 1 << 18 }), write, signal)
    else await pipeline(source, createZstdCompress({ params: zstdParams, chunkSize: 1 << 18 }), write, signal)
    const payload = { plain: plain.finish(), packed: packed.finish(), size }
    return await use({ ...payload, read: () => createReadStream(path, { highWaterMark: readAtOnce }), each: (take) => each(path, take) })
  } finally {
    await file.close()
    await rm(path, { force: true })
  }
}

async function each(path: string, use: (bytes: Uint8Array) => void): Promise<void> {
  const file = await open(path)
  try {
    const bytes = Buffer.allocUnsafeSlow(readAtOnce)
    for (;;) {
      const { bytesRead } = await file.read(bytes, 0, bytes.length, null)
      if (bytesRead === 0) return
      use(bytes.subarray(0, bytesRead))
    }
  } finally {
    await file.close()
  }
}

const zstdParams = { [constants.ZSTD_c_compressionLevel]: compressionLevels.zstd, [constants.ZSTD_c_checksumFlag]: 1 }

async function* pieces(
  source: AsyncIterable<Uint8Array>,
  digester: { update(bytes: Uint8Array): void },
): AsyncGenerator<Buffer, void, undefined> {
  let waiting: Uint8Array[] = []
  let held = 0
  for await (const bytes of source) {
    digester.update(bytes)
    waiting.push(bytes)
    held += bytes.length
    if (held < pieceBytes) continue
    const joined = Buffer.concat(waiting)
    const whole = held - (held % pieceBytes)
    for (let at = 0; at < whole; at += pieceBytes) yield joined.subarray(at, at + pieceBytes)
    waiting = [joined.subarray(whole)]
    held -= whole
  }
  if (held > 0) yield Buffer.concat(waiting)
}

function noRoom(path: string, cause: Error): RfoError {
  return new RfoError('RFO_RPM_SPACE', `can't write ${path}: ${cause.message}`, { exit: 'machine', cause, next: 'free some space' })
}
