/** What a person names to be scanned: a release, an OCI layout, or a file of images → manifests, and where their content is. */
import { createReadStream } from 'node:fs'
import { mkdtemp, open, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createGunzip } from 'node:zlib'
import { openDirectoryStore } from '../content/directory.ts'
import { openLayout } from '../content/layout.ts'
import { readBytes } from '../content/read.ts'
import type { ContentReader } from '../content/store.ts'
import { unzstd } from '../content/zstd.ts'
import { RfoError } from '../error.ts'
import { readTar } from '../inspect/tar.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { isDigest } from '../oci/digest.ts'
import { parseJson } from '../oci/json.ts'
import { maxManifestBytes, parseIndex, parseManifest } from '../oci/manifest.ts'
import { annotationKeys, isIndexType, isManifestType, mediaTypes } from '../oci/mediatype.ts'
import { isPlatformName, type PlatformName } from '../oci/platform.ts'

export interface ScannedImage {
  /** as the index names it, or its digest */
  readonly reference: string
  readonly manifest: Descriptor
}

export interface ScanTarget {
  readonly images: readonly ScannedImage[]
  readonly from: ContentReader
  /** the plan that lies in a release; nobody vouches for it here */
  readonly plan?: unknown
  close(): Promise<void>
}

export interface TargetOptions {
  /** absent = all */
  readonly platforms?: readonly PlatformName[]
  readonly workDir: string
  readonly signal: AbortSignal
}

/** bytes; an index.json lists far more than a pushed index may, and the plan of a release is not small */
const maxTextBytes = 32 * 1024 * 1024

/** Throws RFO_RELEASE_TARGET (usage) for what is none of them. */
export async function openTarget(path: string, options: TargetOptions): Promise<ScanTarget> {
  const found = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    throw target(`can't read it: ${cause.code}`, path)
  })
  if (found.isFile()) return await fromArchive(path, options)
  const release = await exists(join(path, 'oci', 'oci-layout'))
  if (!release && !(await exists(join(path, 'oci-layout')))) throw target('neither a release nor an OCI layout nor a file of images', path)
  const layout = await openLayout(release ? join(path, 'oci') : path)
  const plan = release ? await readFile(join(path, 'plan.json'), 'utf8').catch(() => undefined) : undefined
  return {
    images: await imagesIn(await layout.entries(), layout, options),
    from: layout,
    ...(plan === undefined || plan.length > maxTextBytes ? {} : { plan: parseJson(plan) }),
    close: async () => {},
  }
}

/** Blobs go to a folder of their own: layers lie in any order in an archive. */
async function fromArchive(path: string, options: TargetOptions): Promise<ScanTarget> {
  const folder = await mkdtemp(join(options.workDir, 'scan-'))
  const close = async (): Promise<void> => await rm(folder, { recursive: true, force: true })
  try {
    const store = await openDirectoryStore(folder)
    let index: Buffer | undefined
    for await (const entry of readTar(await unpacked(path, options.signal))) {
      const [first, algorithm, name] = entry.path
      if (entry.kind === 'file' && entry.path.length === 1 && first === 'index.json') {
        if (entry.size > maxTextBytes) throw target('its index.json is too large', path)
        const chunks: Buffer[] = []
        for await (const chunk of entry.body) chunks.push(Buffer.from(chunk))
        index = Buffer.concat(chunks)
      } else if (entry.kind === 'file' && first === 'blobs' && algorithm === 'sha256' && isDigest(`sha256:${name}`)) {
        const pushed = await store.pushStream(mediaTypes.octets, entry.body)
        if (pushed.digest !== `sha256:${name}`)
          throw new RfoError('RFO_RELEASE_TARGET', `a blob is not what its name says: sha256:${name}`, { exit: 'untrusted', where: path })
      }
    }
    if (index === undefined) throw target('no index.json in it: `docker save` of Docker 25 and newer writes one', path)
    return { images: await imagesIn(parseIndex(index, maxTextBytes).manifests, store, options), from: store, close }
  } catch (thrown) {
    await close()
    throw thrown
  }
}

async function unpacked(path: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
  const handle = await open(path, 'r')
  const start = Buffer.alloc(4)
  await handle.read(start, 0, 4, 0).finally(() => handle.close())
  const file = createReadStream(path, { highWaterMark: 1 << 20, signal })
  if (start.readUInt16BE(0) === 0x1f8b) return file.pipe(createGunzip())
  return start.readUInt32LE(0) === 0xfd2fb528 || start.readUInt32LE(0) >>> 4 === 0x184d2a5 ? unzstd(file) : file
}

/** Platform manifests, each once, in order of their names. Attestations, signatures and charts are no images. */
async function imagesIn(entries: readonly Descriptor[], from: ContentReader, { platforms }: TargetOptions): Promise<ScannedImage[]> {
  const images = new Map<string, ScannedImage>()
  const add = async (descriptor: Descriptor, reference: string): Promise<void> => {
    if (isIndexType(descriptor.mediaType)) {
      const { manifests } = parseIndex(await readBytes(from, descriptor))
      for (const each of manifests) await add(each, reference)
    } else if (isManifestType(descriptor.mediaType) && (await from.exists(descriptor))) {
      const { config, subject, artifactType } = parseManifest(await readBytes(from, descriptor, maxManifestBytes))
      const isImage = config.mediaType === mediaTypes.config || config.mediaType === mediaTypes.dockerConfig
      if (subject !== undefined || artifactType !== undefined || !isImage) return
      const platform = `linux/${descriptor.platform?.architecture ?? ''}`
      if (platforms !== undefined && isPlatformName(platform) && !platforms.includes(platform)) return
      images.set(`${reference}\0${descriptor.digest}`, { reference, manifest: descriptor })
    }
  }
  for (const entry of entries) {
    const name = entry.annotations?.[annotationKeys.refName] ?? entry.annotations?.['io.containerd.image.name']
    // signatures and attestations of cosign 2 stand there under tags of their own
    if (name !== undefined && /(^|:)sha256-[0-9a-f]{64}(\.(sig|att|sbom))?$/.test(name)) continue
    await add(entry, entry.annotations?.['io.containerd.image.name'] ?? name ?? entry.digest)
  }
  return [...images].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, image]) => image)
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined
}

function target(why: string, where: string): RfoError {
  return new RfoError('RFO_RELEASE_TARGET', why, {
    exit: 'usage',
    where,
    next: 'name a version, the folder of a release, an OCI layout, or an archive of images',
  })
}
