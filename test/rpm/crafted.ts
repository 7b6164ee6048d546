/** RPMs that no rpmbuild would make: header and payload as a test says. */
import { writeFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { digestOf } from '../../src/oci/digest.ts'
import { type Entry, encodeHeader, numbers, sha256Number, tags, text, texts } from '../../src/rpm/header.ts'

export interface Row {
  /** in the header */
  readonly path: string
  readonly mode?: number
  readonly body?: string
  readonly size?: number
  readonly digest?: string
  readonly target?: string
  readonly flags?: number
}

export interface Member {
  readonly name: string
  readonly mode?: number
  readonly body?: string
  readonly size?: number
  readonly links?: number
  readonly inode?: number
}

export interface Crafted {
  readonly name?: string
  readonly arch?: string
  readonly rows: readonly Row[]
  /** default: what the rows say */
  readonly members?: readonly Member[]
  readonly payload?: Buffer
  readonly more?: readonly Entry[]
}

export function craft(file: string, rpm: Crafted): string {
  writeFileSync(file, craftedBytes(rpm))
  return file
}

export function craftedBytes({ name = 'crafted', arch = 'x86_64', rows, members, payload, more = [] }: Crafted): Buffer {
  const folders = [...new Set(rows.map(({ path }) => folderOf(path)))]
  const header = encodeHeader(tags.headerImmutable, [
    [tags.name, text(name)],
    [tags.version, text('1.0')],
    [tags.release, text('1')],
    [tags.arch, text(arch)],
    [tags.sourceRpm, text(`${name}-1.0-1.src.rpm`)],
    [tags.fileSizes, numbers(rows.map((row) => row.size ?? (row.body ?? '').length))],
    [tags.fileModes, { type: 'int16', values: rows.map(modeOf) }],
    [tags.fileDigests, texts(rows.map((row) => row.digest ?? (row.body === undefined ? '' : digestOf(row.body).slice(7))))],
    [tags.fileLinktos, texts(rows.map((row) => row.target ?? ''))],
    [tags.fileFlags, numbers(rows.map((row) => row.flags ?? 0))],
    [tags.fileUserName, texts(rows.map(() => 'root'))],
    [tags.fileGroupName, texts(rows.map(() => 'root'))],
    [tags.dirIndexes, numbers(rows.map(({ path }) => folders.indexOf(folderOf(path))))],
    [tags.baseNames, texts(rows.map(({ path }) => path.slice(folderOf(path).length)))],
    [tags.dirNames, texts(folders)],
    [tags.fileDigestAlgorithm, numbers([sha256Number])],
    ...more,
  ])
  const signature = encodeHeader(tags.headerSignatures, [[1000, numbers([1])]])
  const lead = Buffer.alloc(96)
  lead.writeUInt32BE(0xedabeedb, 0)
  lead[4] = 3
  const archive = cpioOf(members ?? rows.map((row) => ({ name: `.${row.path}`, mode: modeOf(row), body: row.target ?? row.body ?? '' })))
  const padding = Buffer.alloc((8 - ((96 + signature.length) % 8)) % 8)
  return Buffer.concat([lead, signature, padding, header, payload ?? gzipSync(archive)])
}

export function cpioOf(members: readonly Member[]): Buffer {
  const parts = [...members, { name: 'TRAILER!!!', mode: 0 }].map(({ name, mode = 0o100644, body = '', ...member }: Member, n) => {
    const bytes = Buffer.from(body)
    const head = [member.inode ?? n + 1, mode, 0, 0, member.links ?? 1, 0, member.size ?? bytes.length, 0, 0, 0, 0, name.length + 1, 0]
    const front = Buffer.from(`070701${head.map((each) => each.toString(16).padStart(8, '0')).join('')}${name}\0`)
    return Buffer.concat([front, Buffer.alloc((4 - (front.length % 4)) % 4), bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)])
  })
  return Buffer.concat(parts)
}

function modeOf({ mode, target }: Row): number {
  return mode ?? (target === undefined ? 0o100644 : 0o120777)
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/') + 1)
}
