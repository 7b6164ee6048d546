/**
 * SLSA provenance: how one image of one platform came to be. https://slsa.dev/spec/v1.0/provenance
 * The same inputs give the same bytes: no time of day, no host name, no random run number.
 */
import { createHash } from 'node:crypto'
import { canonicalJson, type Json } from '../oci/json.ts'
import type { PlatformName } from '../oci/platform.ts'
import type { DigestSet } from './statement.ts'

export type BuildKind = 'compiled' | 'prebuilt' | 'collected' | 'files' | 'mirror' | 'index'

/** https://slsa.dev/spec/v1.0/provenance#buildType : what the parameters mean, and how the build could be run again. */
export const buildTypes: Readonly<Record<BuildKind, string>> = {
  compiled: 'https://github.com/rfolabs/rfo-build/buildtypes/compiled/v1',
  prebuilt: 'https://github.com/rfolabs/rfo-build/buildtypes/prebuilt/v1',
  collected: 'https://github.com/rfolabs/rfo-build/buildtypes/collected/v1',
  files: 'https://github.com/rfolabs/rfo-build/buildtypes/files/v1',
  mirror: 'https://github.com/rfolabs/rfo-build/buildtypes/mirror/v1',
  index: 'https://github.com/rfolabs/rfo-build/buildtypes/index/v1',
}

/** https://github.com/in-toto/attestation/blob/main/spec/v1/resource_descriptor.md */
export interface Material {
  readonly uri: string
  readonly digest: DigestSet
  readonly name?: string
  readonly annotations?: Readonly<Record<string, string>>
}

export interface ProvenanceInput {
  readonly buildType: Exclude<BuildKind, 'index'>
  readonly component: string
  /** upstream version */
  readonly version: string
  readonly platform: PlatformName
  /** the release's version, `vX.Y.Z+rforN` */
  readonly release: string
  readonly source: Material
  /** toolchains, modules, packages: whatever went in besides source and base */
  readonly materials: readonly Material[]
  readonly base?: Material
  readonly deviates?: { readonly from: string; readonly reason: string }
  /** what a replaced input stands for */
  readonly standIn?: string
  /** what the pipeline says of the build: flags, tags, toolchain, layer encoding */
  readonly parameters: Json
  /** the C compiler of the machine that built, as `--version` says it, and the digest of its static libc: no pin names them */
  readonly compiler?: { readonly version: string; readonly libc?: string }
  /** other programs of that machine on which bytes depend, by what they say of their version */
  readonly tools?: Readonly<Record<string, string>>
  /** OS packages → what rpm would do when it installs them and nobody did here: scriptlets above all. Absent = no packages. */
  readonly notDone?: Readonly<Record<string, readonly string[]>>
  /** of a mirrored image: whether upstream signed it, as `lock` saw it */
  readonly upstreamSignature?: 'none' | 'unverified' | 'verified' | 'unchecked'
  readonly builderId: string
  readonly builderVersion: string
}

/** The predicate of a statement about one image manifest. */
export function provenance(input: ProvenanceInput): Json {
  const buildDefinition = {
    buildType: buildTypes[input.buildType],
    // https://slsa.dev/spec/v1.0/provenance#externalParameters : what a requester decides; verified downstream
    externalParameters: {
      component: input.component,
      version: input.version,
      platform: input.platform,
      release: input.release,
      source: input.source.uri,
      ...(input.deviates === undefined ? {} : { deviates: { from: input.deviates.from, reason: input.deviates.reason } }),
      ...(input.standIn === undefined ? {} : { standIn: input.standIn }),
      parameters: input.parameters,
    },
    // https://slsa.dev/spec/v1.0/provenance#internalParameters : what the builder decides
    internalParameters: {
      ...(input.base === undefined ? {} : { base: input.base.uri }),
      ...(input.compiler === undefined ? {} : { compiler: { ...input.compiler } }),
      ...(input.tools === undefined ? {} : { tools: { ...input.tools } }),
      ...(input.upstreamSignature === undefined ? {} : { upstreamSignature: input.upstreamSignature }),
      ...(input.notDone === undefined
        ? {}
        : { packages: { notDone: Object.fromEntries(Object.entries(input.notDone).map(([name, what]) => [name, [...what]])) } }),
    },
    resolvedDependencies: dependencies(input),
  }
  return {
    buildDefinition,
    runDetails: {
      builder: { id: input.builderId, version: { 'rfo-build': input.builderVersion } },
      // startedOn and finishedOn are left out: they would make every rebuild a different attestation
      metadata: { invocationId: invocation(buildDefinition, input) },
    },
  }
}

export interface IndexProvenanceInput extends Pick<ProvenanceInput, 'component' | 'version' | 'release' | 'builderId' | 'builderVersion'> {
  /** platform → manifest, in the index's order */
  readonly manifests: readonly Material[]
}

/** The predicate of a statement about an image index: which platform manifests it was put together from, and nothing else. */
export function indexProvenance(input: IndexProvenanceInput): Json {
  const buildDefinition = {
    buildType: buildTypes.index,
    externalParameters: { component: input.component, version: input.version, release: input.release },
    internalParameters: {},
    resolvedDependencies: input.manifests.map(({ uri, digest, name }) => ({ ...(name === undefined ? {} : { name }), uri, digest })),
  }
  return {
    buildDefinition,
    runDetails: {
      builder: { id: input.builderId, version: { 'rfo-build': input.builderVersion } },
      metadata: { invocationId: invocation(buildDefinition, input) },
    },
  }
}

/** Source first, base next, then the others by URI; one that is named twice with one digest stands once. */
function dependencies(input: ProvenanceInput): Json[] {
  const others = [...input.materials].sort((a, b) => order(a.uri, b.uri) || order(canonicalJson(a.digest), canonicalJson(b.digest)))
  const seen = new Set<string>()
  const result: Json[] = []
  for (const material of [input.source, ...(input.base === undefined ? [] : [input.base]), ...others]) {
    const { name, uri, digest, annotations } = material
    const descriptor = { ...(name === undefined ? {} : { name }), uri, digest, ...(annotations === undefined ? {} : { annotations }) }
    const text = canonicalJson(descriptor)
    if (seen.has(text)) continue
    seen.add(text)
    result.push(descriptor)
  }
  return result
}

/** Names the run by what it was asked to do, so that two runs of the same thing have the same name. */
function invocation(buildDefinition: Json, input: Pick<ProvenanceInput, 'builderId' | 'builderVersion'>): string {
  const asked = canonicalJson([buildDefinition, input.builderId, input.builderVersion])
  return `sha256:${createHash('sha256').update(asked).digest('hex')}`
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
