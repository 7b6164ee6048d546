/**
 * `rfo.linux-<arch>.tar.gz`: the program, and upstream's scripts and units under RFO's names. Only files are in it: an entry
 * for `bin/` would give the host's own /usr/local/bin another mode. Constant memory; the same inputs give the same bytes.
 */
import { constants } from 'node:fs'
import { open, realpath, writeFile } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { gzipEncoder, gzipped } from '../content/gzip.ts'
import type { ContentReader } from '../content/store.ts'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { digestOf } from '../oci/digest.ts'
import { annotationKeys, mediaTypes } from '../oci/mediatype.ts'
import { type PlatformName, platformOf } from '../oci/platform.ts'
import { blockSize, headerBlocks, padding } from '../oci/tar-header.ts'
import type { Bundle, SourceEdit } from '../plan/bundle.ts'
import type { StreamStore } from './archive.ts'
import { editedSource, renamed } from './rename.ts'

export interface TarballRequest {
  readonly platform: PlatformName
  /** the program as it lies in the store: also the release's file `rfo.linux-<arch>` */
  readonly program: Descriptor
  /** upstream's source, opened */
  readonly source: { readonly dir: string }
  readonly bundle: Bundle
  /** seconds; every entry's time */
  readonly epoch: number
}

export interface TarballFile {
  readonly path: string
  readonly mode: number
  readonly digest: Digest
  /** bytes */
  readonly size: number
}

export interface ReleaseTarball {
  /** titled `rfo.linux-<arch>.tar.gz` */
  readonly tarball: Descriptor
  /** by path, as they lie in the tarball */
  readonly files: readonly TarballFile[]
  /** those of them that are not the program, with their bytes */
  readonly texts: readonly BundleText[]
}

/** The release's names for a platform's program and tarball. */
export function tarballName(platform: PlatformName): { readonly program: string; readonly tarball: string } {
  const program = `rfo.linux-${platformOf(platform).architecture}`
  return { program, tarball: `${program}.tar.gz` }
}

/** https://www.rfc-editor.org/rfc/rfc6713 */
export const tarballMediaType = 'application/gzip'
/** Upstream's scripts have a few thousand bytes, its licence ten thousand. */
const maxTextBytes = 1 << 20

/** For task keys: what decides the bytes besides the program, the source, the bundle and the epoch. */
export const tarballEncoder = `tarball@1 ${gzipEncoder}`

/** Throws RFO_PACK_RENAME when upstream's files are not those that the rules were written for, RFO_PACK_SOURCE when one is missing. */
export async function releaseTarball(
  request: TarballRequest,
  store: ContentReader & StreamStore,
  signal?: AbortSignal,
): Promise<ReleaseTarball> {
  const texts = await bundleTexts(request.bundle, request.source)
  const { program } = request.bundle
  const entries: Entry[] = [
    { path: program.path, mode: Number.parseInt(program.mode, 8), digest: request.program.digest, size: request.program.size },
    ...texts,
  ].sort((a, b) => (a.path < b.path ? -1 : 1))
  const body = gzipped(tarBytes(entries, request, store, signal))
  const tarball = await store.pushStream(tarballMediaType, body, {
    annotations: { [annotationKeys.title]: tarballName(request.platform).tarball },
  })
  return { tarball, files: entries.map(({ path, mode, digest, size }) => ({ path, mode, digest, size })), texts }
}

export interface BundleText extends TarballFile {
  readonly bytes: Buffer
}

type Entry = TarballFile & { readonly bytes?: Buffer }

/** The files of the bundle but for the program, renamed: an RPM holds the same ones. */
export async function bundleTexts(bundle: Bundle, source: { readonly dir: string }): Promise<BundleText[]> {
  const root = await realpath(source.dir)
  return await Promise.all(
    bundle.files.map(async (file): Promise<BundleText> => {
      const bytes = renamed(file, bundle.rename, await readInside(root, file.from, file.path))
      return { path: file.path, mode: Number.parseInt(file.mode, 8), digest: digestOf(bytes), size: bytes.length, bytes }
    }),
  )
}

/** Changes files of an opened source, which is ours to change. Throws RFO_PACK_RENAME and RFO_PACK_SOURCE. */
export async function editSources(edits: readonly SourceEdit[], source: { readonly dir: string }): Promise<void> {
  const root = await realpath(source.dir)
  for (const edit of edits) await writeFile(join(root, edit.path), editedSource(edit, await readInside(root, edit.path, edit.path)))
}

/** `from` below the root; `path`: as the pipeline calls it. */
async function readInside(root: string, from: string, path: string): Promise<Buffer> {
  const refuse = (what: string): RfoError =>
    new RfoError('RFO_PACK_SOURCE', `the source's ${from} ${what}`, {
      exit: 'build',
      where: path,
      next: `edit ${path} in pipelines/rfo.yaml`,
    })
  const file = join(root, from)
  if ((await realpath(file).catch(() => undefined))?.startsWith(`${root}${sep}`) !== true) throw refuse('is not there')
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(() => {
    throw refuse('is no plain file')
  })
  try {
    const found = await handle.stat()
    if (!found.isFile()) throw refuse('is no plain file')
    if (found.size > maxTextBytes) throw refuse(`has ${found.size} bytes; at most ${maxTextBytes} are read`)
    return await handle.readFile()
  } finally {
    await handle.close()
  }
}

async function* tarBytes(
  entries: readonly Entry[],
  { epoch }: TarballRequest,
  store: ContentReader,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  for (const { path, mode, digest, size, bytes } of entries) {
    yield headerBlocks({ name: path, type: 'file', mode, size, mtime: epoch, link: '' })
    if (bytes === undefined) yield* store.fetch({ mediaType: mediaTypes.octets, digest, size }, signal)
    else yield bytes
    yield Buffer.alloc(padding(size))
  }
  yield Buffer.alloc(2 * blockSize) // "two 512-octet blocks filled with binary zeros" end the archive
}
