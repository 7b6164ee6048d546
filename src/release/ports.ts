/** What a release needs from the world: made once in the composition root, passed on as plain values and functions. */

import type { RegistrySession } from '../content/registry.ts'
import type { ContentStore } from '../content/store.ts'
import type { Listener } from '../graph/event.ts'
import type { ExecuteOptions } from '../graph/execute.ts'
import type { Lane } from '../graph/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { Addresses } from '../plan/addresses.ts'
import type { Bundle } from '../plan/bundle.ts'
import type { Notice } from '../plan/notice.ts'
import type { ReleasePlan } from '../plan/release-plan.ts'
import type { RpmBackend } from '../rpm/backend.ts'
import type { PolicySource } from '../rpm/selinux-policy.ts'
import type { ReleaseKeys } from './signatures.ts'

/** The working store: a content store whose blobs are files, so that laying out a release links instead of writing twice. */
export interface WorkingStore extends ContentStore {
  blobPath(digest: Digest): string
  /** Takes a stream whose digest nobody knows yet: whole or not at all. */
  pushFile(mediaType: string, path: string, extra?: Partial<Descriptor>): Promise<Descriptor>
  pushStream(mediaType: string, body: AsyncIterable<Uint8Array>, extra?: Partial<Descriptor>): Promise<Descriptor>
}

export interface ReleasePorts {
  readonly store: WorkingStore
  /** One log file a task. */
  readonly logs?: NonNullable<ExecuteOptions['logs']>
  /** Holds module caches, extracted sources and temporary files; may be deleted at any time between runs. */
  readonly workDir: string
  readonly env: Readonly<Record<string, string>>
  readonly addresses: Addresses
  /** Connections, logins and proxy for all registries. */
  readonly registries: RegistrySession
  readonly listener: Listener
  /** milliseconds; for events alone, never in an output */
  readonly now: () => number
  readonly signal: AbortSignal
  readonly lanes: Readonly<Record<Lane, number>>
}

/** Said of everything in a release that stands in for real input; carried as a file, in labels and in the statement. */
export interface StandInMark {
  /** Name of the file at the release's top level, and its text. */
  readonly file: string
  readonly text: string
  /** Fingerprint of the stand-in world's own key. */
  readonly keyFingerprint: string
}

/** What decides the files of a release that images of it may carry. */
export type CarriedRequest = Pick<ReleaseRequest, 'plan' | 'installer' | 'mark'> & Partial<Pick<ReleaseRequest, 'bundle'>>

export interface CompiledModule {
  readonly module: string
  readonly bytes: Buffer
}

/** A policy module that the project holds: compiled, or its source. */
export type SelinuxModule = CompiledModule | PolicySource

export interface ReleaseRequest {
  /** who signs; absent = nobody, and what is made is no release yet */
  readonly keys?: ReleaseKeys
  readonly plan: ReleasePlan
  /** images.lock of this release alone, as shipped. */
  readonly lockText: string
  /** pipelines/rfo.yaml */
  readonly bundle: Bundle
  /** install/install-rfo.sh, before the version is written into it */
  readonly installer: string
  /** install/verify.sh, as it ships */
  readonly verifier: string
  /** of rfo-build's own code, of which rfo-verify.cjs is made */
  readonly code: Digest
  readonly mark?: StandInMark
  /** sbom/vex/*.json: OpenVEX of the project itself */
  readonly vex?: readonly { readonly file: string; readonly text: string }[]
  /** pipelines/selinux/<module>.pp, or made of the source there */
  readonly selinux?: CompiledModule
  /** pipelines/advisories: what RFO says itself of what it mended */
  readonly notices?: readonly Notice[]
  /** who makes the packages of hosts; absent = the writer of rfo-build */
  readonly rpmBackend?: RpmBackend
  readonly failureMode: 'finish' | 'stop' | 'kill'
  /** The release's folder is made in here: `<outDir>/<version>/`. */
  readonly outDir: string
  /** of rfo-build */
  readonly toolVersion: string
}
