/**
 * The files of a release out of its archive, bit for bit those that were signed. Every file is there whole or not at all, under its name
 * only once its digest has held; the statement's signature comes last, so that what is unfinished is no release. A rerun keeps what is right.
 */
import { chmod, lstat, mkdir, readdir, rm, rmdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { ReleasePredicate } from '../../attest/release.ts'
import { diskError, flushFolder, writeFileOnce } from '../../content/atomic.ts'
import { RfoError } from '../../error.ts'
import { isExecutable, type ReleaseFile } from '../shelf.ts'
import { bundlePath } from '../verify/files.ts'
import { untrusted } from '../verify/finding.ts'
import { hashFile } from '../verify/tree.ts'
import { knownPath } from './known.ts'
import type { OpenArchive } from './open.ts'
import { type Room, roomFor } from './room.ts'
import { type Selection, selects } from './selection.ts'

/** Of our own making, for files that are not whole yet; nobody else's name. */
const scratchName = '.rfo-materialize'

/** A disk flushes several files as fast as one; more only take memory. */
const atOnce = 4

export interface MaterializePlan extends Room {
  readonly into: string
  /** in the order in which they are written */
  readonly write: readonly ReleaseFile[]
  /** there already, with the right bytes */
  readonly keep: readonly ReleaseFile[]
}

/**
 * Changes nothing. `predicate` is verified. Throws RFO_ARCHIVE_FILE (untrusted) for an archive that lists something else than was signed,
 * RFO_ARCHIVE_EXISTS (usage) where something else is in the way, RFO_ARCHIVE_ROOM (machine) for a disk that is too small.
 */
export async function planMaterialize(
  archive: OpenArchive,
  predicate: ReleasePredicate,
  selection: Selection,
  into: string,
): Promise<MaterializePlan> {
  const chosen = classicFiles(archive, predicate, selection)
  refuseOthers(chosen, predicate)
  const write: ReleaseFile[] = []
  const keep: ReleaseFile[] = []
  for (const file of chosen) {
    const there = await isThere(into, file)
    if (there) keep.push(file)
    else write.push(file)
  }
  write.sort((a, b) => Number(a.path === bundlePath) - Number(b.path === bundlePath))
  const bytes = write.reduce((sum, { size }) => sum + size, 0)
  return { into, write, keep, ...(await roomFor(bytes, into)) }
}

/** Of a part that is chosen, the classic files; otherwise all that the archive holds, its layout too. What was signed and is not there is told. */
function classicFiles(archive: OpenArchive, predicate: ReleasePredicate, selection: Selection): readonly ReleaseFile[] {
  const part = Object.keys(selection).length > 0
  const wanted = selects(part ? selection : (archive.index.selection ?? {}), predicate)
  const there = new Set(archive.files.map(({ path }) => path))
  const missing = predicate.files.filter(({ path }) => wanted(path) && !there.has(path)).map(({ path }) => path)
  if (missing.length > 0 && archive.index.selection === undefined)
    throw untrusted('RFO_ARCHIVE_FILE', 'the statement lists a file that is not there', missing[0])
  if (missing.length > 0)
    throw new RfoError('RFO_ARCHIVE_PART', `${missing.length} files are not in this part of the release`, {
      exit: 'unfinished',
      where: archive.where,
      details: missing,
      next: 'take an archive that holds them, or choose with --group and --platform',
    })
  return part ? archive.files.filter(({ path }) => !path.startsWith('oci/') && wanted(path)) : archive.files
}

function refuseOthers(chosen: readonly ReleaseFile[], predicate: ReleasePredicate): void {
  const signed = new Map(predicate.files.map((file) => [file.path, file]))
  const known = knownPath(predicate)
  for (const { path, size, digest } of chosen) {
    const listed = signed.get(path)
    if (listed !== undefined && (listed.digest !== digest || listed.size !== size))
      throw untrusted('RFO_ARCHIVE_FILE', `is ${digest} here, the statement says ${listed.digest}`, path)
    if (listed === undefined && !known({ path, digest })) throw untrusted('RFO_ARCHIVE_FILE', 'a file that no list covers', path)
  }
}

/** Nothing that somebody has put there is replaced. */
async function isThere(into: string, file: ReleaseFile): Promise<boolean> {
  const parts = file.path.split('/')
  for (let depth = 0; depth <= parts.length; depth += 1) {
    const path = join(into, ...parts.slice(0, depth))
    const found = await lstat(path).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT') return undefined
      if (cause.code === 'ENOTDIR') throw inTheWay(dirname(path))
      throw diskError(cause, path)
    })
    if (found === undefined) return false
    if (depth < parts.length && !found.isDirectory()) throw inTheWay(path)
    if (depth < parts.length) continue
    if (found.isFile() && found.size === file.size && (await hashFile(path, false)).digest === file.digest) return true
    throw inTheWay(path)
  }
  return false
}

function inTheWay(where: string): RfoError {
  return new RfoError('RFO_ARCHIVE_EXISTS', 'something else is there, and is not touched', {
    exit: 'usage',
    where,
    next: 'move it away, or give another folder with -o',
  })
}

export async function materialize(plan: MaterializePlan, archive: OpenArchive, signal?: AbortSignal): Promise<void> {
  const { into, write, keep } = plan
  const scratch = join(into, scratchName)
  await mkdir(scratch, { recursive: true }).catch((cause) => Promise.reject(diskError(cause, into)))
  await empty(scratch)
  try {
    const put = async (file: ReleaseFile): Promise<void> => {
      signal?.throwIfAborted()
      const target = join(into, file.path)
      await mkdir(dirname(target), { recursive: true }).catch((cause) => Promise.reject(diskError(cause, into)))
      await writeFileOnce(scratch, archive.open(file), () => target)
      if (isExecutable(file.path)) await chmod(target, 0o755)
    }
    const [first, last] = [write.filter(({ path }) => path !== bundlePath), write.filter(({ path }) => path === bundlePath)]
    await inTurns(first, put)
    for (const file of last) await put(file)
    for (const { path } of keep) if (isExecutable(path)) await chmod(join(into, path), 0o755)
  } finally {
    await empty(scratch)
    await rmdir(scratch).catch(() => {})
  }
  await flushFolder(into)
}

/** Each file waits for the disk to have it: some at once, and none begun after one has failed. */
async function inTurns(files: readonly ReleaseFile[], put: (file: ReleaseFile) => Promise<void>): Promise<void> {
  const queue = [...files]
  const take = async (): Promise<void> => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      try {
        await put(file)
      } catch (thrown) {
        queue.length = 0
        throw thrown
      }
    }
  }
  const ended = await Promise.allSettled(Array.from({ length: atOnce }, take))
  const failed = ended.find((one) => one.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}

/** What a killed run left: temporary files alone, by their form. */
async function empty(scratch: string): Promise<void> {
  for (const name of await readdir(scratch)) if (/^\.[0-9a-f-]{36}\.tmp$/.test(name)) await rm(join(scratch, name), { force: true })
}
