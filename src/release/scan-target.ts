/** What a person names to be scanned: a release, an OCI layout, or a file of images → manifests, and where their content is. */
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { openLayout } from '../content/layout.ts'
import { readBytes } from '../content/read.ts'
import type { ContentReader } from '../content/store.ts'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { parseJson } from '../oci/json.ts'
import { maxManifestBytes, parseIndex, parseManifest } from '../oci/manifest.ts'
import { isIndexType, isManifestType, mediaTypes } from '../oci/mediatype.ts'
import { isPlatformName, type PlatformName } from '../oci/platform.ts'
import { type FileTarget, fileTarget, isThere } from './sbom/target.ts'
import { type ImageArchive, imagesInTar, namedEntries, tarBytes } from './sbom/unpack.ts'

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

/** bytes; the plan of a release is not small */
const maxPlanBytes = 32 * 1024 * 1024

/** Throws RFO_RELEASE_TARGET, RFO_SBOM_TARGET (usage) for what is none of them, RFO_SBOM_ARCHIVE for an archive that can't be read. */
export async function openTarget(path: string, options: TargetOptions): Promise<ScanTarget> {
  const file = await fileTarget(path)
  if (file.kind === 'tar') return await fromArchive(file, options)
  const oci = join(path, 'oci')
  const release = (file.kind === 'release' || file.kind === 'folder') && (await isThere(join(oci, 'oci-layout')))
  if (!release && file.kind !== 'layout') throw target('neither a release nor an OCI layout nor a file of images', path)
  const layout = await openLayout(release ? oci : path)
  const plan = release ? await readFile(join(path, 'plan.json'), 'utf8').catch(() => undefined) : undefined
  return {
    images: await imagesIn(await namedEntries(layout), layout, options),
    from: layout,
    ...(plan === undefined || plan.length > maxPlanBytes ? {} : { plan: parseJson(plan) }),
    close: async () => {},
  }
}

/** Blobs go to a folder of their own: layers lie in any order in an archive. */
async function fromArchive(file: FileTarget, options: TargetOptions): Promise<ScanTarget> {
  const folder = await mkdtemp(join(options.workDir, 'scan-'))
  const close = async (): Promise<void> => await rm(folder, { recursive: true, force: true })
  try {
    const found = await imagesInTar(tarBytes(file, (await stat(file.path)).size, options.signal), folder)
    if (found === undefined) throw target('an archive, and none of images', file.path)
    return { images: await imagesIn(found.images, found.store, options), from: found.store, close }
  } catch (thrown) {
    await close()
    throw thrown
  }
}

/** Platform manifests, each once, in order of their names. Attestations, signatures and charts are no images. */
async function imagesIn(entries: ImageArchive['images'], from: ContentReader, { platforms }: TargetOptions): Promise<ScannedImage[]> {
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
    next: 'name a version, the folder of a release, an OCI layout, or an archive of images',
  })
}
