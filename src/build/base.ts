/** What an image takes over from its base: layers by reference, history, and how it runs. */
import { z } from 'zod'
import { readBytes, readJson } from '../content/read.ts'
import type { ContentStore } from '../content/store.ts'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, isDigest } from '../oci/digest.ts'
import { parseManifest, type RunConfig } from '../oci/manifest.ts'
import { isManifestType, mediaTypes } from '../oci/mediatype.ts'
import type { Platform } from '../oci/platform.ts'

const DigestText = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value), 'a sha256 digest')

const strings = z.array(z.string()).nullish()
const anchors = z.record(z.string(), z.object({}).loose()).nullish()
/** https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md#properties; what Docker adds besides is left out. */
const RunConfigText = z.object({
  User: z.string().nullish(),
  ExposedPorts: anchors,
  Env: strings,
  Entrypoint: strings,
  Cmd: strings,
  Volumes: anchors,
  WorkingDir: z.string().nullish(),
  Labels: z.record(z.string(), z.string()).nullish(),
  StopSignal: z.string().nullish(),
})
const History = z.object({
  created: z.string().optional(),
  created_by: z.string().optional(),
  author: z.string().optional(),
  comment: z.string().optional(),
  empty_layer: z.boolean().optional(),
})
const Config = z.object({
  architecture: z.string(),
  os: z.string(),
  config: RunConfigText.nullish(),
  rootfs: z.object({ type: z.literal('layers'), diff_ids: z.array(DigestText) }),
  history: z.array(History).nullish(),
})

export interface Base {
  readonly layers: readonly Descriptor[]
  readonly diffIds: readonly Digest[]
  readonly history: readonly z.infer<typeof History>[]
  readonly config: RunConfig
}

/** Docker's layer types in OCI's words: an OCI manifest must not mix them. */
const layerTypes: Readonly<Record<string, string>> = {
  [mediaTypes.layerTar]: mediaTypes.layerTar,
  [mediaTypes.layerGzip]: mediaTypes.layerGzip,
  [mediaTypes.layerZstd]: mediaTypes.layerZstd,
  [mediaTypes.dockerLayerGzip]: mediaTypes.layerGzip,
  'application/vnd.docker.image.rootfs.diff.tar': mediaTypes.layerTar,
  'application/vnd.docker.image.rootfs.diff.tar.zstd': mediaTypes.layerZstd,
}

export async function readBase(target: Descriptor, platform: Platform, store: ContentStore): Promise<Base> {
  const refuse = (why: string): RfoError => new RfoError('RFO_BUILD_BASE', `the base ${target.digest} ${why}`, { exit: 'untrusted' })
  if (!isManifestType(target.mediaType)) throw refuse(`is a ${target.mediaType}, not one platform's manifest`)
  const manifest = parseManifest(await readBytes(store, target))
  const parsed = Config.safeParse(await readJson(store, manifest.config))
  if (!parsed.success) throw refuse(`has no image configuration: ${parsed.error.issues[0]?.message}`)
  const { data } = parsed
  if (data.os !== platform.os || data.architecture !== platform.architecture)
    throw refuse(`is for ${data.os}/${data.architecture}, not ${platform.os}/${platform.architecture}`)
  const diffIds = data.rootfs.diff_ids
  if (diffIds.length !== manifest.layers.length) throw refuse(`has ${manifest.layers.length} layers and ${diffIds.length} diff_ids`)
  const layers = manifest.layers.map((layer): Descriptor => {
    const mediaType = layerTypes[layer.mediaType]
    if (mediaType === undefined) throw refuse(`has a layer of type ${layer.mediaType}`)
    return { mediaType, digest: layer.digest, size: layer.size }
  })
  return { layers, diffIds, history: data.history ?? [], config: withoutNulls(data.config ?? {}) }
}

/** Go writes null for what is empty; we leave it out. */
function withoutNulls(config: z.infer<typeof RunConfigText>): RunConfig {
  return Object.fromEntries(
    Object.entries(config).filter(([, value]) => value !== null && value !== undefined && value !== ''),
  ) as RunConfig
}
