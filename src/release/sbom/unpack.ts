/** Archives and folders as entries; archives of images as a layout on disk, for an image's parts lie in no order that helps. */
import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { lstat, mkdir, readdir, readFile, readlink, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { z } from 'zod'
import { type LayoutStore, openLayout } from '../../content/layout.ts'
import { pushBytes } from '../../content/read.ts'
import { unzstd } from '../../content/zstd.ts'
import { RfoError } from '../../error.ts'
import type { LooseEntry } from '../../inspect/loose.ts'
import { readTar } from '../../inspect/tar.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import { createDigester, type Digest, hex } from '../../oci/digest.ts'
import { canonicalJson, type Json } from '../../oci/json.ts'
import { maxManifestBytes, parseImageConfig } from '../../oci/manifest.ts'
import { mediaTypes } from '../../oci/mediatype.ts'
import type { FileTarget } from './target.ts'

/** bytes; deflate gives at most 1032 for one, and zstd has no such limit */
const freely = 4 * 1024 * 1024 * 1024
const ratio = 1100

/** Constant memory. Throws RFO_SBOM_ARCHIVE for what can't be unpacked. */
export async function* tarBytes({ path, packing }: FileTarget, size: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const bytes = createReadStream(path, { highWaterMark: 1 << 20, signal })
  let left = Math.max(freely, size * ratio)
  try {
    for await (const chunk of unpackedAs(bytes, packing)) {
      left -= chunk.length
      if (left < 0) throw new RfoError('RFO_SBOM_ARCHIVE', 'it grows without end', { exit: 'untrusted', where: path })
      yield chunk
    }
  } catch (thrown) {
    signal.throwIfAborted()
    const { code } = thrown as { readonly code?: unknown }
    const packed = thrown instanceof RfoError ? code === 'RFO_CONTENT_ZSTD' : typeof code === 'string' && /^(Z_|ERR_ZLIB)/.test(code)
    if (!packed) throw thrown
    throw new RfoError('RFO_SBOM_ARCHIVE', `can't unpack it: ${(thrown as Error).message}`, {
      exit: 'untrusted',
      where: path,
      cause: thrown,
    })
  } finally {
    bytes.destroy()
  }
}

async function* unpackedAs(bytes: Readable, packing: FileTarget['packing']): AsyncGenerator<Uint8Array> {
  if (packing === 'none') yield* bytes as AsyncIterable<Uint8Array>
  else if (packing === 'zstd') yield* unzstd(bytes as AsyncIterable<Uint8Array>)
  else {
    const through = createGunzip({ chunkSize: 256 * 1024 })
    bytes.on('error', (error) => through.destroy(error))
    yield* bytes.pipe(through) as AsyncIterable<Uint8Array>
  }
}

/** Files of a folder, by path; links are not followed, and nothing outside of it is looked at. */
export async function* folderEntries(folder: string, at: readonly string[] = []): AsyncGenerator<LooseEntry> {
  const names = (await readdir(join(folder, ...at))).sort()
  for (const name of names) {
    const path = [...at, name]
    const where = join(folder, ...path)
    const found = await lstat(where)
    const entry = { path, size: 0, mode: found.mode & 0o7777, target: '', body: Readable.from([]) as AsyncIterable<Uint8Array> }
    if (found.isDirectory()) {
      yield { ...entry, kind: 'directory' }
      yield* folderEntries(folder, path)
    } else if (found.isSymbolicLink()) yield { ...entry, kind: 'symlink', target: await readlink(where) }
    else if (found.isFile()) yield { ...entry, kind: 'file', size: found.size, body: createReadStream(where, { highWaterMark: 1 << 18 }) }
    else yield { ...entry, kind: 'special' }
  }
}

export interface ImageArchive {
  readonly store: LayoutStore
  /** named by reference, where it has a name */
  readonly images: readonly { readonly name: string; readonly target: Descriptor }[]
}

/** https://github.com/moby/docker-image-spec/blob/v1.3.1/spec.md#combined-image-json--filesystem-changeset-format */
const DockerManifest = z
  .array(
    z.looseObject({
      Config: z.string().max(4096),
      RepoTags: z.array(z.string().max(1024)).nullish(),
      Layers: z.array(z.string().max(4096)).max(1000),
    }),
  )
  .max(1000)

const mostEntries = 100_000

/** Lays its files into `workDir` by their digests, each verified by its name. Undefined = it was no archive of images. */
export async function imagesInTar(bytes: AsyncIterable<Uint8Array>, workDir: string): Promise<ImageArchive | undefined> {
  const folder = join(workDir, 'layout')
  await mkdir(join(folder, 'blobs', 'sha256'), { recursive: true })
  const files = new Map<string, { readonly digest: Digest; readonly size: number }>()
  const links = new Map<string, string>()
  let count = 0
  for await (const { path, kind, size, target, body } of readTar(bytes)) {
    if (++count > mostEntries) throw bad(`more than ${mostEntries} entries`)
    const name = path.join('/')
    if (kind === 'symlink' || kind === 'hardlink')
      links.set(name, kind === 'hardlink' ? target : join('/', ...path.slice(0, -1), target).slice(1))
    if (kind !== 'file') continue
    files.set(name, { digest: await keep(folder, body), size })
  }
  // docker save of before 25 links layers that images share
  for (const [name, target] of links) {
    const found = files.get(target)
    if (found !== undefined) files.set(name, found)
  }
  for (const [name, { digest }] of files) {
    const said = /^blobs\/sha256\/([0-9a-f]{64})$/.exec(name)?.[1]
    if (said !== undefined && said !== hex(digest)) throw bad(`${name} is ${digest}`)
  }
  const small = async (name: string): Promise<Buffer | undefined> => {
    const found = files.get(name)
    if (found === undefined || found.size > 2 * maxManifestBytes) return undefined
    return await readFile(join(folder, 'blobs', 'sha256', hex(found.digest)))
  }
  const index = await small('index.json')
  await writeFile(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  await writeFile(join(folder, 'index.json'), index ?? canonicalJson({ schemaVersion: 2, manifests: [] }))
  const store = await openLayout(folder)
  if (index !== undefined && files.has('oci-layout')) return { store, images: await namedEntries(store) }
  const docker = await small('manifest.json')
  return docker === undefined ? undefined : { store, images: await dockerImages(docker, files, store) }
}

export async function namedEntries(store: LayoutStore): Promise<ImageArchive['images']> {
  return (await store.entries()).map((entry) => {
    const { 'io.containerd.image.name': full, 'org.opencontainers.image.ref.name': short } = entry.annotations ?? {}
    return { name: full ?? short ?? entry.digest, target: entry }
  })
}

/** Docker's own form has no manifests of OCI: they are made of what manifest.json says. */
async function dockerImages(
  bytes: Buffer,
  files: ReadonlyMap<string, { readonly digest: Digest; readonly size: number }>,
  store: LayoutStore,
): Promise<ImageArchive['images']> {
  const said = DockerManifest.safeParse(jsonOf(bytes))
  if (!said.success) throw bad('manifest.json is not what a docker-archive has')
  const at = (name: string): { readonly digest: Digest; readonly size: number } => {
    const found = files.get(name)
    if (found === undefined) throw bad(`manifest.json names ${name.slice(0, 200)}, which is not there`)
    return found
  }
  const images: { name: string; target: Descriptor }[] = []
  for (const { Config, RepoTags, Layers } of said.data) {
    const config = { mediaType: mediaTypes.dockerConfig, ...at(Config) }
    const { architecture, os } = parseImageConfig(await readFile(store.blobPath(config.digest)))
    const layers: Descriptor[] = []
    for (const layer of Layers) layers.push({ mediaType: await layerType(store.blobPath(at(layer).digest)), ...at(layer) })
    const text = canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers } as unknown as Json)
    const target = { ...(await pushBytes(store, mediaTypes.manifest, text)), platform: { os, architecture } }
    images.push({ name: RepoTags?.[0] ?? target.digest, target })
  }
  return images
}

/** The form names no media type, and layers in it are packed or not. */
async function layerType(path: string): Promise<string> {
  for await (const head of createReadStream(path, { end: 3 })) {
    if ((head as Buffer).readUInt16BE(0) === 0x1f8b) return mediaTypes.layerGzip
    if ((head as Buffer).equals(Buffer.from([0x28, 0xb5, 0x2f, 0xfd]))) return mediaTypes.layerZstd
  }
  return mediaTypes.layerTar
}

async function keep(folder: string, body: AsyncIterable<Uint8Array>): Promise<Digest> {
  const digester = createDigester()
  const name = join(folder, `part-${randomUUID()}`)
  const through = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of body) {
      digester.update(chunk)
      yield chunk
    }
  }
  await writeFile(name, through())
  const digest = digester.finish()
  await rename(name, join(folder, 'blobs', 'sha256', hex(digest)))
  return digest
}

function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
}

function bad(what: string): RfoError {
  return new RfoError('RFO_SBOM_ARCHIVE', `not an archive of images that can be read: ${what}`, { exit: 'untrusted' })
}
