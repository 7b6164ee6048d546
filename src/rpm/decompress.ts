/** Payloads and metadata as they are packed. Node reads gzip and zstd; xz, which openEuler's packages are, a program reads. */
import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { unzstd } from '../content/zstd.ts'
import { RfoError } from '../error.ts'
import { filter } from '../exec.ts'

export interface DecompressOptions {
  /** for the program */
  readonly env: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/** A window of openEuler's xz -2 needs 3 MiB, the largest preset 65. */
const xzMemory = '256MiB'

export type Packing = 'none' | 'gzip' | 'zstd' | 'xz'

/** By what it begins with: the first bytes of RFC 1952, RFC 8878 and https://tukaani.org/xz/xz-file-format.txt. */
export function packingOf(head: Uint8Array): Packing {
  const begins = (...bytes: readonly number[]): boolean => bytes.every((byte, at) => head[at] === byte)
  if (begins(0x1f, 0x8b)) return 'gzip'
  if (begins(0x28, 0xb5, 0x2f, 0xfd)) return 'zstd'
  return begins(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00) ? 'xz' : 'none'
}

/** As they come; constant memory. Throws RFO_RPM_PACKING for damaged bytes, RFO_RPM_XZ where no xz is on the PATH. */
export async function* unpacked(
  bytes: AsyncIterable<Uint8Array>,
  packing: Packing,
  options: DecompressOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (packing === 'none') {
    yield* bytes
    return
  }
  const own = options.signal === undefined ? {} : { signal: options.signal }
  try {
    if (packing === 'xz') {
      yield* filter(['xz', '--decompress', '--stdout', `--memlimit-decompress=${xzMemory}`], bytes, { env: options.env, ...own })
      return
    }
    if (packing === 'zstd') {
      yield* unzstd(bytes)
      return
    }
    const through = createGunzip({ chunkSize: 1 << 17 })
    const source = Readable.from(bytes, { objectMode: false })
    source.on('error', (error) => through.destroy(error))
    try {
      for await (const chunk of source.pipe(through)) yield chunk as Buffer
    } finally {
      source.destroy()
      through.destroy()
    }
  } catch (thrown) {
    throw packing === 'xz' ? withoutXz(thrown) : damaged(thrown)
  }
}

function withoutXz(thrown: unknown): unknown {
  if (!(thrown instanceof RfoError)) return thrown
  if (thrown.code === 'RFO_EXEC_ABSENT')
    return new RfoError('RFO_RPM_XZ', 'no program xz on the PATH, and openEuler packs its packages with it', {
      exit: 'machine',
      next: 'install xz',
    })
  return thrown.code === 'RFO_EXEC_FAILED'
    ? new RfoError('RFO_RPM_PACKING', 'xz can’t unpack it', { exit: 'untrusted', cause: thrown, details: thrown.details ?? [] })
    : thrown
}

function damaged(thrown: unknown): unknown {
  const { code } = thrown as { readonly code?: unknown }
  const packed = thrown instanceof RfoError ? code === 'RFO_CONTENT_ZSTD' : typeof code === 'string' && /^(Z_|ERR_ZLIB)/.test(code)
  if (!packed) return thrown
  return new RfoError('RFO_RPM_PACKING', `it can't be unpacked: ${(thrown as Error).message}`, { exit: 'untrusted', cause: thrown })
}
