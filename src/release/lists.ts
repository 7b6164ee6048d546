/** Image lists and checksum files, in RKE2's names and form (contract). */

import { RfoError } from '../error.ts'
import type { Digest } from '../oci/digest.ts'
import { hex } from '../oci/digest.ts'
import { type Architecture, architectures, type PlatformName, platformNames, platformOf } from '../oci/platform.ts'
import type { ArchiveKind } from '../plan/component.ts'
import type { ReleasePlan } from '../plan/release-plan.ts'
import { by } from './root.ts'

/** RKE2's `rke2-images`: what a server needs with the default CNI. */
export const legacyGroups: readonly string[] = ['core', 'canal']

export interface ReleaseFileText {
  readonly path: string
  readonly text: string
}

export interface GroupFile {
  /** without an extension: `rfo-images-core.linux-arm64` */
  readonly name: string
  readonly platform: PlatformName
  /** in the plan's order, each once, never empty */
  readonly references: readonly string[]
}

/** What a list and an archive hold: RKE2's groups, and the legacy `rfo-images` that is core and canal. */
export function groupFiles(plan: ReleasePlan): GroupFile[] {
  return plan.platforms.flatMap((platform) => {
    const arch = platform.slice('linux/'.length)
    const made = plan.images.filter((image) => image.platforms[platform]?.status === 'made')
    const inGroup = (group: string): string[] => made.filter((image) => image.groups.includes(group)).map((image) => image.reference)
    const groups = [...new Set(made.flatMap((image) => image.groups))].sort()
    return [
      ...groups.map((group) => ({ name: `rfo-images-${group}.linux-${arch}`, platform, references: inGroup(group) })),
      { name: `rfo-images.linux-${arch}`, platform, references: [...new Set(legacyGroups.flatMap(inGroup))] },
    ].filter((file) => file.references.length > 0)
  })
}

/** `name` is that of a group file. */
export function archivePath(name: string, kind: ArchiveKind): string {
  return `${name}.${kind}`
}

/** bytes; larger than the plan.json of any release */
export const maxPlanBytes = 32 * 1024 * 1024

/** A list for each group file, and `rfo-images-all…` sorted and unique. */
export function imageLists(plan: ReleasePlan): ReleaseFileText[] {
  const all = plan.platforms.map((platform) => {
    const made = plan.images.filter((image) => image.platforms[platform]?.status === 'made' && image.groups.length > 0)
    return list(`rfo-images-all.linux-${platform.slice('linux/'.length)}.txt`, [...new Set(made.map((image) => image.reference))].sort())
  })
  return [...groupFiles(plan).map(({ name, references }) => list(`${name}.txt`, references)), ...all.filter((file) => file.text !== '')]
}

function list(path: string, references: readonly string[]): ReleaseFileText {
  return { path, text: references.map((reference) => `${reference}\n`).join('') }
}

export interface SummedFile {
  readonly path: string
  readonly digest: Digest
  /** 64 hex characters */
  readonly sm3: string
}

/** bytes; SBOMs of big images are larger than a manifest may be. */
export const maxSbomBytes = 64 * 1024 * 1024
/** An SBOM in SPDX. */
export function spdxPath(component: string, platform: string): string {
  return `sbom/${component}.${platform.replace('/', '-')}.spdx.json`
}

export function sbomPath(component: string, platform: string): string {
  return `sbom/${component}.${platform.replace('/', '-')}.cdx.json`
}

/** Of the release itself: refers to all others by digest. */
export const releaseSbom = { cyclonedx: 'sbom/release.cdx.json', spdx: 'sbom/release.spdx.json' } as const

/**
 * Of a file that is no image's. Its own name is not in it as it stands: installers grep lists of checksums, and a name that contains
 * another one is found twice.
 */
export function fileSbomPath(path: string): string {
  const platform = platformOfFile(path)
  const name = path.slice(path.lastIndexOf('/') + 1)
  const stem = platform === undefined ? name : name.replace(`.${platform.replace('/', '-')}`, '')
  const kind = programName.test(name) ? '_program' : ''
  return `sbom/${stem.replaceAll('.', '_')}${kind}${platform === undefined ? '' : `.${platform.replace('/', '-')}`}.cdx.json`
}

/** The bare program. */
const programName = /^rfo\.linux-[a-z0-9]+$/

/** What a scan of an image found, as it is attested of it. */
export function scanPath(component: string, platform: string): string {
  return `sbom/${component}.${platform.replace('/', '-')}.vuln.json`
}

/** The snapshot of advisories that a release was judged by: whoever has the release can judge it again. */
export const advisoriesPath = 'advisories.json.zst'

/** The platform whose file this is, by RKE2's `.linux-<arch>` in its name or rpm's own; undefined = of no platform. */
export function platformOfFile(path: string): PlatformName | undefined {
  const rpm = /^rpm\/(?:[^/]+\/)+(\w+)\/(?:Packages|repodata)\//.exec(path)?.[1]
  const named = rpm ?? /^rpm\/[^/]+\.(\w+)\.rpm$/.exec(path)?.[1]
  if (named !== undefined) return platformNames.find((name) => architectures[platformOf(name).architecture].rpm === named)
  const found = /\.linux-([a-z0-9]+)(?:\.|$)/.exec(path)?.[1]
  return found !== undefined && found in architectures ? `linux/${found as Architecture}` : undefined
}

/** Names of the two lists that hold a platform's sums. */
export function checksumListNames(platform: PlatformName): { readonly sha256: string; readonly sm3: string } {
  const { architecture } = platformOf(platform)
  return { sha256: `sha256sum-${architecture}.txt`, sm3: `sm3sum-${architecture}.txt` }
}

/**
 * `sha256sum-<arch>.txt` and `sm3sum-<arch>.txt`: that platform's files and those of no platform, by path. Installers
 * grep these lists, so a name that contains another one is a bug, not a style.
 */
export function checksumLists(platforms: readonly PlatformName[], files: readonly SummedFile[]): ReleaseFileText[] {
  return platforms.flatMap((platform) => {
    const names = checksumListNames(platform)
    const own = files.filter((file) => (platformOfFile(file.path) ?? platform) === platform).sort(by((file) => file.path))
    refuseContained(own.map((file) => file.path))
    return [
      { path: names.sha256, text: own.map((file) => `${hex(file.digest)}  ${file.path}\n`).join('') },
      { path: names.sm3, text: own.map((file) => `${file.sm3}  ${file.path}\n`).join('') },
    ]
  })
}

function refuseContained(paths: readonly string[]): void {
  const all = paths.join('\n')
  for (const path of paths) {
    // the bare program's name begins the tarball's, as in RKE2's lists: whoever looks for it anchors the end
    if (programName.test(path)) continue
    if (all.indexOf(path) !== all.lastIndexOf(path)) {
      throw new RfoError('RFO_RELEASE_NAME', `file name ${path} is contained in another one of the same checksum list`, { exit: 'bug' })
    }
  }
}
