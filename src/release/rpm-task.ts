/** The packages of one platform, and the repository over them: out of the release tarball's files, and of what else runs on a host. */
import { rm } from 'node:fs/promises'
import { collectPrograms } from '../build/collect.ts'
import { pushBytes, readBytes } from '../content/read.ts'
import type { Task } from '../graph/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import type { Json } from '../oci/json.ts'
import { parseIndex } from '../oci/manifest.ts'
import { annotationKeys, mediaTypes } from '../oci/mediatype.ts'
import type { PlatformName } from '../oci/platform.ts'
import { tarballName } from '../pack/tarball.ts'
import { programPaths } from '../plan/component.ts'
import { noticesFor } from '../plan/notice.ts'
import type { ImagePlan } from '../plan/release-plan.ts'
import { minorLine, parseVersion } from '../plan/version.ts'
import { explorerPackage } from '../rpm/explorer.ts'
import { specFiles, writeRepository } from '../rpm/make.ts'
import { type RpmPackage, rpmArch } from '../rpm/package.ts'
import { payloadEncoder } from '../rpm/payload.ts'
import { releasePackage } from '../rpm/release-package.ts'
import { rfoPackages } from '../rpm/rfo.ts'
import { buildRpm, rpmbuildVersion } from '../rpm/rpmbuild.ts'
import { selinuxPackage } from '../rpm/selinux.ts'
import type { MadeBy } from '../rpm/shell.ts'
import { updateInfo } from '../rpm/updateinfo.ts'
import { given } from './given.ts'
import type { ImageTasks } from './image-tasks.ts'
import type { ReleasePorts, ReleaseRequest } from './ports.ts'
import { packageSources } from './rpm-sources.ts'
import { bundlePrefix, pushTitled, unsignedDigest, unsignedSize } from './titled.ts'

/** Where packages of a finished release go; a candidate's go to `testing`, as RKE2's do. */
const channel = 'stable'
/** RPM's release of the first packages of a version. */
const rpmRelease = '1'

/** A program of an image that runs on hosts, too. */
export interface HostProgram {
  readonly image: ImagePlan
  /** gives the layer that it is in */
  readonly programs: Task
  /** in that layer */
  readonly path: string
}

export interface PackagesNeeds {
  readonly tarball: Task
  readonly explorer?: HostProgram
}

/** The image whose program hosts have in a package, too. */
export const hostComponent = 'kube-explorer'

/** kube-explorer, where the release makes it for the platform. */
export function explorerOf(images: readonly ImageTasks[], platform: PlatformName): { explorer?: HostProgram } {
  const made = images.find(({ image }) => image.component === hostComponent)
  const programs = made?.platforms.find((each) => each.platform === platform)?.programs
  const [path] = programPaths(made?.image.build)
  return made === undefined || programs === undefined || path === undefined ? {} : { explorer: { image: made.image, programs, path } }
}

/** For task keys: what decides the models besides their files. */
export function modelKey(request: ReleaseRequest, explorer: ImagePlan | undefined): Readonly<Record<string, Json>> {
  const { plan, selinux } = request
  const { packager, url, vendor } = makerOf(request)
  return {
    ...{ packager, url, vendor, version: plan.version, epoch: plan.epoch, tarballs: tarballsOf(request), encoder: payloadEncoder },
    ...(explorer === undefined ? {} : { explorer: explorer.version, platforms: madeFor(explorer) }),
    ...(selinux === undefined ? {} : { selinux: { module: selinux.module, digest: digestOf(selinux.bytes) } }),
  }
}

function makerOf({ plan, mark }: ReleaseRequest): MadeBy {
  return {
    version: parseVersion(plan.version),
    release: rpmRelease,
    packager: `${plan.vendor} <${plan.url}>`,
    // a package is carried alone, and `rpm -qi` is where people look
    vendor: mark === undefined ? plan.vendor : `${plan.vendor}. ${mark.text.split('\n').join(' ').trim()}`,
    url: plan.url,
    epoch: plan.epoch,
  }
}

export function tarballsOf({ plan }: ReleaseRequest): Readonly<Partial<Record<PlatformName, string>>> {
  return Object.fromEntries(plan.platforms.map((each) => [each, tarballName(each).tarball]))
}

/** All packages of a platform's repository. `tarball`: its index. */
export async function packageModels(
  request: ReleaseRequest,
  platform: PlatformName,
  tarball: Descriptor,
  explorer: { readonly image: ImagePlan; readonly program: Descriptor } | undefined,
  ports: ReleasePorts,
): Promise<RpmPackage[]> {
  const [by, { store }] = [makerOf(request), ports]
  const bundle = await bundleOf(tarball, ports)
  const packages = [...(await rfoPackages({ ...by, platform, bundle, tarballs: tarballsOf(request) }, store))]
  if (explorer !== undefined) {
    const { image, program } = explorer
    packages.push(await explorerPackage({ ...by, platform, tag: image.version, program, platforms: madeFor(image) }, store))
  }
  if (request.selinux !== undefined) {
    const content = await pushBytes(store, mediaTypes.octets, request.selinux.bytes)
    packages.push(selinuxPackage({ ...by, module: request.selinux.module, content }))
  }
  return packages
}

/** An RPM or its repository's index, with what of it no signature changes. */
export function withUnsigned(content: Descriptor, unsigned: { readonly digest: Digest; readonly size: number } | undefined): Descriptor {
  if (unsigned === undefined) return content
  return { ...content, annotations: { [unsignedDigest]: unsigned.digest, [unsignedSize]: String(unsigned.size) } }
}

/** For the keys of tasks, and asked once: undefined = the writer makes them. */
export async function rpmbuildOf({ rpmBackend }: Pick<ReleaseRequest, 'rpmBackend'>, { env, signal }: ReleasePorts) {
  return rpmBackend === 'rpmbuild' ? await rpmbuildVersion(env, signal) : undefined
}

/** Gives an index of titled files: packages, metadata, specs. `rpmbuild`: its version, where it makes them. */
export function packagesTask(
  request: ReleaseRequest,
  platform: PlatformName,
  { tarball, explorer }: PackagesNeeds,
  ports: ReleasePorts,
  rpmbuild?: string,
): Task {
  const { plan } = request
  const version = parseVersion(plan.version)
  const place = { channel, minor: minorLine(version).replace(/^v/, ''), os: osOf(request, platform) }
  const by = makerOf(request)
  const notices = noticesFor(version, request.notices ?? [])
  const advisories = updateInfo({ notices, arch: rpmArch(platform), release: rpmRelease, vendor: plan.vendor, epoch: plan.epoch })
  return {
    id: `rpm/${platform}`,
    needs: { tarball, ...(explorer === undefined ? {} : { explorer: explorer.programs }) },
    key: {
      rule: 'rpm@3',
      place,
      platform,
      ...modelKey(request, explorer?.image),
      ...(advisories === undefined ? {} : { advisories: digestOf(advisories.text) }),
      ...(rpmbuild === undefined ? {} : { rpmbuild }),
    },
    lane: 'cpu',
    async run(inputs, at) {
      const { store } = ports
      const program = explorer && (await hostProgram(explorer, given(inputs['explorer']), platform, ports, at.signal))
      const host = explorer && program && { image: explorer.image, program }
      const packages = await packageModels(request, platform, given(inputs['tarball']), host, ports)
      const options = { epoch: plan.epoch, compression: 'gzip', workDir: ports.workDir, signal: at.signal } as const
      const from = { tarball: given(inputs['tarball']), ...(program && { program }) }
      const sources = rpmbuild === undefined ? undefined : await packageSources(request, platform, from, ports)
      const make = sources && ((pkg: RpmPackage) => buildRpm(pkg, sources, store, { ...options, env: ports.env, line: at.log }))
      const written = await writeRepository(packages as [RpmPackage, ...RpmPackage[]], place, store, options, advisories, make)
      const files = written.map(({ path, content, unsigned }): [string, Descriptor] => [path, withUnsigned(content, unsigned)])
      // whoever signs makes this one, and its spec says nothing of a key
      const keyless = await releasePackage({ ...by, platform, platforms: plan.platforms, place, key: '' }, store)
      for (const { path, text } of specFiles([...packages, keyless])) files.push([path, await pushBytes(store, mediaTypes.octets, text)])
      return await pushTitled(ports, files)
    },
  }
}

function madeFor(image: ImagePlan): PlatformName[] {
  return (Object.keys(image.platforms) as PlatformName[]).filter((each) => image.platforms[each]?.status === 'made').sort()
}

/** The tarball's files by their path in it. */
async function bundleOf(tarball: Descriptor, { store }: ReleasePorts): Promise<ReadonlyMap<string, { readonly content: Descriptor }>> {
  const bundle = new Map<string, { readonly content: Descriptor }>()
  for (const { annotations, ...content } of parseIndex(await readBytes(store, tarball)).manifests) {
    const title = annotations?.[annotationKeys.title] ?? ''
    if (title.startsWith(bundlePrefix)) bundle.set(title.slice(bundlePrefix.length), { content })
  }
  return bundle
}

export async function hostProgram(
  { image: { component }, path }: HostProgram,
  layer: Descriptor,
  platform: PlatformName,
  { store, workDir }: ReleasePorts,
  signal: AbortSignal,
): Promise<Descriptor> {
  const from = [{ component, layer, program: path, output: path }]
  const made = await collectPrograms({ from, platform, workDir, signal }, store)
  try {
    const [program] = made.programs
    if (program === undefined) throw new Error('collectPrograms gives what it was asked for')
    return await store.pushFile(mediaTypes.octets, program.file)
  } finally {
    await rm(made.dir, { recursive: true, force: true })
  }
}

/** `22.03-LTS` of `openEuler 22.03-LTS`. */
function osOf(request: ReleaseRequest, platform: PlatformName): string {
  return (request.plan.bases[platform]?.name ?? '').replace(/^openEuler /, '')
}
