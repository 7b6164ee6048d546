/**
 * A verified release's archives into the folder of images of a node: copied under names that a node passes over, verified while they
 * stream, flushed, and renamed. What lies there besides is told, and stays.
 */
import { lstat, mkdir, readdir, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { ReleasePredicate } from '../attest/release.ts'
import { diskError, makeFolder, writeFileOnce } from '../content/atomic.ts'
import { RfoError } from '../error.ts'
import type { Digest } from '../oci/digest.ts'
import type { PlatformName } from '../oci/platform.ts'
import { roomFor } from './archive/room.ts'
import { groupFileOf } from './group-archive.ts'
import { type FolderReader, folderReader } from './image-folder/reader.ts'
import type { LoadRequest, LoadState } from './load.ts'
import type { ReleaseFile, ReleaseFiles } from './shelf.ts'
import { isWanted } from './signed-images.ts'
import { hashFile } from './verify/tree.ts'

/** Of our own making, for what is not whole yet; hidden from a node, which looks at the top level. */
const scratchName = '.rfo-load'
const mostFiles = 10_000

export interface NodeSelection {
  readonly platforms: readonly PlatformName[]
  /** absent = what a server with the default CNI needs */
  readonly groups?: readonly string[]
}

export interface FolderLoad {
  readonly files: ReleaseFiles
  readonly predicate: ReleasePredicate
  readonly selection: NodeSelection
  readonly folder: string
  readonly existing: LoadRequest['existing']
  readonly signal?: AbortSignal
}

export interface LoadedFile {
  readonly path: string
  /** the signed one */
  readonly digest: Digest
  readonly state: LoadState
}

/** What lies there and is not of this load: the group archive of another release, a list that a node pulls, its cache, anything else. */
export interface Beside {
  readonly path: string
  readonly kind: 'older' | 'list' | 'cache' | 'other'
}

/** What a node of this version makes of such a folder, that somebody should know. */
export type FolderNote = 'restart' | 'collected' | 'cacheUnknown'

export interface FolderLoaded {
  readonly files: readonly LoadedFile[]
  readonly beside: readonly Beside[]
  readonly notes: readonly FolderNote[]
}

/** Changes nothing. Throws RFO_LOAD_EXISTING (condition), RFO_ARCHIVE_ROOM (machine), RFO_LOAD_GROUP (condition). */
export async function planFolderLoad({ predicate, selection, folder, existing, files }: FolderLoad): Promise<readonly ReleaseFile[]> {
  const write: ReleaseFile[] = []
  const others: string[] = []
  for (const file of chosenArchives(predicate, selection, files)) {
    const state = await stateOf(folder, file)
    if (state === 'other') others.push(join(folder, file.path))
    if (isWanted(state, existing)) write.push(file)
  }
  if (others.length > 0 && existing === 'refuse')
    throw new RfoError('RFO_LOAD_EXISTING', `${others.length} archives have other bytes there: nothing was written`, {
      exit: 'condition',
      where: others[0] ?? folder,
      details: others,
      next: 'leave them with --existing skip, or give --existing replace',
    })
  await roomFor(
    write.reduce((sum, { size }) => sum + size, 0),
    folder,
  )
  return write
}

export async function loadIntoFolder(request: FolderLoad): Promise<FolderLoaded> {
  const { folder, files, predicate, selection, signal } = request
  const write = await planFolderLoad(request)
  if (write.length > 0) {
    const scratch = join(folder, scratchName)
    await makeFolder(folder)
    // not recursive: of a disk that can't be written Node would say that nothing is there
    await mkdir(scratch).catch((cause) => (cause.code === 'EEXIST' ? undefined : Promise.reject(diskError(cause, folder))))
    try {
      await empty(scratch)
      for (const file of write) {
        signal?.throwIfAborted()
        await writeFileOnce(scratch, files.open(file), () => join(folder, file.path))
      }
    } finally {
      await empty(scratch).catch(() => {})
      await rmdir(scratch).catch(() => {})
    }
  }
  return await folderState(folder, predicate, selection, files)
}

/** What is there now, read again from the disk. */
export async function folderState(
  folder: string,
  predicate: ReleasePredicate,
  selection: NodeSelection,
  from?: ReleaseFiles,
): Promise<FolderLoaded> {
  const chosen = chosenArchives(predicate, selection, from)
  const files: LoadedFile[] = []
  for (const file of chosen) files.push({ path: join(folder, file.path), digest: file.digest, state: await stateOf(folder, file) })
  const reader = folderReader(`rke2@${predicate.upstream.version}`)
  const beside = await lyingBeside(folder, predicate, new Set(chosen.map(({ path }) => path)))
  return { files, beside, notes: notesFor(reader, beside) }
}

/** Archives only: a list in such a folder is pulled, archive or not. */
function chosenArchives(predicate: ReleasePredicate, { platforms, groups }: NodeSelection, from?: ReleaseFiles): ReleaseFile[] {
  return platforms.flatMap((platform) => {
    const arch = platform.slice('linux/'.length)
    const names =
      groups === undefined ? [`rfo-images.linux-${arch}.tar.zst`] : groups.map((group) => `rfo-images-${group}.linux-${arch}.tar.zst`)
    return names.map((name) => {
      const signed = predicate.files.find(({ path }) => path === name)
      // as whoever opens it knows it: an archive makes it again
      const there = from === undefined ? signed : from.files.find(({ path, digest }) => path === name && digest === signed?.digest)
      if (there !== undefined) return there
      throw new RfoError(
        'RFO_LOAD_GROUP',
        signed === undefined ? `the release has no ${name}` : `${name} is not in this part of the release`,
        {
          exit: 'condition',
          next: 'choose with --group and --platform what there is',
        },
      )
    })
  })
}

/** Throws RFO_LOAD_EXISTING (condition) for what is no file: neither replaced nor followed. */
async function stateOf(folder: string, { path, size, digest }: ReleaseFile): Promise<LoadState> {
  const place = join(folder, path)
  const found = await lstat(place).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return undefined
    throw diskError(cause, place)
  })
  if (found === undefined) return 'missing'
  if (!found.isFile())
    throw new RfoError('RFO_LOAD_EXISTING', 'something that is no file has its name', {
      exit: 'condition',
      where: place,
      next: 'move it away',
    })
  return found.size === size && (await hashFile(place, false)).digest === digest ? 'present' : 'other'
}

async function lyingBeside(folder: string, predicate: ReleasePredicate, chosen: ReadonlySet<string>): Promise<Beside[]> {
  const names = await readdir(folder).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return []
    throw diskError(cause, folder)
  })
  if (names.length > mostFiles) throw new RfoError('RFO_LOAD_FOLDER', `more than ${mostFiles} entries`, { exit: 'usage', where: folder })
  const found: Beside[] = []
  for (const name of names.sort()) {
    const path = join(folder, name)
    if (chosen.has(name) || name === scratchName || !(await lstat(path)).isFile()) continue
    const signed = predicate.files.find((file) => file.path === name)
    const kind = groupFileOf(name)?.kind
    const ours = kind === 'tar.zst' || kind === 'tar.gz'
    // another group of this very release
    if (ours && signed !== undefined && (await stateOf(folder, signed)) === 'present') continue
    found.push({ path, kind: name === '.cache.json' ? 'cache' : name.toLowerCase().endsWith('.txt') ? 'list' : ours ? 'older' : 'other' })
  }
  return found
}

function notesFor(reader: FolderReader, beside: readonly Beside[]): FolderNote[] {
  return [
    ...(reader.watches ? [] : (['restart'] as const)),
    ...(reader.pins ? [] : (['collected'] as const)),
    ...(!reader.knowsJson && beside.some(({ kind }) => kind === 'cache') ? (['cacheUnknown'] as const) : []),
  ]
}

/** What a killed run left: temporary files alone, by their form. */
async function empty(scratch: string): Promise<void> {
  for (const name of await readdir(scratch)) if (/^\.[0-9a-f-]{36}\.tmp$/.test(name)) await rm(join(scratch, name), { force: true })
}
