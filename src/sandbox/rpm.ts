/**
 * Stand-in RPMs: small, and real enough for rpm itself. Lead, signature header, header, cpio in gzip:
 * https://rpm-software-management.github.io/rpm/manual/format_v4.html
 */
import { createHash } from 'node:crypto'
import { architectures } from '../oci/platform.ts'
import { type RpmFile, type RpmPackage, rpmFileHeader, rpmSignatureHeader, type Value } from './rpmdb.ts'
import { gzip } from './tar.ts'

export interface RpmContent {
  readonly path: string
  /** with its type bits */
  readonly mode: number
  readonly bytes?: Buffer
  readonly target?: string
  /** owned, and not in the archive */
  readonly ghost?: true
}

export function rpmBytes(one: Omit<RpmPackage, 'files' | 'digestAlgorithm'>, contents: readonly RpmContent[]): Buffer {
  const sorted = [...contents].sort((a, b) => (a.path < b.path ? -1 : 1))
  const files = sorted.map(
    ({ path, mode, bytes, target, ghost }): RpmFile => ({
      path,
      mode,
      digest: bytes === undefined || ghost === true ? '' : createHash('sha256').update(bytes).digest('hex'),
      size: (bytes ?? Buffer.from(target ?? '')).length,
      ...(target === undefined ? {} : { target }),
      ...(ghost === undefined ? {} : { ghost }),
    }),
  )
  const archive = cpio(sorted)
  const payload = gzip(archive)
  const packing: Value[] = [
    { tag: 1124, type: 'string', value: ['cpio'] },
    { tag: 1125, type: 'string', value: ['gzip'] },
    { tag: 1126, type: 'string', value: ['6'] },
    { tag: 5092, type: 'strings', value: [createHash('sha256').update(payload).digest('hex')] },
    { tag: 5093, type: 'int32', value: [8] },
  ]
  const header = rpmFileHeader({ ...one, files, digestAlgorithm: 8 }, packing)
  const signature = rpmSignatureHeader([
    { tag: 269, type: 'string', value: [createHash('sha1').update(header).digest('hex')] },
    { tag: 273, type: 'string', value: [createHash('sha256').update(header).digest('hex')] },
    { tag: 1000, type: 'int32', value: [header.length + payload.length] },
    { tag: 1007, type: 'int32', value: [archive.length] },
  ])
  const front = 96 + signature.length
  return Buffer.concat([lead(one), signature, Buffer.alloc((8 - (front % 8)) % 8), header, payload])
}

function lead({ name, version, release, arch }: Pick<RpmPackage, 'name' | 'version' | 'release' | 'arch'>): Buffer {
  const bytes = Buffer.alloc(96)
  bytes.writeUInt32BE(0xedabeedb, 0)
  bytes[4] = 3
  bytes.writeUInt16BE(Object.values(architectures).find((row) => row.rpm === arch)?.rpmLead ?? 1, 8)
  bytes.write(`${name}-${version}-${release}`, 10, 65)
  bytes.writeUInt16BE(1, 76)
  bytes.writeUInt16BE(5, 78)
  return bytes
}

/** The "new ASCII" form: https://man.freebsd.org/cgi/man.cgi?query=cpio&sektion=5 */
function cpio(contents: readonly RpmContent[]): Buffer {
  const parts = contents.flatMap(({ path, mode, bytes, target, ghost }, n) =>
    ghost === true ? [] : [member(`.${path}`, n + 1, mode, bytes ?? Buffer.from(target ?? ''))],
  )
  return Buffer.concat([...parts, member('TRAILER!!!', 0, 0, Buffer.alloc(0))])
}

function member(name: string, inode: number, mode: number, bytes: Buffer): Buffer {
  const fields = [inode, mode, 0, 0, 1, 0, bytes.length, 0, 0, 0, 0, name.length + 1, 0]
  const front = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${name}\0`, 'latin1')
  const fill = (length: number): Buffer => Buffer.alloc((4 - (length % 4)) % 4)
  return Buffer.concat([front, fill(front.length), bytes, fill(bytes.length)])
}
