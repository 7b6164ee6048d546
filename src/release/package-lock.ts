/** Names of OS packages → pinned RPMs: what the repositories hold and the base has not. Asked by `lock` alone. */
import { createReadStream } from 'node:fs'
import { open as openFile } from 'node:fs/promises'
import { RfoError } from '../error.ts'
import { type BaseImage, readBaseImage } from '../inspect/base-image.ts'
import { type Digest, parseDigest } from '../oci/digest.ts'
import { architectures, type PlatformName, platformOf } from '../oci/platform.ts'
import type { LockedPackages } from '../plan/lock.ts'
import type { PackageWish } from '../plan/os-packages.ts'
import { parseImageName } from '../plan/reference.ts'
import type { Repository } from '../plan/release-plan.ts'
import { packingOf, unpacked } from '../rpm/decompress.ts'
import { solvableOf } from '../rpm/install/facts.ts'
import { databaseOf } from '../rpm/install/layer.ts'
import { readHeader } from '../rpm/install/read-header.ts'
import { nevraOf, type Solvable } from '../rpm/solve/capability.ts'
import { readFilelists, readPrimary } from '../rpm/solve/primary.ts'
import { type MetadataFile, readRepomd } from '../rpm/solve/repomd.ts'
import { solve } from '../rpm/solve/solve.ts'
import { type Candidate, createUniverse, type Universe } from '../rpm/solve/universe.ts'
import type { OpenRepository } from '../upstream/image.ts'
import type { ResolvedPackages } from './lock.ts'

export interface PackageResolverPorts {
  readonly open: OpenRepository
  /** A file by its public address, checked when something is expected. */
  readonly fetch: (
    url: string,
    expected?: { readonly digest: Digest; readonly size: number },
  ) => Promise<{ readonly file: string; readonly digest: Digest; readonly size: number }>
  /** for xz */
  readonly env: Readonly<Record<string, string>>
  readonly workDir: string
  readonly signal: AbortSignal
}

/** What is known of a platform, asked for once however many components need packages. */
interface Ground {
  readonly installed: readonly Solvable[]
  readonly universe: Universe
  readonly repositories: LockedPackages['repositories']
  /** Looks the paths up in the repositories' long lists. */
  readonly findFiles: (paths: ReadonlySet<string>) => Promise<void>
}

/** repomd.xml names a dozen lists */
const mostRepomd = 1024 * 1024
/** A file that is required may bring a package that requires another. */
const mostRounds = 8

export function packageResolver(ports: PackageResolverPorts): (wish: PackageWish) => Promise<ResolvedPackages> {
  const grounds = new Map<PlatformName, Promise<Ground>>()
  return async (wish) => {
    const ground = grounds.get(wish.platform) ?? groundOf(wish, ports)
    grounds.set(wish.platform, ground)
    const known = await ground
    const request = { wanted: wish.names, installed: known.installed, universe: known.universe }
    const asked = new Set<string>()
    for (let round = 0; ; round++) {
      const unknown = new Set<string>()
      const { found, failed } = attempt(() => solve(request, unknown))
      const fresh = new Set([...unknown].filter((path) => !asked.has(path)))
      if (fresh.size === 0 || round === mostRounds) {
        if (found === undefined) throw failed instanceof RfoError ? named(failed, wish) : failed
        return { kind: 'rpms', repositories: known.repositories, rpms: found.map(pinned) }
      }
      await known.findFiles(fresh)
      for (const path of fresh) asked.add(path)
    }
  }
}

function attempt<T>(work: () => T): { readonly found?: T; readonly failed?: unknown } {
  try {
    return { found: work() }
  } catch (failed) {
    return { failed }
  }
}

/** The reason stands in the lock and is read there without the place: it names who asks. */
function named(error: RfoError, { component, platform }: PackageWish): RfoError {
  return new RfoError(error.code, `${error.message} (for ${component} on ${platform})`, { exit: error.exit, where: component })
}

function pinned(one: Candidate): ResolvedPackages['rpms'][number] {
  return { nevra: nevraOf(one), url: one.url, digest: parseDigest(`sha256:${one.sha256}`), size: one.size }
}

async function groundOf(wish: PackageWish, ports: PackageResolverPorts): Promise<Ground> {
  const arch = architectures[platformOf(wish.platform).architecture].rpm
  if (wish.repositories.length === 0) {
    throw new RfoError('RFO_RPM_REPOSITORIES', `no repository is named for ${wish.platform}, and ${wish.component} asks for packages`, {
      exit: 'usage',
      where: 'pipelines/release.yaml',
      next: `add bases.${wish.platform}.repositories`,
    })
  }
  const base = await baseOf(wish, ports)
  const read = await Promise.all(wish.repositories.map((each) => readRepository(each, arch, ports)))
  const universe = createUniverse(
    read.map(({ packages }) => packages),
    arch,
  )
  const files = new Map<string, readonly string[]>()
  return {
    installed: base.headers.map((blob) => solvableOf(readHeader(blob))),
    universe,
    repositories: Object.fromEntries(read.map(({ name, url, revision, repomd }) => [name, { url, revision, repomd }])),
    async findFiles(paths) {
      for (const { filelists, url } of read) {
        if (filelists === undefined) continue
        const bytes = await metadata(url, filelists, ports)
        for (const [path, nevras] of await readFilelists(bytes, paths)) files.set(path, [...(files.get(path) ?? []), ...nevras])
      }
      universe.addFiles(files)
    },
  }
}

async function baseOf({ base }: PackageWish, ports: PackageResolverPorts): Promise<BaseImage> {
  const { registry, repository } = parseImageName(base.reference)
  const image = await readBaseImage(base.manifest, await ports.open(registry, repository), { tempDir: ports.workDir, signal: ports.signal })
  databaseOf(image)
  return image
}

interface ReadRepository extends Repository {
  readonly revision: string
  /** of repomd.xml */
  readonly repomd: Digest
  readonly packages: readonly Candidate[]
  readonly filelists: MetadataFile | undefined
}

async function readRepository({ name, url }: Repository, arch: string, ports: PackageResolverPorts): Promise<ReadRepository> {
  try {
    const index = await ports.fetch(`${url}repodata/repomd.xml`)
    if (index.size > mostRepomd) throw new RfoError('RFO_RPM_METADATA', `repomd.xml has ${index.size} bytes`, { exit: 'untrusted' })
    const { revision, files } = await readRepomd(createReadStream(index.file))
    const primary = files.get('primary')
    if (primary === undefined) throw new Error('readRepomd gives a primary list')
    const packages = await readPrimary(await metadata(url, primary, ports), url, arch)
    return { name, url, revision, repomd: index.digest, packages, filelists: files.get('filelists') }
  } catch (thrown) {
    throw thrown instanceof RfoError ? thrown.at(`repository ${name}`) : thrown
  }
}

/** A list, unpacked as it is read; its bytes are those of repomd.xml. */
async function metadata(
  url: string,
  { href, digest, size }: MetadataFile,
  ports: PackageResolverPorts,
): Promise<AsyncIterable<Uint8Array>> {
  const { file, digest: found } = await ports.fetch(url + href, size === undefined ? undefined : { digest, size })
  if (found !== digest)
    throw new RfoError('RFO_RPM_METADATA', `${url}${href} is ${found}, and repomd.xml says ${digest}`, { exit: 'untrusted' })
  const handle = await openFile(file)
  try {
    const head = Buffer.alloc(6)
    await handle.read(head, 0, head.length, 0)
    return unpacked(createReadStream(file, { highWaterMark: 1 << 18 }), packingOf(head), { env: ports.env, signal: ports.signal })
  } finally {
    await handle.close()
  }
}
