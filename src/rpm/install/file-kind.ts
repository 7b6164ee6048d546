/** st_mode's type bits → what an image may hold; undefined = a device, a pipe or a socket. */
export type FileKind = 'file' | 'directory' | 'symlink'

const kinds: ReadonlyMap<number, FileKind> = new Map([
  [0o100000, 'file'],
  [0o040000, 'directory'],
  [0o120000, 'symlink'],
])

export function fileKind(mode: number): FileKind | undefined {
  return kinds.get(mode & 0o170000)
}
