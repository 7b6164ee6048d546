/** What is in an image, or in another tree of files: rpm packages, Go programs, and the executables that neither explains. */
import type { ContentReader } from '../content/store.ts'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { isPlatformName, type PlatformName } from '../oci/platform.ts'
import { type Found, lookInside } from './findings.ts'
import { type WalkOptions, walkImage } from './image.ts'
import { type OsRelease, parseOsRelease } from './os-release.ts'
import { dependencies, nevra } from './rpm-dependencies.ts'
import type { RpmPackage } from './rpmdb/header.ts'
import { type RpmDatabaseKind, readRpmDatabase, rpmDatabaseKind, rpmFileNames, rpmFolders } from './rpmdb/index.ts'
import type { Tree } from './tree.ts'

export interface InventoryRpm {
  readonly name: string
  readonly epoch?: number
  readonly version: string
  readonly release: string
  readonly arch: string
  readonly license: string
  readonly vendor: string
  /** of the project; '' when the header has none */
  readonly url: string
  /** file name; '' when unknown */
  readonly sourceRpm: string
  /** hex, of the immutable part of the package's header */
  readonly sha256?: string
  /** `name-version-release.arch` of the packages in this image that it requires, sorted */
  readonly dependsOn: readonly string[]
}

export interface InventoryGoModule {
  readonly path: string
  readonly version: string
  /** `h1:…` or '' */
  readonly sum: string
  readonly replace?: { readonly path: string; readonly version: string; readonly sum: string }
}

export interface InventoryGo {
  /** absolute path in the image */
  readonly path: string
  /** hex, of the file */
  readonly sha256: string
  readonly sha512: string
  /** `go1.26.8` */
  readonly goVersion: string
  /** import path of the main package */
  readonly package: string
  readonly main: InventoryGoModule | null
  readonly deps: readonly InventoryGoModule[]
  readonly settings: Readonly<Record<string, string>>
}

/** Plain JSON. Lists are sorted by path or name in code units: the same image gives the same bytes. */
export interface Inventory {
  readonly schema: 'rfo-build.inventory/1'
  /** of the manifest; of what is no image, the digest of the file or of the list of files */
  readonly image: Digest
  /** `any` = a tree that says of no platform that it is for it */
  readonly platform: PlatformName | 'any'
  readonly os: OsRelease | null
  readonly rpm: readonly InventoryRpm[]
  /** `several` = more than one database lies there; the packages are those of all */
  readonly rpmDatabase: RpmDatabaseKind | 'none' | 'several'
  readonly go: readonly InventoryGo[]
  /** ELF executables and libraries owned by no rpm (or not as the rpm had them) and without build info */
  readonly unexplained: readonly { readonly path: string; readonly sha256: string; readonly sha512: string }[]
  /** those that an rpm explains, by whom: `name-version-release.arch` */
  readonly owned: readonly { readonly path: string; readonly sha256: string; readonly owner: string }[]
  /** databases of packages of other kinds, which nobody here reads */
  readonly unread: readonly string[]
  /** regular files */
  readonly files: number
  /** ELF executables and libraries: how many an rpm or Go build info explains, of how many */
  readonly coverage: { readonly explained: number; readonly total: number }
}

/** Throws what walkImage and the database readers throw, and RFO_INSPECT_PLATFORM for an image of a platform that is not in the table. */
export async function inventoryImage(manifest: Descriptor, from: ContentReader, options: WalkOptions): Promise<Inventory> {
  const image = await walkImage<Found>(manifest, from, lookInside(), options)
  const platform = `${image.os}/${image.architecture}`
  if (!isPlatformName(platform)) {
    throw new RfoError('RFO_INSPECT_PLATFORM', `${manifest.digest} is for ${JSON.stringify(platform.slice(0, 60))}`, { exit: 'untrusted' })
  }
  return inventoryTree(image.tree, manifest.digest, platform)
}

/** Where other package managers keep what they installed. An image that has one holds more than its rpm packages. */
const otherDatabases = [
  '/var/lib/dpkg/status',
  '/var/lib/dpkg/status.d',
  '/lib/apk/db/installed',
  '/usr/lib/apk/db/installed',
  '/var/lib/pacman/local',
] as const

/** Throws what the database readers throw. */
export function inventoryTree(tree: Tree<Found>, image: Digest, platform: Inventory['platform']): Inventory {
  const databases = rpmDatabases(tree)
  const packages = distinct(databases.flatMap(({ packages: some }) => some))
  const owners = ownership(packages, tree)
  const go: InventoryGo[] = []
  const unexplained: { path: string; sha256: string; sha512: string }[] = []
  const owned: { path: string; sha256: string; owner: string }[] = []
  let total = 0
  let files = 0
  for (const [path, leaf] of tree.leaves()) {
    if (leaf.kind === 'file') files++
    if (leaf.found?.kind !== 'elf' || leaf.sha256 === undefined) continue
    const { sha256 } = leaf
    const { buildInfo, sha512 } = leaf.found
    total++
    const owner = owners.get(path)?.(sha256)
    if (owner !== undefined) owned.push({ path, sha256, owner })
    if (buildInfo !== undefined) {
      const { goVersion, package: name, main, deps, settings } = buildInfo
      go.push({ path, sha256, sha512, goVersion, package: name, main: main ?? null, deps, settings })
    } else if (owner === undefined) unexplained.push({ path, sha256, sha512 })
  }
  const links = dependencies(packages)
  const kinds = new Set(databases.map(({ kind }) => kind))
  return {
    schema: 'rfo-build.inventory/1',
    image,
    platform,
    os: osRelease(tree),
    rpm: packages.map((one) => rpmEntry(one, links.get(nevra(one)) ?? [])),
    rpmDatabase: databases.length > 1 ? 'several' : ([...kinds][0] ?? 'none'),
    go,
    unexplained,
    owned,
    unread: otherDatabases.filter((name) => tree.resolve(name) !== undefined),
    files,
    coverage: { explained: total - unexplained.length, total },
  }
}

function rpmEntry(one: RpmPackage, dependsOn: readonly string[]): InventoryRpm {
  const { name, epoch, version, release, arch, license, vendor, url, sourceRpm, sha256 } = one
  return {
    name,
    ...(epoch === undefined ? {} : { epoch }),
    version,
    release,
    arch,
    license,
    vendor,
    url,
    sourceRpm,
    ...(sha256 === undefined ? {} : { sha256 }),
    dependsOn,
  }
}

/** Each file once, however many names lead to it: /var/lib/rpm is a link to /usr/lib/sysimage/rpm on some systems. */
function rpmDatabases(tree: Tree<Found>): { readonly kind: RpmDatabaseKind; readonly packages: readonly RpmPackage[] }[] {
  const seen = new Set<string>()
  return rpmFolders.flatMap((folder) =>
    rpmFileNames.flatMap((name) => {
      const path = tree.resolve(`${folder}/${name}`)
      if (path === undefined || seen.has(path)) return []
      seen.add(path)
      const leaf = tree.leaf(path)
      if (leaf?.kind !== 'file' || leaf.size === 0) return []
      const bytes = leaf.found?.kind === 'bytes' ? leaf.found.bytes : undefined
      const kind = bytes === undefined ? undefined : rpmDatabaseKind(bytes)
      if (bytes === undefined || kind === undefined) {
        // no database and one that can't be read are not the same: the second must never look like an image without packages
        throw new RfoError('RFO_INSPECT_RPMDB', `${path} is no rpm database of a kind that is known`, { exit: 'untrusted' })
      }
      const wal = tree.leaf(tree.resolve(`${folder}/${name}-wal`) ?? '')?.found
      return [{ kind, packages: readRpmDatabase(path, bytes, wal?.kind === 'bytes' ? wal.bytes : undefined) }]
    }),
  )
}

function distinct(packages: readonly RpmPackage[]): readonly RpmPackage[] {
  const byName = new Map(packages.map((one) => [`${nevra(one)}:${one.epoch ?? ''}`, one]))
  return [...byName].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map(([, one]) => one)
}

/** Canonical path → the package by which the file with this SHA-256 explains itself. A package's own words are the judge. */
function ownership(packages: readonly RpmPackage[], tree: Tree<Found>): ReadonlyMap<string, (sha256: string) => string | undefined> {
  const sha256Algorithm = 8
  const owners = new Map<string, (sha256: string) => string | undefined>()
  for (const one of packages) {
    const owner = nevra(one)
    for (const { path, digest } of one.files) {
      const real = tree.resolve(path)
      if (real === undefined) continue
      const before = owners.get(real)
      const unknown = digest === '' || one.digestAlgorithm !== sha256Algorithm
      owners.set(real, (sha256) => (unknown || digest === sha256 ? owner : before?.(sha256)))
    }
  }
  return owners
}

function osRelease(tree: Tree<Found>): OsRelease | null {
  for (const name of ['/etc/os-release', '/usr/lib/os-release']) {
    const path = tree.resolve(name)
    const found = path === undefined ? undefined : tree.leaf(path)?.found
    if (found?.kind === 'bytes') return parseOsRelease(found.bytes.toString('utf8'))
  }
  return null
}
