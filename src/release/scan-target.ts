/** What a person names to be scanned: images of a release, a layout or a file of them; or a folder, a tar of files, a program, as it is. */
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { openLayout } from '../content/layout.ts'
import { readBytes } from '../content/read.ts'
import type { ContentReader } from '../content/store.ts'
import { RfoError } from '../error.ts'
import { type Inventory, inventoryImage } from '../inspect/inventory.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { parseJson } from '../oci/json.ts'
import { maxManifestBytes, parseIndex, parseManifest } from '../oci/manifest.ts'
import { isIndexType, isManifestType, mediaTypes } from '../oci/mediatype.ts'
import { isPlatformName, type PlatformName } from '../oci/platform.ts'
import { maxPlanBytes } from './lists.ts'
import { isLoose, type LooseTarget, looseInventory } from './sbom/loose.ts'
import { fileTarget, isThere } from './sbom/target.ts'
import { type ImageArchive, imagesInTar, namedEntries, tarBytes } from './sbom/unpack.ts'

export interface ScannedImage {
  /** as the index names it, or its digest; of a folder or file that is none of images, its own name */
  readonly reference: string
  /** as its index says; '' = only what is inside tells */
  readonly platform: string
  /** of the manifest; undefined = nothing has been read yet */
  readonly digest?: Digest
  /** Throws what inventoryImage and looseInventory throw. */
  inventory(): Promise<Inventory>
}

export interface ScanTarget {
  readonly images: readonly ScannedImage[]
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

/** Throws RFO_RELEASE_TARGET, RFO_SBOM_TARGET (usage) for what is none of them, RFO_SBOM_ARCHIVE for an archive that can't be read. */
export async function openTarget(path: string, options: TargetOptions): Promise<ScanTarget> {
  const file = await fileTarget(path)
  if (isLoose(file) && file.kind === 'tar') return await fromArchive(file, options)
  const oci = join(path, 'oci')
  const release = (file.kind === 'release' || file.kind === 'folder') && (await isThere(join(oci, 'oci-layout')))
  if (!release && isLoose(file)) return asItIs(file, options)
  if (!release && file.kind !== 'layout') throw target('nothing that holds images or files to look into', path)
  const layout = await openLayout(release ? oci : path)
  const plan = release ? await readFile(join(path, 'plan.json'), 'utf8').catch(() => undefined) : undefined
  return {
    images: await imagesIn(await namedEntries(layout), layout, options),
    ...(plan === undefined || plan.length > maxPlanBytes ? {} : { plan: parseJson(plan) }),
    close: async () => {},
  }
}

/** Blobs go to a folder of their own: layers lie in any order in an archive. */
async function fromArchive(file: LooseTarget, options: TargetOptions): Promise<ScanTarget> {
  const folder = await mkdtemp(join(options.workDir, 'scan-'))
  const close = async (): Promise<void> => await rm(folder, { recursive: true, force: true })
  try {
    const found = await imagesInTar(tarBytes(file, (await stat(file.path)).size, options.signal), folder)
    if (found !== undefined) return { images: await imagesIn(found.images, found.store, options), close }
    await close()
    return asItIs(file, options)
  } catch (thrown) {
    await close()
    throw thrown
  }
}

/** One thing that no manifest describes: what is found in it is all that is known. */
function asItIs(file: LooseTarget, options: TargetOptions): ScanTarget {
  const path = resolve(file.path)
  const image = { reference: basename(path) || path, platform: '', inventory: () => looseInventory(file, options) }
  return { images: [image], close: async () => {} }
}

/** Platform manifests, each once, in order of their names. Attestations, signatures and charts are no images. */
async function imagesIn(entries: ImageArchive['images'], from: ContentReader, options: TargetOptions): Promise<ScannedImage[]> {
  const { platforms, workDir, signal } = options
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
      images.set(`${reference}\0${descriptor.digest}`, {
        reference,
        platform: `linux/${descriptor.platform?.architecture ?? '?'}`,
        digest: descriptor.digest,
        inventory: () => inventoryImage(descriptor, from, { tempDir: workDir, signal }),
      })
    }
  }
  for (const { name, target: entry } of entries) {
    // signatures and attestations of cosign 2 stand there under tags of their own
    if (!/(^|:)sha256-[0-9a-f]{64}(\.(sig|att|sbom))?$/.test(name)) await add(entry, name)
  }
  return [...images].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, image]) => image)
}

function target(why: string, where: string): RfoError {
  return new RfoError('RFO_RELEASE_TARGET', why, {
    exit: 'usage',
    where,
    next: 'name a version, a release, an OCI layout, an archive, a folder or a program',
  })
}
