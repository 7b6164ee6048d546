/** A source archive (.tar, .tar.gz, .tar.zst) onto disk. The archive is hostile: nothing of it leaves the folder that it is given. */
import { createReadStream, createWriteStream } from 'node:fs'
import { copyFile, mkdir, open, readdir, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { type Extract, type Header, extract as tarExtract } from 'tar-stream'
import { unzstd } from '../content/zstd.ts'
import { RfoError } from '../error.ts'
import { feedTar, plainly } from '../oci/tar-feed.ts'
import { linkTarget, pathIn } from './path.ts'

export interface ExtractLimits {
  readonly entries: number
  /** bytes, all files together */
  readonly bytes: number
}

export const defaultLimits: ExtractLimits = { entries: 200_000, bytes: 8 * 1024 ** 3 }

/** Throws RFO_SOURCE_PATH for what escapes, RFO_SOURCE_ARCHIVE for what is no whole archive. `into` must be fresh and empty. */
export async function extractTar(file: string, into: string, limits: ExtractLimits = defaultLimits, signal?: AbortSignal): Promise<void> {
  const parser = tarExtract()
  const input = createReadStream(file, { highWaterMark: 1 << 20 })
  const options = signal === undefined ? {} : { signal }
  const onward = (source: AsyncIterable<Uint8Array>): Promise<void> => feedTar(source, parser)
  const expand = await expander(file)
  const fed =
    expand === undefined
      ? pipeline(input, onward, options)
      : expand === 'gzip'
        ? pipeline(input, createGunzip({ chunkSize: 1 << 18 }), onward, options)
        : pipeline(input, (packed: AsyncIterable<Uint8Array>) => unzstd(packed), onward, options)
  let failed: { readonly cause: unknown } | undefined
  fed.catch((cause: unknown) => {
    failed = { cause }
    parser.destroy(cause instanceof Error ? cause : new Error(String(cause)))
  })
  try {
    await walk(parser, into, limits)
    await fed
  } catch (seen) {
    const thrown = seen instanceof RfoError ? seen : (failed?.cause ?? seen)
    parser.destroy()
    await fed.catch(() => {})
    signal?.throwIfAborted()
    if (thrown instanceof RfoError && thrown.code !== 'RFO_CONTENT_ZSTD') throw thrown
    const system = (thrown as NodeJS.ErrnoException).syscall !== undefined
    throw new RfoError(system ? 'RFO_SOURCE_WRITE' : 'RFO_SOURCE_ARCHIVE', `can't unpack ${file}: ${(thrown as Error).message}`, {
      exit: system ? 'machine' : 'untrusted',
      cause: thrown,
      next: system
        ? 'free some room or fix the permission, then run the same command again'
        : 'do not use this source; compare it with where it was published',
    })
  }
}

async function walk(parser: Extract, into: string, limits: ExtractLimits): Promise<void> {
  /** path → what lies there; nothing may lie below a file or a link */
  const seen = new Map<string, 'file' | 'directory' | 'link'>()
  let bytes = 0
  for await (const entry of parser) {
    const header: Header = entry.header
    bytes += header.size ?? 0
    if (seen.size >= limits.entries) throw refused(header.name, `more than ${limits.entries} entries`)
    if (bytes > limits.bytes) throw refused(header.name, `more than ${limits.bytes} bytes`)
    const path = pathIn(header.name)
    if (path !== '') await place(entry as AsyncIterable<Uint8Array>, header, path, into, seen)
    entry.resume()
  }
}

async function place(
  entry: AsyncIterable<Uint8Array>,
  header: Header,
  path: string,
  into: string,
  seen: Map<string, 'file' | 'directory' | 'link'>,
): Promise<void> {
  for (let parent = dirname(path); parent !== '.'; parent = dirname(parent)) {
    const kind = seen.get(parent)
    if (kind !== undefined && kind !== 'directory') throw refused(header.name, `lies below the ${kind} ${parent}`)
  }
  const before = seen.get(path)
  const directory = header.type === 'directory'
  if (before !== undefined && !(directory && before === 'directory')) throw refused(header.name, 'comes twice')
  const target = join(into, path)
  await mkdir(dirname(target), { recursive: true })
  switch (header.type) {
    case 'directory':
      await mkdir(target, { recursive: true })
      seen.set(path, 'directory')
      return
    case 'file':
    case 'contiguous-file':
      await pipeline(plainly(entry), createWriteStream(target, { flags: 'wx', mode: ((header.mode ?? 0) & 0o111) === 0 ? 0o644 : 0o755 }))
      seen.set(path, 'file')
      return
    case 'symlink':
      await symlink(linkTarget(path, header.linkname ?? ''), target)
      seen.set(path, 'link')
      return
    case 'link': {
      // A hard link of our own to a file that has just been written: a copy has no ties.
      const from = pathIn(header.linkname ?? '')
      if (seen.get(from) !== 'file') throw refused(header.name, `links to ${from}, which is no file of the archive`)
      await copyFile(join(into, from), target)
      seen.set(path, 'file')
      return
    }
    default:
      throw refused(header.name, `is a ${header.type}`)
  }
}

function refused(name: string, why: string): RfoError {
  return new RfoError('RFO_SOURCE_PATH', `the archive's entry ${JSON.stringify(name.slice(0, 200))} ${why}`, { exit: 'untrusted' })
}

type Expansion = 'gzip' | 'zstd'

/** By its first bytes, whatever its name says; what is none of these is a tar, or the parser says why it is not. */
const compressed: readonly { readonly magic: string; readonly name: string; readonly expand?: Expansion }[] = [
  { magic: '1f8b', name: 'gzip', expand: 'gzip' },
  { magic: '28b52ffd', name: 'zstd', expand: 'zstd' },
  { magic: 'fd377a585a00', name: 'xz' },
  { magic: '425a68', name: 'bzip2' },
  { magic: '504b0304', name: 'zip' },
  { magic: '377abcaf271c', name: '7z' },
  { magic: '4c5a4950', name: 'lzip' },
]

async function expander(file: string): Promise<Expansion | undefined> {
  const handle = await open(file)
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(6), 0, 6, 0)
    const start = buffer.subarray(0, bytesRead).toString('hex')
    const found = compressed.find(({ magic }) => start.startsWith(magic))
    if (found === undefined || found.expand !== undefined) return found?.expand
    throw new RfoError('RFO_SOURCE_ARCHIVE', `can't unpack ${file}: it is ${found.name}; .tar, .tar.gz and .tar.zst are read`, {
      exit: 'usage',
      next: 'name the same source in one of these forms',
    })
  } finally {
    await handle.close()
  }
}

/**
 * The source's root: hosts put one folder (`name-commit/`) around everything, and that is taken off, unless `keep` (the
 * first segment of a `prebuilt` template) is just that folder.
 */
export async function sourceRoot(dir: string, keep: string | undefined): Promise<string> {
  const entries = await readdir(dir, { withFileTypes: true })
  const [only] = entries
  return entries.length === 1 && only?.isDirectory() === true && only.name !== keep ? join(dir, only.name) : dir
}
