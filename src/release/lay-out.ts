/**
 * Lays a release out as `<outDir>/<version>/`: in a temporary folder beside it, flushed, then renamed. Blobs are linked
 * out of the working store where the file system allows, so that no byte is written twice.
 */

import { randomUUID } from 'node:crypto'
import { chmod, copyFile, link, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { layoutIndexBytes } from '../content/layout.ts'
import { readBytes } from '../content/read.ts'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, hex } from '../oci/digest.ts'
import { canonicalJson } from '../oci/json.ts'
import { parseIndex } from '../oci/manifest.ts'
import { annotationKeys } from '../oci/mediatype.ts'
import { layoutEntries, reachable } from './oci-entries.ts'
import type { WorkingStore } from './ports.ts'
import { isExecutable } from './shelf.ts'

export interface LayOutInput {
  /** the folder's name in `outDir`: the version, or the candidate's name */
  readonly version: string
  /** more files, by path in the release and on disk: evidence that came later */
  readonly carried: readonly { readonly path: string; readonly from: string }[]
  readonly outDir: string
  /** an index of files by title */
  readonly files: Descriptor
  /** files beside the root: statement, bundle, signatures, by title */
  readonly beside: Descriptor
  readonly images: readonly { readonly reference: string; readonly index: Descriptor; readonly attached: Descriptor }[]
  /** an index of charts as artifacts and what is attached to them; absent = whoever signs adds them */
  readonly charts?: Descriptor
}

/** Gives the folder. */
export async function layOut(input: LayOutInput, store: WorkingStore): Promise<string> {
  const target = join(input.outDir, input.version)
  await mkdir(input.outDir, { recursive: true })
  await removeLeftovers(input.outDir, input.version)
  const folder = join(input.outDir, `.${input.version}.${process.pid}.${randomUUID()}`)
  try {
    await writeFiles(folder, input, store)
    await writeLayout(join(folder, 'oci'), input, store)
    await openFolders(folder)
    await swap(folder, target)
  } catch (thrown) {
    await rm(folder, { recursive: true, force: true })
    throw machine(thrown, target)
  }
  return target
}

async function writeFiles(folder: string, input: LayOutInput, store: WorkingStore): Promise<void> {
  const entries = new Map<string, { readonly digest: Digest; readonly size: number }>()
  for (const list of [input.files, input.beside]) {
    for (const entry of parseIndex(await readBytes(store, list)).manifests) {
      const path = entry.annotations?.[annotationKeys.title]
      if (path !== undefined) entries.set(path, entry)
    }
  }
  for (const [path, entry] of entries) await placeFile(store, entry, join(folder, path))
  for (const { path, from } of input.carried) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await copyFile(from, join(folder, path))
    await chmod(join(folder, path), 0o644)
  }
}

async function writeLayout(folder: string, input: LayOutInput, store: WorkingStore): Promise<void> {
  const blobs = new Set<Digest>()
  for (const image of input.images) {
    for (const descriptor of await reachable(image.index, store)) blobs.add(descriptor.digest)
    for (const attached of parseIndex(await readBytes(store, image.attached)).manifests) {
      for (const descriptor of await reachable(attached as Descriptor, store)) blobs.add(descriptor.digest)
    }
  }
  const charts = input.charts === undefined ? [] : (parseIndex(await readBytes(store, input.charts)).manifests as readonly Descriptor[])
  for (const chart of charts) for (const descriptor of await reachable(chart, store)) blobs.add(descriptor.digest)
  for (const digest of [...blobs].sort()) await linkOut(store, digest, join(folder, 'blobs', 'sha256', hex(digest)))
  const entries = await layoutEntries(input.images, charts, store)
  await writeFlushed(join(folder, 'index.json'), layoutIndexBytes(entries))
  await writeFlushed(join(folder, 'oci-layout'), canonicalJson({ imageLayoutVersion: '1.0.0' }))
}

/** A release is for everybody who can reach it, whatever the umask of who made it. */
async function openFolders(folder: string): Promise<void> {
  await chmod(folder, 0o755)
  for (const entry of await readdir(folder, { withFileTypes: true })) if (entry.isDirectory()) await openFolders(join(folder, entry.name))
}

/** Bytes from which on a file is linked: an archive is never written twice, a text may be. */
const linkedFrom = 1 << 20

async function placeFile(store: WorkingStore, entry: { readonly digest: Digest; readonly size: number }, path: string): Promise<void> {
  if (entry.size >= linkedFrom) await linkOut(store, entry.digest, path)
  else await copyOut(store, entry.digest, path)
  if (isExecutable(path)) await chmod(path, 0o755)
}

/** Small texts are copied: people edit them, and an edit must not reach the store. */
async function copyOut(store: WorkingStore, digest: Digest, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await copyFile(store.blobPath(digest), path)
  await chmod(path, 0o644)
}

/** Links a blob, or copies it where linking is refused (another file system, no permission). */
async function linkOut(store: WorkingStore, digest: Digest, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const from = store.blobPath(digest)
  try {
    await link(from, path)
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    if (code !== 'EXDEV' && code !== 'EPERM' && code !== 'EMLINK' && code !== 'ENOTSUP') throw cause
    await copyFile(from, path)
  }
  await chmod(path, 0o444)
}

export async function writeFlushed(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o644)
  try {
    await file.writeFile(text)
    await file.chmod(0o644)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Another process may lay out the same release at this moment: whoever renames last has the same content. */
const swapAttempts = 20

/** A folder can't be renamed over another: the old one steps aside first and goes last. */
async function swap(folder: string, target: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const old = `${folder}.old`
    const moved = await rename(target, old).then(
      () => true,
      (cause: NodeJS.ErrnoException) => {
        if (cause.code === 'ENOENT') return false
        throw cause
      },
    )
    try {
      await rename(folder, target)
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException
      if ((code === 'ENOTEMPTY' || code === 'EEXIST') && attempt < swapAttempts) {
        await rm(old, { recursive: true, force: true })
        continue
      }
      if (moved) await rename(old, target)
      throw cause
    }
    const parent = await open(dirname(target), 'r')
    try {
      await parent.sync()
    } finally {
      await parent.close()
    }
    if (moved) await rm(old, { recursive: true, force: true })
    return
  }
}

/** What a killed run left behind: folders of our own making whose process is gone, never anything else. */
async function removeLeftovers(outDir: string, version: string): Promise<void> {
  const ours = /^(\d+)\.[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(\.old)?$/
  for (const name of await readdir(outDir)) {
    if (!name.startsWith(`.${version}.`)) continue
    const pid = ours.exec(name.slice(version.length + 2))?.[1]
    if (pid !== undefined && !isAlive(Number(pid))) await rm(join(outDir, name), { recursive: true, force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function machine(thrown: unknown, where: string): unknown {
  const code = (thrown as NodeJS.ErrnoException).code
  if (thrown instanceof RfoError || typeof code !== 'string') return thrown
  return new RfoError('RFO_RELEASE_WRITE', code === 'ENOSPC' ? 'no room left on the disk' : `can't write: ${code}`, {
    exit: 'machine',
    where,
    cause: thrown,
    next: 'free some room or fix the permission, then run the same command again',
  })
}
