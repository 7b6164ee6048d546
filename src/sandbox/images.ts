/** Images of the sandbox: small, one gzip layer, marked as stand-ins in a label and in a file. */

import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { annotationKeys, mediaTypes } from '../oci/mediatype.ts'
import { type PlatformName, platformNames, platformOf } from '../oci/platform.ts'
import { type ImagePlan, upstreamOf } from '../plan/release-plan.ts'
import { standInProgram } from './elf.ts'
import { foldersOf, gzip, type TarEntry, tar } from './tar.ts'
import { standInText } from './tree.ts'

/** What a stand-in's label says, as a file. Image builders hand a base's labels on. */
export const standInFile = 'usr/share/rfo/STAND-IN'

export interface StandInImage {
  /** as the plan names it: `docker.io/openeuler/openeuler:22.03-lts` */
  readonly reference: string
  readonly index: Descriptor
  readonly platforms: ReadonlyMap<PlatformName, Descriptor>
}

export type Blobs = Map<Digest, { readonly mediaType: string; readonly bytes: Buffer }>

export interface ImageContent {
  /** without the folders, which are added */
  readonly entries: readonly TarEntry[]
  readonly config: { readonly Entrypoint?: readonly string[]; readonly Cmd?: readonly string[]; readonly Env: readonly string[] }
}

/** Puts index, manifests, configs and layers of one image; `epoch` in seconds. */
export function putImage(
  blobs: Blobs,
  reference: string,
  platforms: readonly PlatformName[],
  epoch: number,
  content: (platform: PlatformName) => ImageContent,
): StandInImage {
  const manifests = new Map<PlatformName, Descriptor>()
  for (const platform of platformNames.filter((name) => platforms.includes(name))) {
    manifests.set(platform, putManifest(blobs, reference, platform, epoch, content(platform)))
  }
  const index = putJson(blobs, mediaTypes.index, {
    schemaVersion: 2,
    mediaType: mediaTypes.index,
    manifests: [...manifests].map(([platform, manifest]) => ({ ...manifest, platform: { ...platformOf(platform) } })) as unknown as Json,
  })
  return { reference, index, platforms: manifests }
}

function putManifest(blobs: Blobs, reference: string, platform: PlatformName, epoch: number, content: ImageContent): Descriptor {
  const mark = `Stand-in of RFO's sandbox for ${reference}, ${platform}. Nothing in it is the real one's.\n`
  const entries: TarEntry[] = [...content.entries, { kind: 'file', path: standInFile, bytes: Buffer.from(mark) }]
  const named = new Set(entries.map((entry) => entry.path))
  const folders = foldersOf([...named]).filter((folder) => !named.has(folder.path))
  const all = [...folders, ...entries].sort((a, b) => (a.path < b.path ? -1 : 1))
  const layer = tar(all, epoch)
  const packed = put(blobs, mediaTypes.layerGzip, gzip(layer))
  const created = new Date(epoch * 1000).toISOString().replace('.000Z', 'Z')
  // https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md
  const config = putJson(blobs, mediaTypes.config, {
    created,
    architecture: platformOf(platform).architecture,
    os: 'linux',
    config: { ...content.config, Labels: { [annotationKeys.standIn]: reference } } as unknown as Json,
    rootfs: { type: 'layers', diff_ids: [digestOf(layer)] },
    history: [{ created, created_by: "RFO's sandbox", comment: `stand-in for ${reference}` }],
  })
  return putJson(blobs, mediaTypes.manifest, {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: config as unknown as Json,
    layers: [packed as unknown as Json],
    annotations: { [annotationKeys.standIn]: reference },
  })
}

/** A mirrored image: one program, named like the repository. */
export function putMirror(blobs: Blobs, image: ImagePlan, epoch: number): StandInImage {
  const upstream = upstreamOf(image)
  const name = repositoryName(upstream)
  const made = platformNames.filter((platform) => image.platforms[platform]?.status === 'made')
  const text = standInText(image.component, image.version, image.smoke?.expect)
  return putImage(blobs, upstream, made, epoch, (platform) => ({
    entries: [{ kind: 'file', path: `usr/bin/${name}`, bytes: standInProgram(platformOf(platform).architecture, text), mode: 0o755 }],
    config: { Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'], Entrypoint: [`/usr/bin/${name}`] },
  }))
}

/** `docker.io/rancher/klipper-lb:v0.3.5` → `klipper-lb` */
function repositoryName(reference: string): string {
  const last = reference.slice(reference.lastIndexOf('/') + 1)
  return last.replace(/[:@].*$/, '')
}

function put(blobs: Blobs, mediaType: string, bytes: Buffer): Descriptor {
  const digest = digestOf(bytes)
  blobs.set(digest, { mediaType, bytes })
  return { mediaType, digest, size: bytes.length }
}

function putJson(blobs: Blobs, mediaType: string, value: Json): Descriptor {
  return put(blobs, mediaType, Buffer.from(canonicalJson(value)))
}
