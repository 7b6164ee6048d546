/** Small tar and gzip files whose bytes depend on nothing but their content. */
import { gzipSync } from 'node:zlib'
import { RfoError } from '../error.ts'

export type TarEntry =
  | { readonly kind: 'file'; readonly path: string; readonly bytes: Buffer; readonly mode?: number }
  | { readonly kind: 'directory'; readonly path: string; readonly mode?: number }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }
  /** What git puts first in its archives: the commit, in a global header that names no file. */
  | { readonly kind: 'commit'; readonly path: 'pax_global_header'; readonly commit: string }

const block = 512
const typeflags = { file: '0', link: '2', directory: '5', commit: 'g' } as const satisfies Record<TarEntry['kind'], string>

/**
 * POSIX ustar (https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_06): owner 0:0 without names,
 * `epoch` (seconds) as every time, entries in the order given. Paths have no leading or trailing slash.
 */
export function tar(entries: readonly TarEntry[], epoch: number): Buffer {
  const parts: Buffer[] = []
  for (const entry of entries) {
    const body = bodyOf(entry)
    parts.push(header(entry, body.length, epoch), body, Buffer.alloc((block - (body.length % block)) % block))
  }
  parts.push(Buffer.alloc(2 * block)) // two zero blocks end the file
  return Buffer.concat(parts)
}

/** RFC 1952 with no time, and 255 (unknown) as the operating system: zlib writes the one it was compiled for. */
export function gzip(bytes: Uint8Array): Buffer {
  const packed = gzipSync(bytes, { level: 6 })
  packed[9] = 255
  return packed
}

/** The folders above the paths, parents first: a layer names each folder that it brings. */
export function foldersOf(paths: readonly string[]): TarEntry[] {
  const folders = new Set<string>()
  for (const path of paths) {
    const steps = path.split('/').slice(0, -1)
    for (let depth = 1; depth <= steps.length; depth++) folders.add(steps.slice(0, depth).join('/'))
  }
  return [...folders].sort().map((path) => ({ kind: 'directory', path }))
}

function bodyOf(entry: TarEntry): Buffer {
  if (entry.kind === 'file') return entry.bytes
  return Buffer.from(entry.kind === 'commit' ? `52 comment=${entry.commit}\n` : '')
}

function header(entry: TarEntry, size: number, epoch: number): Buffer {
  const bytes = Buffer.alloc(block)
  const { name, prefix } = split(entry.kind === 'directory' ? `${entry.path}/` : entry.path)
  bytes.write(name, 0)
  octal(bytes, modeOf(entry), 100, 8)
  octal(bytes, 0, 108, 8)
  octal(bytes, 0, 116, 8)
  octal(bytes, size, 124, 12)
  octal(bytes, epoch, 136, 12)
  bytes.write(typeflags[entry.kind], 156)
  if (entry.kind === 'link') bytes.write(entry.target, 157)
  bytes.write('ustar\0' + '00', 257, 'latin1')
  octal(bytes, 0, 329, 8)
  octal(bytes, 0, 337, 8)
  bytes.write(prefix, 345)
  bytes.fill(' ', 148, 156)
  const sum = bytes.reduce((total, byte) => total + byte, 0)
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return bytes
}

function modeOf(entry: TarEntry): number {
  if (entry.kind === 'link') return 0o777
  if (entry.kind === 'directory') return entry.mode ?? 0o755
  return entry.kind === 'file' ? (entry.mode ?? 0o644) : 0o666
}

function octal(into: Buffer, value: number, at: number, size: number): void {
  into.write(`${value.toString(8).padStart(size - 1, '0')}\0`, at, 'latin1')
}

/** ustar's name holds 100 bytes; a longer path is cut at a slash into prefix (155) and name. */
function split(path: string): { readonly name: string; readonly prefix: string } {
  if (Buffer.byteLength(path) <= 100) return { name: path, prefix: '' }
  for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) {
    const prefix = path.slice(0, at)
    const name = path.slice(at + 1)
    if (name !== '' && Buffer.byteLength(prefix) <= 155 && Buffer.byteLength(name) <= 100) return { name, prefix }
  }
  throw new RfoError('RFO_SANDBOX_PATH', `a path too long for a tar header: ${path.slice(0, 300)}`, { exit: 'usage' })
}
