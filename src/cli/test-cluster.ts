/** `test` in a cluster: the release is checked, test images are made, the suite runs, its results are attached. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { ReleasePredicate } from '../attest/release.ts'
import type { NodeImage } from '../cluster/archive.ts'
import type { Driver, DriverName, DriverRequest } from '../conformance/driver.ts'
import { hydrophone } from '../conformance/hydrophone.ts'
import { sonobuoy } from '../conformance/sonobuoy-driver.ts'
import { type SuiteName, type SuiteRun, suiteRuns } from '../conformance/suite.ts'
import { openLayout } from '../content/layout.ts'
import { RfoError } from '../error.ts'
import { annotationKeys } from '../oci/mediatype.ts'
import type { PlatformName } from '../oci/platform.ts'
import { listDigest } from '../plan/fingerprint.ts'
import { type AttachedTest, type AttachTestRequest, attachTest, checkedRelease } from '../release/attach-test.ts'
import { planOf, readInputs } from '../release/inputs.ts'
import { type ReleaseNode, releaseNode } from '../release/node.ts'
import type { ReleasePorts } from '../release/ports.ts'
import { onPath, preflight } from '../release/preflight.ts'
import { type TestImages, testImages } from '../release/test-images.ts'
import { runSuite } from '../release/test-run.ts'
import { givenTarget, localTarget, type TestTarget } from '../release/test-target.ts'
import type { SigningKey } from '../sign/key.ts'
import type { CliContext } from './context.ts'
import { hostArchitecture } from './host.ts'
import { openWorld, withPorts, workDirOf } from './world.ts'

/** Where to run, whatever is run. */
export interface ClusterRequest {
  readonly folder: string
  readonly key: SigningKey
  /** absent: a cluster is made here */
  readonly kubeconfig?: string
  /** absent: this machine's */
  readonly platform?: PlatformName
  /** OCI layouts: images that are needed besides, under the names that the layouts give them */
  readonly load: readonly string[]
}

export interface ClusterTestRequest extends ClusterRequest {
  readonly suite: SuiteName
  readonly driver: DriverName
  readonly focus: string | undefined
  readonly skip: string | undefined
  readonly procs: number
  readonly minutes: number
  readonly excused: NonNullable<AttachTestRequest['excused']>
}

/** The project of test images, below the release's own: conformance/README.md says why it is one. */
const testProject = 'conformance'
/** hydrophone 0.7.0 sends what Kubernetes 1.25's suite understands. */
const installed: Readonly<Record<DriverName, string>> = {
  hydrophone: 'go install sigs.k8s.io/hydrophone@v0.7.0',
  sonobuoy: 'install sonobuoy: https://sonobuoy.io/docs/#installation',
}
const drivers: Readonly<Record<DriverName, Driver>> = { hydrophone, sonobuoy }

export async function testInCluster(
  context: CliContext,
  request: ClusterTestRequest,
): Promise<{ readonly platform: PlatformName; readonly attached: AttachedTest }> {
  const driver = drivers[request.driver]
  if (!(await onPath(driver.name, context.env)))
    throw new RfoError('RFO_TEST_DRIVER', `no program ${driver.name} on the PATH`, { exit: 'machine', next: installed[driver.name] })
  return await withCluster(context, request, {}, async ({ release, platform, folder, target, local, ports }) => {
    const images = local === undefined ? upstreamImages(release) : testedImages(local.tests)
    const { programs, standIns } = told(local)
    const { results, facts } = await runSuite(
      { release, platform, driver, runs: runsOf(request), seconds: request.minutes * 60, images, programs, standIns },
      target,
      folder,
      ports,
    )
    const attached = await attachTest({
      folder: request.folder,
      platform,
      results,
      cluster: facts,
      excused: request.excused,
      key: request.key,
      signal: context.signal,
    })
    const [only, ...others] = runsOf(request)
    // sonobuoy's results say it themselves
    return { platform, attached: { ...attached, asked: attached.asked ?? (others.length === 0 ? only : undefined) } }
  })
}

export interface TestCluster {
  readonly release: ReleasePredicate
  readonly platform: PlatformName
  /** of this run alone, and empty */
  readonly folder: string
  readonly target: TestTarget
  /** absent: the cluster is somebody's */
  readonly local?: LocalCluster
  readonly ports: ReleasePorts
}

export interface LocalCluster {
  readonly node: ReleaseNode
  readonly tests: TestImages
}

/** What a cluster that is made here needs. */
export interface LocalNeeds {
  /** components of the test images; all of them unless told */
  readonly tests?: readonly string[]
  /** components of the release besides the node's; those that it has */
  readonly release?: readonly string[]
}

/** `use` ends the target. */
export async function withCluster<T>(
  context: CliContext,
  request: ClusterRequest,
  needs: LocalNeeds,
  use: (cluster: TestCluster) => Promise<T>,
): Promise<T> {
  const architecture = hostArchitecture(context.host)
  const platform: PlatformName = request.platform ?? `linux/${architecture}`
  // nothing of a release runs before its signatures have been looked at
  const release = await checkedRelease(request.folder, request.key)
  const inputs = await readInputs(join(context.cwd, testProject), release.version, { platforms: [platform] })
  const world = await openWorld(
    context,
    planOf(inputs),
    inputs.lock,
    listDigest(inputs.pipelines.upstream),
    request.kubeconfig === undefined ? { userland: architecture } : {},
  )
  const scratch = workDirOf(context)
  await mkdir(scratch, { recursive: true })
  const folder = await mkdtemp(join(scratch, 'test-'))
  try {
    return await withPorts(context, world, async (ports) => {
      const { kubeconfig } = request
      if (kubeconfig !== undefined) return await use({ release, platform, folder, target: givenTarget(kubeconfig, ports), ports })
      const plan = planOf(inputs, world.lock)
      await preflight({ plan, env: context.env, writes: [context.storeDir], workDir: scratch, host: architecture })
      const local = {
        node: await releaseNode(request.folder, release, platform),
        tests: await testImages(plan, ports, needs.tests),
      }
      const besides = (needs.release ?? []).flatMap((component) => local.node.image(component) ?? [])
      const target = await startHere(context, request, platform, local, besides, ports)
      return await use({ release, platform, folder, target, local, ports })
    })
  } finally {
    await world.close()
    await rm(folder, { recursive: true, force: true })
  }
}

async function startHere(
  context: CliContext,
  request: ClusterRequest,
  platform: PlatformName,
  { node, tests }: LocalCluster,
  besides: readonly NodeImage[],
  ports: ReleasePorts,
): Promise<TestTarget> {
  const more = (await Promise.all(request.load.map(namedImages))).flat()
  return await startNode(context, platform, node, [...node.images, ...besides, ...tests.images, ...more], ports)
}

/** A node of the release with these images, in namespaces of its own. */
export async function startNode(
  context: CliContext,
  platform: PlatformName,
  node: ReleaseNode,
  images: readonly NodeImage[],
  ports: ReleasePorts,
): Promise<TestTarget> {
  return await localTarget({
    clusters: join(workDirOf(context), 'clusters'),
    putPrograms: (into) => node.put(into),
    platform,
    images,
    pause: node.pause,
    dns: node.dns,
    env: ports.env,
    signal: ports.signal,
    diagnostics: join(context.storeDir, 'logs', 'cluster'),
    say: (what) => ports.listener({ kind: 'note', message: `cluster: ${what}`, at: 0 }),
  })
}

/** What of this machine and of the tests took part. */
export function told(local: LocalCluster | undefined): { programs: Readonly<Record<string, string>>; standIns: readonly string[] } {
  return local === undefined ? { programs: {}, standIns: [] } : { programs: local.node.programs, standIns: local.tests.standIns }
}

function testedImages({ names }: TestImages): DriverRequest['images'] {
  const busybox = names.get('busybox')
  return { conformance: names.get('conformance') ?? '', ...(busybox === undefined ? {} : { busybox }) }
}

async function namedImages(folder: string): Promise<NodeImage[]> {
  const from = await openLayout(folder)
  return (await from.entries()).flatMap(({ annotations, ...target }) => {
    const name = annotations?.[annotationKeys.refName]
    return name === undefined ? [] : [{ names: [name], target, from }]
  })
}

/** Of the version without RFO's part, as Kubernetes publishes it. */
function upstreamImages(release: ReleasePredicate): DriverRequest['images'] {
  return { conformance: `registry.k8s.io/conformance:${release.version.replace(/\+.*$/, '')}` }
}

function runsOf({ suite, focus, skip, procs }: ClusterTestRequest): readonly SuiteRun[] {
  if (focus !== undefined) return [{ name: 'focus', focus, skip: skip ?? '', procs }]
  const runs = suiteRuns(suite, procs)
  const without = (before: string): string => [before, skip ?? ''].filter((each) => each !== '').join('|')
  return runs.map((run) => ({ ...run, skip: without(run.skip) }))
}
