/**
 * Manifests, indexes and image configs: what of them we read, and parsers that trust nothing. Unknown members are
 * ignored, as the spec asks; documents that could be read as both a manifest and an index are refused
 * (https://github.com/opencontainers/distribution-spec/security/advisories/GHSA-mc8v-mgrf-8f4m).
 */
import { RfoError } from '../error.ts'
import type { Descriptor } from './descriptor.ts'
import { type Digest, isDigest } from './digest.ts'
import { parseJson } from './json.ts'
import { isIndexType, isManifestType } from './mediatype.ts'

/** bytes; https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests asks registries to take at least this */
export const maxManifestBytes = 4 * 1024 * 1024

/** https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#image-manifest-property-descriptions; Docker's schema 2 has the same members. */
export interface Manifest {
  readonly schemaVersion: 2
  readonly mediaType?: string
  readonly artifactType?: string
  readonly config: Descriptor
  readonly layers: readonly Descriptor[]
  readonly subject?: Descriptor
  readonly annotations?: Readonly<Record<string, string>>
}

/** https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md#image-index-property-descriptions */
export interface Index {
  readonly schemaVersion: 2
  readonly mediaType?: string
  readonly artifactType?: string
  readonly manifests: readonly Descriptor[]
  readonly subject?: Descriptor
  readonly annotations?: Readonly<Record<string, string>>
}

/** How a container of an image runs. */
export interface RunConfig {
  readonly User?: string
  readonly ExposedPorts?: Readonly<Record<string, object>>
  readonly Env?: readonly string[]
  readonly Entrypoint?: readonly string[]
  readonly Cmd?: readonly string[]
  readonly Volumes?: Readonly<Record<string, object>>
  readonly WorkingDir?: string
  readonly Labels?: Readonly<Record<string, string>>
  readonly StopSignal?: string
}

/** https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md#properties */
export interface ImageConfig {
  readonly architecture: string
  readonly os: string
  readonly variant?: string
  readonly created?: string
  readonly author?: string
  readonly config?: RunConfig
  readonly rootfs: { readonly type: 'layers'; readonly diff_ids: readonly Digest[] }
  readonly history?: readonly {
    readonly created?: string
    readonly created_by?: string
    readonly author?: string
    readonly comment?: string
    readonly empty_layer?: boolean
  }[]
}

type Members = { readonly [key: string]: unknown }

export function parseManifest(bytes: Uint8Array, maxBytes = maxManifestBytes): Manifest {
  const what = 'image manifest'
  const members = document(bytes, what, maxBytes)
  if ('manifests' in members) refuse(what, 'it has `manifests` too: it could be read as an index')
  if (members.schemaVersion !== 2) refuse(what, 'schemaVersion is not 2')
  const mediaType = text(members.mediaType, what, 'mediaType')
  if (mediaType !== undefined && !isManifestType(mediaType)) refuse(what, `mediaType is ${JSON.stringify(mediaType)}`)
  return {
    schemaVersion: 2,
    config: parseDescriptor(members.config, `${what}: config`),
    layers: list(members.layers, what, 'layers').map((layer, i) => parseDescriptor(layer, `${what}: layers[${i}]`)),
    ...present({ mediaType, ...shared(members, what) }),
  }
}

export function parseIndex(bytes: Uint8Array, maxBytes = maxManifestBytes): Index {
  const what = 'image index'
  const members = document(bytes, what, maxBytes)
  if ('layers' in members || 'config' in members) refuse(what, 'it has `layers` or `config` too: it could be read as a manifest')
  if (members.schemaVersion !== 2) refuse(what, 'schemaVersion is not 2')
  const mediaType = text(members.mediaType, what, 'mediaType')
  if (mediaType !== undefined && !isIndexType(mediaType)) refuse(what, `mediaType is ${JSON.stringify(mediaType)}`)
  return {
    schemaVersion: 2,
    manifests: list(members.manifests, what, 'manifests').map((child, i) => parseDescriptor(child, `${what}: manifests[${i}]`)),
    ...present({ mediaType, ...shared(members, what) }),
  }
}

/** Checks the members that decide something (platform, diff ids); the rest is passed on as it lies. */
export function parseImageConfig(bytes: Uint8Array, maxBytes = maxManifestBytes): ImageConfig {
  const what = 'image config'
  const members = document(bytes, what, maxBytes)
  for (const key of ['architecture', 'os'] as const) {
    if (text(members[key], what, key) === undefined) refuse(what, `no ${key}`)
  }
  const rootfs = object(members.rootfs, what, 'rootfs')
  if (rootfs.type !== 'layers') refuse(what, 'rootfs.type is not "layers"')
  for (const id of list(rootfs.diff_ids, what, 'rootfs.diff_ids')) {
    if (typeof id !== 'string' || !isDigest(id)) refuse(what, 'rootfs.diff_ids holds something else than sha256 digests')
  }
  return members as unknown as ImageConfig
}

/** The members that we know, checked; others are dropped. */
export function parseDescriptor(value: unknown, what = 'descriptor'): Descriptor {
  const members = object(value, what, 'it')
  const mediaType = text(members.mediaType, what, 'mediaType')
  if (mediaType === undefined || !/^[!-~]{1,255}$/.test(mediaType)) refuse(what, 'no mediaType, or one that is none')
  const { digest, size } = members
  if (typeof digest !== 'string' || !isDigest(digest)) refuse(what, `not a sha256 digest: ${JSON.stringify(digest)?.slice(0, 100)}`)
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) refuse(what, 'size is not a number of bytes')
  const artifactType = text(members.artifactType, what, 'artifactType')
  return {
    mediaType,
    digest,
    size,
    ...present({
      artifactType: artifactType === '' ? undefined : artifactType,
      platform: members.platform === undefined || members.platform === null ? undefined : platform(members.platform, what),
      annotations: annotations(members.annotations, what),
    }),
  }
}

function platform(value: unknown, what: string): { os: string; architecture: string; variant?: string } {
  const members = object(value, what, 'platform')
  const variant = text(members.variant, what, 'platform.variant')
  return {
    os: text(members.os, what, 'platform.os') ?? '',
    architecture: text(members.architecture, what, 'platform.architecture') ?? '',
    ...present({ variant: variant === '' ? undefined : variant }),
  }
}

function shared(members: Members, what: string) {
  const artifactType = text(members.artifactType, what, 'artifactType')
  return {
    artifactType: artifactType === '' ? undefined : artifactType,
    subject: members.subject === undefined || members.subject === null ? undefined : parseDescriptor(members.subject, `${what}: subject`),
    annotations: annotations(members.annotations, what),
  }
}

function annotations(value: unknown, what: string): Readonly<Record<string, string>> | undefined {
  if (value === undefined || value === null) return undefined
  const members = object(value, what, 'annotations')
  for (const key of Object.keys(members)) {
    if (typeof members[key] !== 'string') refuse(what, `annotation ${JSON.stringify(key.slice(0, 100))} is not a string`)
  }
  return members as Readonly<Record<string, string>>
}

/** Drops undefined members: an absent member and an undefined one are not the same to exactOptionalPropertyTypes. */
function present<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}

function document(bytes: Uint8Array, what: string, maxBytes: number): Members {
  if (bytes.length > maxBytes) refuse(what, `${bytes.length} bytes are more than ${maxBytes}`)
  try {
    return object(parseJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes)), what, 'it')
  } catch (cause) {
    if (cause instanceof RfoError) throw cause
    return refuse(what, 'not JSON in UTF-8')
  }
}

function object(value: unknown, what: string, member: string): Members {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) refuse(what, `${member} is not an object`)
  return value as Members
}

function list(value: unknown, what: string, member: string): readonly unknown[] {
  if (!Array.isArray(value)) refuse(what, `${member} is not a list`)
  return value
}

function text(value: unknown, what: string, member: string): string | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'string') refuse(what, `${member} is not a string`)
  return value
}

function refuse(what: string, why: string): never {
  throw new RfoError('RFO_OCI_MANIFEST', `${what}: ${why}`, { exit: 'untrusted' })
}
