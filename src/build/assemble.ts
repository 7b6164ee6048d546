/** Images out of a base and layers, by reference: no daemon, no root, no layer's bytes touched. */
import { pushBytes } from '../content/read.ts'
import type { ContentStore } from '../content/store.ts'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import type { RunConfig } from '../oci/manifest.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import { type Platform, type PlatformName, platformOf } from '../oci/platform.ts'
import type { Component } from '../plan/component.ts'
import { type Base, readBase } from './base.ts'

export interface OwnLayer {
  readonly layer: Descriptor
  readonly diffId: Digest
  /** for `history` */
  readonly createdBy: string
}

export interface AssembleRequest {
  /** platform manifest; without one the image starts from nothing */
  readonly base?: Descriptor
  readonly layers: readonly OwnLayer[]
  readonly platform: PlatformName
  readonly config: Component['config']
  readonly labels: Readonly<Record<string, string>>
  /** seconds */
  readonly epoch: number
  readonly annotations?: Readonly<Record<string, string>>
}

const scratch: Base = { layers: [], diffIds: [], history: [], config: {} }

/** One platform's manifest, pushed. The base's blobs must be in the store; RFO_BUILD_BASE when the base is not one for the platform. */
export async function assembleImage(request: AssembleRequest, store: ContentStore): Promise<Descriptor> {
  const platform = platformOf(request.platform)
  const base = request.base === undefined ? scratch : await readBase(request.base, platform, store)
  const created = new Date(request.epoch * 1000).toISOString().replace('.000Z', 'Z')
  const own = request.layers.map((layer) => ({ created, created_by: layer.createdBy }))
  // https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md#properties
  const config: Json = {
    created,
    architecture: platform.architecture,
    os: platform.os,
    config: runConfig(base.config, request.config, request.labels) as unknown as Json,
    rootfs: { type: 'layers', diff_ids: [...base.diffIds, ...request.layers.map((layer) => layer.diffId)] },
    history: [...base.history, ...own] as unknown as Json,
  }
  const described = await pushBytes(store, mediaTypes.config, canonicalJson(config))
  const layers = [...base.layers, ...request.layers.map((layer) => layer.layer)]
  await checkPresent(layers, store)
  return await pushManifest(store, described, layers, platform, request.annotations)
}

async function pushManifest(
  store: ContentStore,
  config: Descriptor,
  layers: readonly Descriptor[],
  platform: Platform,
  annotations: AssembleRequest['annotations'],
): Promise<Descriptor> {
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: bare(config),
    layers: layers.map(bare),
    ...(annotations === undefined || Object.keys(annotations).length === 0 ? {} : { annotations }),
  }
  return await pushBytes(store, mediaTypes.manifest, canonicalJson(manifest), { platform })
}

/** A manifest whose layer is missing can be pushed to some stores and pulled from none. */
async function checkPresent(layers: readonly Descriptor[], store: ContentStore): Promise<void> {
  for (const layer of layers) {
    if (!(await store.exists(layer))) {
      throw new RfoError('RFO_BUILD_LAYER', `the store lacks the layer ${layer.digest}`, {
        exit: 'bug',
        next: 'report this with the command that you ran',
      })
    }
  }
}

/** https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md; `manifests` keep their order and must name their platform. */
export async function assembleIndex(
  manifests: readonly Descriptor[],
  annotations: Readonly<Record<string, string>>,
  store: ContentStore,
): Promise<Descriptor> {
  for (const manifest of manifests) {
    if (manifest.platform === undefined) throw new TypeError(`the manifest ${manifest.digest} names no platform`)
  }
  const listed = manifests.map((manifest) => ({ ...bare(manifest), platform: { ...manifest.platform } }))
  const index = {
    schemaVersion: 2,
    mediaType: mediaTypes.index,
    manifests: listed,
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  }
  return await pushBytes(store, mediaTypes.index, canonicalJson(index as unknown as Json))
}

function bare({ mediaType, digest, size }: Descriptor): { mediaType: string; digest: Digest; size: number } {
  return { mediaType, digest, size }
}

/** What the base says, changed by what the component says; a new entrypoint drops the base's command, as a recipe's ENTRYPOINT does. */
function runConfig(base: RunConfig, own: Component['config'], labels: Readonly<Record<string, string>>): RunConfig {
  const { Entrypoint, Cmd, ...rest } = base
  const entrypoint = own.entrypoint ?? Entrypoint
  const cmd = own.cmd ?? (own.entrypoint === undefined ? Cmd : undefined)
  const env = new Map((base.Env ?? []).map((pair) => [pair.slice(0, pair.indexOf('=')), pair] as const))
  for (const [name, value] of Object.entries(own.env ?? {})) env.set(name, `${name}=${value}`)
  const merged = { ...base.Labels, ...own.labels, ...labels }
  return {
    ...rest,
    ...(entrypoint === undefined ? {} : { Entrypoint: entrypoint }),
    ...(cmd === undefined ? {} : { Cmd: cmd }),
    ...(own.user === undefined ? {} : { User: own.user }),
    ...(own.workdir === undefined ? {} : { WorkingDir: own.workdir }),
    ...(env.size === 0 ? {} : { Env: [...env.values()] }),
    ...(Object.keys(merged).length === 0 ? {} : { Labels: merged }),
  }
}
