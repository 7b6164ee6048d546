/** What must be made for one release: pure data, printable, the same on every machine. `planRelease` alone makes it. */
import type { Digest } from '../oci/digest.ts'
import type { PlatformName } from '../oci/platform.ts'
import type { SourceEdit } from './bundle.ts'
import type { ArchiveKind, Build, Component, GoBuild, ImageFile, KnownFailure, Source } from './component.ts'
import type { ReleaseGate } from './gate.ts'
import type { LibraryPlan } from './library.ts'
import type { LockedAdvisories, LockedBase, LockedChart, LockedComponent, LockedPackages } from './lock.ts'
import type { SourceChanges } from './source-changes.ts'
import type { TestKind } from './test-kind.ts'

export type PlatformPlan = { readonly status: 'made' } | { readonly status: 'unsupported'; readonly reason: string }

export interface ImagePlan {
  /** component name = name of its pipeline file */
  readonly component: string
  readonly action: 'rebuild' | 'mirror'
  /** groups that hold it, sorted: an image may be in two, or in none */
  readonly groups: readonly string[]
  /** as RKE2's list names it: `docker.io/rancher/hardened-coredns:v1.9.3-build20221011`; absent = an image of RFO's own */
  readonly upstream?: string
  /** as RFO names it: `docker.io/rfolabs/hardened-coredns:v1.9.3-build20261123`; without a pin, `-buildYYYYMMDD` */
  readonly reference: string
  /** upstream version: the tag without `-build<date>` */
  readonly version: string
  readonly platforms: Readonly<Partial<Record<PlatformName, PlatformPlan>>>
  readonly source?: Source
  /** PEM, of a mirrored image: whoever must have signed it upstream; absent = nobody is asked for */
  readonly upstreamKey?: string
  /** files beside the pipelines that change the source; absent = none */
  readonly changes?: SourceChanges
  readonly build?: Build
  readonly config: Component['config']
  readonly packages: readonly string[]
  /** absent = none */
  readonly files?: readonly ImageFile[]
  /** absent = the platform's base */
  readonly base?: 'scratch'
  /** absent = no */
  readonly charts?: true
  readonly layers: 'zstd' | 'gzip'
  readonly deviates?: { readonly from: string; readonly reason: string }
  readonly smoke?: { readonly argv: readonly string[]; readonly expect: string }
  /** absent = nothing else is made of the source: the release's own program, of the one image whose source it shares */
  readonly program?: ProgramPlan
  /** of all besides the pin that decides its bytes; absent = mirrored */
  readonly recipe?: Digest
  /** undefined = the lock knows nothing of this component yet */
  readonly locked?: LockedComponent
}

/** A program that no image holds: what a host installs. */
export interface ProgramPlan {
  /** `rfo` */
  readonly name: string
  /** placeholders filled; `{commit}` stays until the source is pinned */
  readonly build: GoBuild
  /** absent = the source is compiled as it is */
  readonly sources?: readonly SourceEdit[]
  readonly smoke: { readonly argv: readonly string[]; readonly expect: string }
}

export interface ChartPlan {
  readonly name: string
  readonly version: string
  readonly url: string
  /** a node needs it to become ready; absent = the release's record does not say */
  readonly bootstrap?: boolean
  readonly locked?: LockedChart
}

export interface Repository {
  readonly name: string
  /** ends with a slash */
  readonly url: string
}

export interface BasePlan {
  readonly name: string
  readonly reference: string
  readonly reason?: string
  /** absent = none */
  readonly repositories?: readonly Repository[]
  readonly locked?: LockedBase
}

/** Of each kind of tests the platforms; conformance is always said. */
export type Demands = { readonly [kind in TestKind]?: readonly PlatformName[] | undefined } & {
  readonly conformance: readonly PlatformName[]
  readonly knownFailures?: readonly KnownFailure[] | undefined
}

export interface ReleasePlan {
  readonly schema: 'rfo-build.plan/1'
  readonly version: string
  readonly upstream: { readonly version: string; readonly commit: string }
  /** seconds since 1970: every time stamp in every output, but for those in images: plan/day.ts */
  readonly epoch: number
  readonly vendor: string
  readonly url: string
  readonly platforms: readonly PlatformName[]
  /** absent = tar.zst alone */
  readonly archives?: readonly ArchiveKind[]
  /** absent = nobody looks for vulnerabilities */
  readonly gate?: ReleaseGate
  /** what the gate judges by; absent = no gate, or the lock has none yet */
  readonly advisories?: LockedAdvisories
  /** absent = none: evidence without which what is made is a candidate, and the failures that it may hold */
  readonly demands?: Demands
  readonly bases: Readonly<Partial<Record<PlatformName, BasePlan>>>
  /** OS packages as locked; absent = the lock has none */
  readonly packages?: Readonly<Partial<Record<PlatformName, LockedPackages>>>
  readonly images: readonly ImagePlan[]
  readonly charts: readonly ChartPlan[]
  /** C libraries that programs of the images link, sorted by name; absent = none */
  readonly libraries?: readonly LibraryPlan[]
  /** what the lock could not reach or lacks; empty = the release can be made */
  readonly unresolved: readonly { readonly what: string; readonly reason: string }[]
}

/** The image in whose place it stands: every mirrored one has it. */
export function upstreamOf({ component, upstream }: Pick<ImagePlan, 'component' | 'upstream'>): string {
  if (upstream === undefined) throw new Error(`${component} stands in no upstream image's place`)
  return upstream
}
