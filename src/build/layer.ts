/** A layer's tar: the same entries give the same bytes anywhere. */
import { open, stat } from 'node:fs/promises'
import type { ContentStore } from '../content/store.ts'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { createDigester } from '../oci/digest.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import { blockSize, headerBlocks, padding } from '../oci/tar-header.ts'

interface At {
  /** absolute, in the image */
  readonly path: string
}
/** Modes become 0755 when anybody may execute, with the set-user-ID bit if it has it, else 0644; folders above an entry need not be listed. */
export type LayerEntry =
  | (At & { readonly file: string; readonly mode: number })
  | (At & { readonly bytes: Uint8Array; readonly mode: number })
  | (At & { readonly link: string })
  | (At & { readonly directory: true; readonly mode?: number })

const chunkBytes = 1 << 20

/**
 * Uncompressed, owner root, every time `epoch` (seconds), sorted by path. Files are read twice: a store wants to know the
 * digest first, and a second read from the page cache costs less than a temporary copy. A file that changes in between
 * fails the store's own check.
 */
export async function writeLayerTar(entries: readonly LayerEntry[], store: ContentStore, epoch: number): Promise<Descriptor> {
  const all = await withSizes(withFolders(entries))
  const digester = createDigester()
  let size = 0
  for await (const chunk of tarBytes(all, epoch)) {
    digester.update(chunk)
    size += chunk.length
  }
  const target: Descriptor = { mediaType: mediaTypes.layerTar, digest: digester.finish(), size }
  await store.push(target, tarBytes(all, epoch))
  return target
}

type Sized = LayerEntry & { readonly size: number }

async function withSizes(entries: readonly LayerEntry[]): Promise<Sized[]> {
  return await Promise.all(
    entries.map(async (entry): Promise<Sized> => {
      if ('file' in entry) return { ...entry, size: (await stat(entry.file)).size }
      return { ...entry, size: 'bytes' in entry ? entry.bytes.length : 0 }
    }),
  )
}

/** Sorted by path, so that a folder comes before what it holds; two entries of one path are refused. */
function withFolders(entries: readonly LayerEntry[]): LayerEntry[] {
  const all = new Map<string, LayerEntry>()
  for (const entry of entries) {
    const path = inImage(entry.path)
    if (all.has(path)) throw refused(entry.path, 'comes twice')
    all.set(path, { ...entry, path })
  }
  for (const path of [...all.keys()]) {
    for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) {
      const parent = path.slice(0, at)
      const found = all.get(parent)
      if (found !== undefined && !('directory' in found)) throw refused(path, `lies below ${parent}, which is no folder`)
      if (found === undefined) all.set(parent, { path: parent, directory: true })
    }
  }
  return [...all.values()].sort((a, b) => (a.path < b.path ? -1 : 1))
}

function inImage(path: string): string {
  const segments = path.split('/').slice(1)
  if (!path.startsWith('/') || segments.some((segment) => segment === '' || segment === '.' || segment === '..') || path.includes('\0')) {
    throw refused(path, 'is no absolute path')
  }
  return segments.join('/')
}

function refused(path: string, why: string): RfoError {
  return new RfoError('RFO_BUILD_PATH', `the layer's entry ${JSON.stringify(path.slice(0, 200))} ${why}`, { exit: 'usage' })
}

async function* tarBytes(entries: readonly Sized[], epoch: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (const entry of entries) {
    yield headerOf(entry, epoch)
    if ('bytes' in entry) yield entry.bytes
    else if ('file' in entry) yield* fileBytes(entry.file, entry.size)
    const fill = padding(entry.size)
    if (fill > 0) yield Buffer.alloc(fill)
  }
  yield Buffer.alloc(2 * blockSize) // "two 512-octet blocks filled with binary zeros" end the archive
}

function headerOf(entry: Sized, epoch: number): Buffer {
  const base = { size: entry.size, mtime: epoch, link: '' }
  if ('directory' in entry) return headerBlocks({ ...base, name: `${entry.path}/`, type: 'directory', mode: entry.mode ?? 0o755 })
  if ('link' in entry) return headerBlocks({ ...base, name: entry.path, type: 'symlink', mode: 0o777, link: entry.link })
  return headerBlocks({ ...base, name: entry.path, type: 'file', mode: (entry.mode & 0o111) === 0 ? 0o644 : 0o755 | (entry.mode & 0o4000) })
}

async function* fileBytes(file: string, size: number): AsyncGenerator<Uint8Array, void, undefined> {
  const handle = await open(file)
  try {
    for (let at = 0; at < size; ) {
      // a fresh buffer each time: the reader may still hold the last one
      const { buffer, bytesRead } = await handle.read(
        Buffer.allocUnsafe(Math.min(chunkBytes, size - at)),
        0,
        Math.min(chunkBytes, size - at),
        at,
      )
      if (bytesRead === 0) throw new RfoError('RFO_BUILD_CHANGED', `${file} became shorter while it was read`, { exit: 'machine' })
      yield buffer.subarray(0, bytesRead)
      at += bytesRead
    }
  } finally {
    await handle.close()
  }
}
