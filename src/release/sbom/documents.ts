/** From a target to its CycloneDX documents: one for an image of a platform, an archive that is none of images, a folder, an RPM, a program. */
import { createReadStream } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { digestOfFile } from '../../content/file.ts'
import { readBytes } from '../../content/read.ts'
import type { ContentReader } from '../../content/store.ts'
import { RfoError } from '../../error.ts'
import { cyclonedx } from '../../inspect/cyclonedx.ts'
import type { SbomSubject, Supplier } from '../../inspect/cyclonedx-document.ts'
import { vendorOf } from '../../inspect/cyclonedx-rpm.ts'
import { type Inventory, inventoryImage } from '../../inspect/inventory.ts'
import { inventoryLoose, type LooseEntry } from '../../inspect/loose.ts'
import { rpmPurl } from '../../inspect/purl.ts'
import { readRpmFrontOf } from '../../inspect/rpm-file.ts'
import { splitPath } from '../../inspect/tar.ts'
import type { Descriptor } from '../../oci/descriptor.ts'
import type { Digest } from '../../oci/digest.ts'
import { maxManifestBytes, parseImageConfig, parseIndex, parseManifest } from '../../oci/manifest.ts'
import { isIndexType, isManifestType } from '../../oci/mediatype.ts'
import type { PlatformName } from '../../oci/platform.ts'
import { packingOf, unpacked } from '../../rpm/decompress.ts'
import { readCpio } from '../../rpm/install/read-cpio.ts'
import { isLoose, looseInventory } from './loose.ts'
import type { FileTarget } from './target.ts'
import type { ImageArchive } from './unpack.ts'

export interface SbomDocument {
  /** what it is about */
  readonly name: string
  /** `linux/amd64`, `any` */
  readonly platform: string
  readonly cyclonedx: string
  readonly inventory: Inventory
}

export interface DocumentOptions {
  readonly workDir: string
  readonly signal: AbortSignal
  /** for xz */
  readonly env: Readonly<Record<string, string>>
  readonly toolVersion: string
  readonly supplier?: Supplier
  /** seconds; undefined = when the thing was made, as it says itself */
  readonly epoch?: number
  /** undefined = all */
  readonly platforms?: readonly PlatformName[]
}

const ownSupplier: Supplier = { name: 'rfo-build', url: 'https://github.com/rfolabs/rfo-build' }
const nobody: Supplier = { name: 'unknown', url: '' }

/** Images that nobody runs: buildx's attestations stand in an index as images of the platform unknown/unknown. */
const notRun = 'unknown'

/** One a platform. */
export async function* imageDocuments(
  { name, target }: ImageArchive['images'][number],
  from: ContentReader,
  options: DocumentOptions,
): AsyncGenerator<SbomDocument> {
  for (const manifest of await manifestsOf(target, from, options)) {
    const { config: configOf } = parseManifest(await readBytes(from, manifest, maxManifestBytes))
    const config = parseImageConfig(await readBytes(from, configOf, maxManifestBytes))
    if (options.platforms !== undefined && !options.platforms.some((each) => each === `${config.os}/${config.architecture}`)) continue
    const inventory = await inventoryImage(manifest, from, { tempDir: options.workDir, signal: options.signal })
    const labels = config.config?.Labels ?? {}
    const vendor = labels['org.opencontainers.image.vendor']
    const url = labels['org.opencontainers.image.url'] ?? ''
    const made = Date.parse(config.created ?? '')
    yield await documentOf(inventory, options, {
      name,
      digest: manifest.digest,
      version: labels['org.opencontainers.image.version'] ?? tagOf(name) ?? manifest.digest.slice(0, 'sha256:'.length + 12),
      epoch: options.epoch ?? (Number.isNaN(made) ? 0 : Math.floor(made / 1000)),
      supplier: vendor === undefined ? nobody : { name: vendor, url: /^https?:\/\/\S+$/.test(url) ? url : '' },
      is: 'image',
    })
  }
}

function tagOf(reference: string): string | undefined {
  return /:([^:/@]+)(?:@.*)?$/.exec(reference.replace(/@.*$/, ''))?.[1]
}

async function manifestsOf(target: Descriptor, from: ContentReader, options: DocumentOptions): Promise<Descriptor[]> {
  if (isManifestType(target.mediaType)) return [target]
  if (!isIndexType(target.mediaType))
    throw new RfoError('RFO_SBOM_TARGET', `${target.digest} is a ${target.mediaType}, no image`, { exit: 'untrusted' })
  const entries = parseIndex(await readBytes(from, target, maxManifestBytes)).manifests
  return entries.filter(({ mediaType, platform }) => {
    if (!isManifestType(mediaType) || platform?.os === notRun) return false
    return options.platforms === undefined || options.platforms.some((each) => each === `${platform?.os}/${platform?.architecture}`)
  })
}

/** Of a tar of files, a folder, an RPM or a program. */
export async function looseDocument(target: FileTarget, options: DocumentOptions): Promise<SbomDocument> {
  const { path, kind } = target
  const about = { name: basename(path), epoch: options.epoch ?? Math.floor((await stat(path)).mtimeMs / 1000), supplier: nobody }
  if (kind === 'rpm') return await rpmDocument(path, await digestOfFile(path, options.signal), about, options)
  if (!isLoose(target)) throw new RfoError('RFO_SBOM_TARGET', `a ${kind} has documents of its own`, { exit: 'usage', where: path })
  const inventory = await looseInventory(target, options)
  const digest = inventory.image
  const main = kind === 'program' ? (inventory.go[0]?.main?.version ?? '') : ''
  const version = main === '' ? digest.slice(0, 'sha256:'.length + 12) : main
  const is = kind === 'folder' ? 'tree' : kind === 'program' ? 'file' : 'archive'
  return await documentOf(inventory, options, { ...about, digest, version, is })
}

async function rpmDocument(
  path: string,
  digest: Digest,
  about: Pick<SbomSubject, 'epoch' | 'supplier'>,
  options: DocumentOptions,
): Promise<SbomDocument> {
  const { header, payloadStart } = await readRpmFrontOf(path)
  const file = await open(path)
  try {
    const head = (await file.read(Buffer.alloc(6), 0, 6, payloadStart)).buffer
    const payload = unpacked(createReadStream(path, { start: payloadStart, highWaterMark: 1 << 20 }), packingOf(head), {
      env: options.env,
      signal: options.signal,
    })
    const inventory = await inventoryLoose(payloadEntries(payload), { tempDir: options.workDir, signal: options.signal, digest })
    const { name, version, release, license, vendor } = header
    const system = /\.oe\d+/.test(release) || /openeuler/i.test(vendor) ? { id: 'openEuler', version: '', prettyName: '' } : null
    const purl = rpmPurl(header, system)
    return await documentOf(inventory, options, {
      ...about,
      supplier: vendorOf(vendor) ?? nobody,
      name,
      digest,
      version: `${header.epoch === undefined ? '' : `${header.epoch}:`}${version}-${release}`,
      license,
      is: 'archive',
      ...(purl === undefined ? {} : { purl }),
    })
  } finally {
    await file.close()
  }
}

async function* payloadEntries(payload: AsyncIterable<Uint8Array>): AsyncGenerator<LooseEntry> {
  for await (const { path, mode, size, body } of readCpio(payload)) {
    const type = mode & 0o170000
    const kind = type === 0o100000 ? 'file' : type === 0o040000 ? 'directory' : type === 0o120000 ? 'symlink' : 'special'
    const parts: Uint8Array[] = []
    if (kind === 'symlink') for await (const part of body) parts.push(part)
    yield { path: splitPath(path), kind, size, mode: mode & 0o7777, target: Buffer.concat(parts).toString('utf8'), body }
  }
}

async function documentOf(
  inventory: Inventory,
  { supplier, toolVersion }: DocumentOptions,
  subject: Omit<SbomSubject, 'tool'>,
): Promise<SbomDocument> {
  const text = await cyclonedx(inventory, {
    ...subject,
    ...(supplier === undefined ? {} : { supplier }),
    author: supplier ?? ownSupplier,
    tool: { name: 'rfo-build', version: toolVersion },
  })
  return { name: subject.name, platform: inventory.platform, cyclonedx: text, inventory }
}
