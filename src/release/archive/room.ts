/** Whether what is to be written fits, asked before it is begun. */
import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { diskError } from '../../content/atomic.ts'
import { RfoError } from '../../error.ts'

export interface Room {
  /** that are written: everything streams to its place, so no more is needed at any time */
  readonly bytes: number
  /** that the disk has left */
  readonly free: number
}

/** Throws RFO_ARCHIVE_ROOM (machine) where `bytes` do not fit at `where`, which need not be there yet. */
export async function roomFor(bytes: number, where: string): Promise<Room> {
  const free = await freeBytes(where)
  if (bytes <= free) return { bytes, free }
  throw new RfoError('RFO_ARCHIVE_ROOM', `${bytes} bytes are to be written, and ${free} are free`, {
    exit: 'machine',
    where,
    next: 'free some room, or choose with --group and --platform',
  })
}

async function freeBytes(where: string): Promise<number> {
  for (let folder = where; ; folder = dirname(folder)) {
    try {
      const { bavail, bsize } = await statfs(folder)
      return bavail * bsize
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(folder) === folder) throw diskError(cause, folder)
    }
  }
}
