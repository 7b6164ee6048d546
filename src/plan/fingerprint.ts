/**
 * What decides a component's pin, as one digest. A pin is valid as long as the fingerprint beside it is what the
 * pipeline gives now; whatever else changes in a pipeline file (packages, entry point) moves no pin.
 */
import { type Digest, digestOf } from '../oci/digest.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import type { GoBuild, Source, UpstreamRelease } from './component.ts'
import type { Library } from './library.ts'
import { type ImagePlan, upstreamOf } from './release-plan.ts'
import { pinnedChanges, type SourceChanges } from './source-changes.ts'

export type PinInput =
  /** `compiled`: what Go makes of the source, if it makes something */
  | { readonly action: 'rebuild'; readonly source: Source; readonly compiled: GoBuild | undefined; readonly changes?: SourceChanges }
  /** a mirrored image is its reference, and whose signature was asked for */
  | { readonly action: 'mirror'; readonly reference: string; readonly upstreamKey?: string }

export function fingerprintOf(input: PinInput): Digest {
  if (input.action === 'mirror') {
    const asked = input.upstreamKey === undefined ? {} : { upstreamKey: input.upstreamKey }
    return digestOf(canonicalJson({ image: input.reference, ...asked }))
  }
  // the pin of what Go compiles holds the toolchain
  const toolchain = input.source.kind !== 'archive' && input.compiled !== undefined ? { toolchain: input.compiled.toolchain } : {}
  const changes = input.changes === undefined ? {} : { changes: pinnedChanges(input.changes) as Json }
  return digestOf(canonicalJson({ source: plain(input.source), ...toolchain, ...changes }))
}

/** What decides an image's pin: used by the plan (is it stale?) and by `lock` (must it be resolved anew?). */
export function pinFingerprint(
  image: Pick<ImagePlan, 'component' | 'action' | 'upstream' | 'source' | 'build' | 'program' | 'changes' | 'upstreamKey'>,
): Digest {
  const { source, build, changes, upstreamKey } = image
  return source === undefined || build === undefined
    ? fingerprintOf({ action: 'mirror', reference: upstreamOf(image), ...(upstreamKey === undefined ? {} : { upstreamKey }) })
    : fingerprintOf({ action: 'rebuild', source, compiled: compiledByGo(image), ...(changes === undefined ? {} : { changes }) })
}

/** What Go makes of an image's source: the programs of the image, or the one that only shares the source. */
export function compiledByGo({ build, program }: Pick<ImagePlan, 'build' | 'program'>): GoBuild | undefined {
  return build?.kind === 'go' ? build : program?.build
}

/** Of a C library: the source alone decides the pin. */
export function libraryFingerprint({ source }: Pick<Library, 'source'>): Digest {
  return digestOf(canonicalJson({ source: plain(source) }))
}

/** Whether anything of the world decides the image: what is laid together of a release's own files has nothing to pin. */
export function takesPin(image: Pick<ImagePlan, 'action' | 'source'>): boolean {
  return image.action === 'mirror' || image.source !== undefined
}

/** Of the recorded image list: groups and references, in their order. */
export function listDigest(upstream: UpstreamRelease): Digest {
  return digestOf(canonicalJson(upstream.unlisted.length === 0 ? upstream.groups : { ...upstream.groups, '': upstream.unlisted }))
}

/** Zod's values may hold undefined members, which JSON has not. */
function plain(source: Source): Json {
  return JSON.parse(JSON.stringify(source)) as Json
}
