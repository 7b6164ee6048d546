/** images.lock: every input of every release, pinned by digest. Sorted, versioned, fingerprinted per component. */
import { z } from 'zod'
import type { Digest } from '../oci/digest.ts'
import { isDigest } from '../oci/digest.ts'
import { platformNames } from '../oci/platform.ts'

export const DigestText = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value), 'a sha256 digest')
/** A Go checksum: https://go.dev/ref/mod#go-sum-files */
const GoSum = z.string().regex(/^h1:[A-Za-z0-9+/]{43}=$/)
export const PlatformKey = z.enum(platformNames)

export const PinnedManifest = z.strictObject({ mediaType: z.string(), digest: DigestText, size: z.int().nonnegative() })
export type PinnedManifest = z.infer<typeof PinnedManifest>

export const Unresolved = z.strictObject({ kind: z.literal('unresolved'), reason: z.string() })
export const ToolchainPin = z.strictObject({
  version: z.string(),
  h1: z.record(z.string(), GoSum).describe('host `linux-amd64` → sum of golang.org/toolchain'),
})
export type ToolchainPin = z.infer<typeof ToolchainPin>
const PinnedFile = z.strictObject({ file: z.string().describe('below the project'), digest: DigestText })
/** The files beside the pipelines that change a source; other bytes are another pin. */
export const PinnedChanges = z.strictObject({
  patches: z.array(PinnedFile).min(1).optional().describe('in the order in which they are applied'),
  overrides: PinnedFile.optional().describe('of go.mod'),
})
export type PinnedChanges = z.infer<typeof PinnedChanges>
const SaidCommit = z.strictObject({
  hash: z.string().regex(/^[0-9a-f]{40}$/),
  saidBy: z
    .enum(['pipeline', 'proxy'])
    .describe('`proxy`: what the module proxy named when it was locked was the same; `pipeline`: it named none, and nothing proves it'),
})
export type SaidCommit = z.infer<typeof SaidCommit>
export const GoModulePin = z.strictObject({
  kind: z.literal('go-module'),
  module: z.string(),
  version: z.string(),
  h1: GoSum.describe('of the module’s zip'),
  goModH1: GoSum.describe('of its go.mod'),
  sums: DigestText.optional().describe(
    'of the go.mod and go.sum that the build uses, after edits: sha256(go.mod + "\\n" + go.sum); absent when Go does not compile it',
  ),
  toolchain: ToolchainPin.optional().describe('absent when Go does not compile it'),
  commit: SaidCommit.optional().describe('which its repository tagged with the version; absent when the pipeline says none'),
  changes: PinnedChanges.optional(),
})
export type GoModulePin = z.infer<typeof GoModulePin>
export const ArchivePin = z.strictObject({
  kind: z.literal('archive'),
  url: z.string(),
  digest: DigestText,
  size: z.int().nonnegative(),
  prebuilt: z
    .string()
    .optional()
    .describe('folder template `bin/{architecture}` in the source that holds the programs: nothing is compiled'),
  changes: PinnedChanges.optional(),
})
export type ArchivePin = z.infer<typeof ArchivePin>
export const GitPin = z.strictObject({
  kind: z.literal('git'),
  url: z.string(),
  tag: z.string(),
  commit: z.string().regex(/^[0-9a-f]{40}$/),
  archive: z
    .strictObject({ url: z.string(), digest: DigestText, size: z.int().nonnegative() })
    .optional()
    .describe('the host’s .tar.gz of this commit: a build machine then needs no git'),
  sums: DigestText.optional().describe('of the go.mod and go.sum that the build uses, when Go compiles it: as in a module’s pin'),
  toolchain: ToolchainPin.optional().describe('absent when Go does not compile it'),
  submodules: z.literal(true).optional().describe('they are opened too: the commit names theirs'),
  folder: z.string().optional().describe('of the commit’s files, those below it alone'),
  prebuilt: z.string().optional().describe('as in an archive pin'),
  changes: PinnedChanges.optional(),
})
export type GitPin = z.infer<typeof GitPin>
export const ImagePin = z.strictObject({
  kind: z.literal('image'),
  reference: z.string(),
  index: PinnedManifest,
  platforms: z.partialRecord(PlatformKey, PinnedManifest),
  upstreamSignature: z
    .enum(['none', 'unverified', 'verified'])
    .optional()
    .describe('`verified`: its index is signed by upstreamKey; else whether the registry showed any signature; absent = nobody looked'),
})
export type ImagePin = z.infer<typeof ImagePin>
export const Pin = z.discriminatedUnion('kind', [GoModulePin, ArchivePin, GitPin, ImagePin, Unresolved])
export type Pin = z.infer<typeof Pin>

/** Where in the source the programs lie compiled; undefined = they are made. */
export function prebuiltOf(pin: Pin | undefined): string | undefined {
  return pin?.kind === 'git' || pin?.kind === 'archive' ? pin.prebuilt : undefined
}

export const LockedComponent = z.strictObject({
  fingerprint: DigestText.describe('of the pipeline file’s part that decides the pin, with version filled in'),
  pin: Pin,
  date: z
    .string()
    .regex(/^\d{8}$/, 'a day: 20261123')
    .optional()
    .describe('UTC day on which the pin or the recipe moved: the end of the tag, and every time stamp in the image; absent without a pin'),
  image: z.string().optional().describe('what it is called with that date'),
  recipe: DigestText.optional().describe(
    'of all else in this project that decides a rebuilt image’s bytes: build, config, packages, bases, what it collects',
  ),
  standIn: z.string().optional().describe('set when a stand-in replaces the real input: what it stands for'),
})
export type LockedComponent = z.infer<typeof LockedComponent>

export const LockedLibrary = z.strictObject({
  fingerprint: DigestText.describe('of the library file’s source'),
  pin: z.discriminatedUnion('kind', [ArchivePin.omit({ prebuilt: true }), Unresolved]),
})
export type LockedLibrary = z.infer<typeof LockedLibrary>

export const LockedBase = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('image'),
    name: z.string(),
    reference: z.string(),
    manifest: PinnedManifest,
    standIn: z.string().optional(),
  }),
  Unresolved,
])
export type LockedBase = z.infer<typeof LockedBase>

export const LockedChart = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('chart'), version: z.string(), url: z.string(), digest: DigestText, standIn: z.string().optional() }),
  Unresolved,
])
export type LockedChart = z.infer<typeof LockedChart>

export const PinnedRpm = z.strictObject({ url: z.string(), digest: DigestText, size: z.int().nonnegative() })
export type PinnedRpm = z.infer<typeof PinnedRpm>

/** What the components of one platform need besides its base: each RPM once, however many need it. */
export const LockedPackages = z.strictObject({
  repositories: z
    .record(z.string(), z.strictObject({ url: z.string(), revision: z.string(), repomd: DigestText }))
    .describe('as they were when the pins were made; nothing is read of them afterwards'),
  rpms: z.record(z.string(), PinnedRpm).describe('name-[epoch:]version-release.arch → where it lies and what it is'),
  components: z.record(
    z.string(),
    z.discriminatedUnion('kind', [
      z.strictObject({
        kind: z.literal('rpms'),
        fingerprint: DigestText.describe('of the base’s manifest, the packages asked for and the repositories’ names and addresses'),
        rpms: z.array(z.string()).describe('the packages and all that they need and the base has not, sorted'),
      }),
      Unresolved,
    ]),
  ),
})
export type LockedPackages = z.infer<typeof LockedPackages>

/** What images are judged by. */
export const LockedAdvisories = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('advisories'),
    digest: DigestText.describe('of the snapshot as it is carried'),
    size: z.int().nonnegative(),
    taken: z.string().describe('when its sources had been read'),
    url: z.string().optional().describe('where it lies; absent: in the store, where sync or import put it'),
    standIn: z.string().optional(),
  }),
  Unresolved,
])
export type LockedAdvisories = z.infer<typeof LockedAdvisories>

export const LockedRelease = z.strictObject({
  upstream: z.strictObject({ version: z.string(), commit: z.string(), list: DigestText.describe('of the recorded image list') }),
  epoch: z.int().nonnegative().describe('seconds; every time stamp of the release, but for those in images'),
  bases: z.partialRecord(PlatformKey, LockedBase),
  components: z.record(z.string(), LockedComponent),
  libraries: z.record(z.string(), LockedLibrary).optional().describe('C libraries that programs link; absent = none'),
  charts: z.record(z.string(), LockedChart),
  advisories: LockedAdvisories.optional().describe('absent: the project has no gate'),
  packages: z.partialRecord(PlatformKey, LockedPackages).optional().describe('OS packages; absent when no base is pinned'),
})
export type LockedRelease = z.infer<typeof LockedRelease>

export const Lock = z.strictObject({ schema: z.literal('rfo-build.lock/1'), releases: z.record(z.string(), LockedRelease) })
export type Lock = z.infer<typeof Lock>
