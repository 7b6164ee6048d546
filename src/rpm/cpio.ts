/** The payload of an RPM: a cpio archive in the "new ASCII" form, https://man.freebsd.org/cgi/man.cgi?query=cpio&sektion=5. */
import type { ContentReader } from '../content/store.ts'
import { RfoError } from '../error.ts'
import type { PackageFile } from './package.ts'

/** The eight hexadecimal digits of a size end here; larger files need a form that older rpm can't read. */
const largestFile = 0xffffffff
const headerBytes = 110

/** Type bits and permissions, as in st_mode. */
export function fullMode(file: PackageFile): number {
  switch (file.kind) {
    case 'file':
    case 'ghost':
      return 0o100000 | file.mode
    case 'directory':
      return 0o040000 | file.mode
    case 'symlink':
      return 0o120777
  }
}

export function isGhost(file: PackageFile): boolean {
  return file.kind === 'ghost' || (file.kind === 'directory' && file.ghost === true)
}

/** bytes that the file has in the archive */
export function archivedSize(file: PackageFile): number {
  if (file.kind === 'file') return file.content.size
  return file.kind === 'symlink' ? Buffer.byteLength(file.target) : 0
}

/** bytes of the whole archive; no content is read for it */
export function cpioSize(files: readonly PackageFile[], nameOf = installedName): number {
  return files
    .filter((file) => !isGhost(file))
    .map((file) => entryHead(nameOf(file), file, 0, 0).length + padded(archivedSize(file)))
    .reduce((sum, size) => sum + size, trailer().length)
}

/** `epoch`: seconds, of every file. `files` are sorted; an inode is a file's place among them, counted from 1. */
export async function* cpio(
  files: readonly PackageFile[],
  from: ContentReader,
  epoch: number,
  signal?: AbortSignal,
  nameOf = installedName,
): AsyncGenerator<Uint8Array, void, undefined> {
  for (const [n, file] of files.entries()) {
    if (isGhost(file)) continue
    const size = archivedSize(file)
    if (size > largestFile)
      throw new RfoError('RFO_RPM_SIZE', `${file.path} has ${size} bytes, an RPM takes less than 4 GiB`, { exit: 'condition' })
    yield entryHead(nameOf(file), file, n + 1, epoch)
    if (file.kind === 'file') yield* from.fetch(file.content, signal)
    else if (file.kind === 'symlink') yield Buffer.from(file.target)
    yield Buffer.alloc(padded(size) - size)
  }
  yield trailer()
}

/** As `rpmlib(PayloadFilesHavePrefix)` says it. */
function installedName(file: PackageFile): string {
  return `.${file.path}`
}

/** Of a source, whose files lie together. */
export function bareName({ path }: PackageFile): string {
  return path.slice(1)
}

function entryHead(name: string, file: PackageFile, inode: number, mtime: number): Buffer {
  return head(name, inode, fullMode(file), mtime, archivedSize(file))
}

function trailer(): Buffer {
  return head('TRAILER!!!', 0, 0, 0, 0)
}

function head(name: string, inode: number, mode: number, mtime: number, size: number): Buffer {
  const nameBytes = Buffer.from(`${name}\0`)
  // ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
  const fields = [inode, mode, 0, 0, 1, mtime, size, 0, 0, 0, 0, nameBytes.length, 0]
  const bytes = Buffer.alloc(padded(headerBytes + nameBytes.length))
  bytes.write(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`, 'latin1')
  nameBytes.copy(bytes, headerBytes)
  return bytes
}

function padded(size: number): number {
  return Math.ceil(size / 4) * 4
}
