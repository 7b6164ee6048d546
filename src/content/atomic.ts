/** Files that are there whole or not at all: written under a temporary name, flushed, renamed, and the folder flushed. */
import { randomUUID } from 'node:crypto'
import { type FileHandle, lstat, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { RfoError } from '../error.ts'

/** bytes; chunks off a socket are 64 KiB at most, and a system call for each costs more than the copy */
const writeAtOnce = 1024 * 1024
/** https://man7.org/linux/man-pages/man2/writev.2.html: IOV_MAX is 1024 */
const piecesAtOnce = 512
/** Of what broke off and may be gone on from, next week at the latest. */
const partForm = /^\.[0-9a-f]{64}\.[0-9a-f-]{36}\.part$/
const temporaryForm = /^\.?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\.tmp$/

/**
 * Streams `body` into a file. `place` is asked for the final path once all bytes are written and flushed; until then
 * there is nothing but the temporary file. The first bytes are awaited before a file is opened: a body may wait for its turn.
 */
export async function writeFileOnce(temporaryFolder: string, body: AsyncIterable<Uint8Array>, place: () => string): Promise<void> {
  const iterator = body[Symbol.asyncIterator]()
  let temporary: string | undefined
  try {
    let next = await iterator.next()
    temporary = join(temporaryFolder, `.${randomUUID()}.tmp`)
    const file = await open(temporary, 'wx', 0o644).catch((cause) => Promise.reject(diskError(cause, temporaryFolder)))
    try {
      let pieces: Uint8Array[] = []
      let waiting = 0
      while (next.done !== true) {
        pieces.push(next.value)
        waiting += next.value.length
        if (waiting >= writeAtOnce || pieces.length >= piecesAtOnce) {
          await writeAll(file, pieces, waiting)
          pieces = []
          waiting = 0
        }
        next = await iterator.next()
      }
      if (waiting > 0) await writeAll(file, pieces, waiting)
      await file.sync().catch((cause) => Promise.reject(diskError(cause, temporaryFolder)))
    } finally {
      await file.close()
    }
    const path = place()
    await rename(temporary, path).catch((cause) => Promise.reject(diskError(cause, path)))
    temporary = undefined
    await flushFolder(dirname(path))
  } finally {
    await iterator.return?.()
    if (temporary !== undefined) await rm(temporary, { force: true })
  }
}

export async function writeAll(file: FileHandle, pieces: readonly Uint8Array[], total: number): Promise<void> {
  try {
    const { bytesWritten } = await file.writev([...pieces])
    if (bytesWritten === total) return
    const rest = Buffer.concat(pieces).subarray(bytesWritten)
    for (let at = 0; at < rest.length; ) at += (await file.write(rest, at)).bytesWritten
  } catch (cause) {
    throw diskError(cause, 'the store')
  }
}

const flushing = new Map<string, { running: Promise<void>; next: Promise<void> | undefined }>()

/** fsync of a folder. Those who come while one runs share the next: its start is after their rename. */
export async function flushFolder(folder: string): Promise<void> {
  const now = flushing.get(folder)
  if (now !== undefined) {
    now.next ??= now.running.catch(() => {}).then(() => start(folder))
    return await now.next
  }
  return await start(folder)
}

function start(folder: string): Promise<void> {
  const running = syncFolder(folder)
  const state = { running, next: undefined }
  flushing.set(folder, state)
  const ended = (): void => {
    if (flushing.get(folder) === state && state.next === undefined) flushing.delete(folder)
  }
  running.then(ended, ended)
  return running
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch((cause) => Promise.reject(diskError(cause, folder)))
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/**
 * Removes temporary files of writers that were killed: those untouched for an hour (a week where there is something to go on from) by
 * the file system's own clock, since another process may be writing right now.
 */
export async function removeLeftovers(folder: string): Promise<void> {
  const names = (await readdir(folder)).filter((name) => temporaryForm.test(name) || partForm.test(name))
  if (names.length === 0) return
  const probe = join(folder, `.${randomUUID()}.tmp`)
  await (await open(probe, 'wx', 0o644)).close()
  const now = (await lstat(probe)).mtimeMs
  await rm(probe, { force: true })
  for (const name of names) {
    const path = join(folder, name)
    const found = await lstat(path).catch(() => undefined)
    const longest = partForm.test(name) ? 7 * 24 * 3600_000 : 3600_000
    if (found?.isFile() && now - found.mtimeMs > longest) await rm(path, { force: true })
  }
}

export async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true }).catch((cause) => Promise.reject(diskError(cause, path)))
}

/** A failure of this machine's disk, in words; anything else stays what it is. */
export function diskError(cause: unknown, where: string): unknown {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code
  if (cause instanceof RfoError || typeof code !== 'string') return cause
  const what =
    code === 'ENOSPC' || code === 'EDQUOT' ? 'no room left on the disk' : code === 'EACCES' || code === 'EPERM' ? 'no permission' : code
  return new RfoError('RFO_CONTENT_DISK', `can't write: ${what}`, {
    exit: 'machine',
    where,
    cause,
    next: 'free some room or fix the permission, then run the same command again',
  })
}
