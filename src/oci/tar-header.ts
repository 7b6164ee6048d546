/** Headers of POSIX ustar and pax: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13 */

export const blockSize = 512

export interface TarHeader {
  /** without a leading slash; a directory's ends with one */
  readonly name: string
  /** a hardlink's `link` is the name of an earlier entry */
  readonly type: 'file' | 'directory' | 'symlink' | 'hardlink'
  readonly mode: number
  /** bytes */
  readonly size: number
  /** seconds */
  readonly mtime: number
  readonly link: string
  /** absent = root's */
  readonly owner?: { readonly uid: number; readonly gid: number }
}

const typeFlags = { file: '0', hardlink: '1', directory: '5', symlink: '2', pax: 'x' } as const
/** Eleven octal digits. */
const largestOctal = 0o77777777777

/** The entry's header blocks: a pax header first when ustar can't say it. */
export function headerBlocks(header: TarHeader): Buffer {
  const split = splitName(header.name)
  const records = [
    ...(split === undefined ? [record('path', header.name)] : []),
    ...(fits(header.link, 100) ? [] : [record('linkpath', header.link)]),
    ...(header.size > largestOctal ? [record('size', String(header.size))] : []),
  ]
  const own = block(header, typeFlags[header.type], split ?? { prefix: '', name: shortened(header.name) })
  if (records.length === 0) return own
  const body = Buffer.concat(records)
  const pax = block({ ...header, mode: 0o644, size: body.length, link: '' }, typeFlags.pax, {
    prefix: '',
    name: shortened(`PaxHeaders/${header.name}`),
  })
  return Buffer.concat([pax, body, Buffer.alloc(padding(body.length)), own])
}

/** Bytes to the next block. */
export function padding(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize
}

function block(header: TarHeader, type: string, path: { readonly prefix: string; readonly name: string }): Buffer {
  const bytes = Buffer.alloc(blockSize)
  bytes.write(path.name, 0, 100)
  octal(bytes, header.mode, 100, 8)
  octal(bytes, header.owner?.uid ?? 0, 108, 8)
  octal(bytes, header.owner?.gid ?? 0, 116, 8)
  octal(bytes, Math.min(header.size, largestOctal), 124, 12)
  octal(bytes, header.mtime, 136, 12)
  bytes.write('        ', 148)
  bytes.write(type, 156)
  bytes.write(fits(header.link, 100) ? header.link : shortened(header.link), 157, 100)
  bytes.write('ustar\x0000', 257, 'latin1')
  octal(bytes, 0, 329, 8)
  octal(bytes, 0, 337, 8)
  bytes.write(path.prefix, 345, 155)
  // "the simple sum of all octets in the header", the checksum's own field read as spaces
  bytes.write(
    `${bytes
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
    'latin1',
  )
  return bytes
}

function octal(bytes: Buffer, value: number, at: number, width: number): void {
  bytes.write(`${value.toString(8).padStart(width - 1, '0')}\0`, at, 'latin1')
}

function fits(text: string, width: number): boolean {
  return Buffer.byteLength(text) <= width && /^[\x20-\x7e]*$/.test(text)
}

/** In ustar a long name may be cut at a slash; undefined when that does not help. */
function splitName(name: string): { prefix: string; name: string } | undefined {
  if (fits(name, 100)) return { prefix: '', name }
  if (!/^[\x20-\x7e]*$/.test(name)) return undefined
  for (let at = name.indexOf('/'); at !== -1 && at < name.length - 1; at = name.indexOf('/', at + 1)) {
    if (at <= 155 && name.length - at - 1 <= 100) return { prefix: name.slice(0, at), name: name.slice(at + 1) }
  }
  return undefined
}

/** For readers without pax: never more than 100 bytes, never half a character. */
function shortened(name: string): string {
  return name.replace(/[^\x20-\x7e]/g, '_').slice(0, 100)
}

/** "%d %s=%s\n": the length counts itself. */
function record(key: string, value: string): Buffer {
  const rest = Buffer.byteLength(` ${key}=${value}\n`)
  let length = rest + String(rest).length
  if (rest + String(length).length !== length) length = rest + String(length).length
  return Buffer.from(`${length} ${key}=${value}\n`)
}
