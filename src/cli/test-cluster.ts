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
import { releaseNode } from '../release/node.ts'
import type { ReleasePorts } from '../release/ports.ts'
import { onPath, preflight } from '../release/preflight.ts'
import { testImages } from '../release/test-images.ts'
import { runSuite } from '../release/test-run.ts'
import { givenTarget, localTarget, type TestTarget } from '../release/test-target.ts'
import type { SigningKey } from '../sign/key.ts'
import type { CliContext } from './context.ts'
import { hostArchitecture } from './host.ts'
import { openWorld, withPorts, workDirOf } from './world.ts'

export interface ClusterTestRequest {
  readonly folder: string
  readonly key: SigningKey
  /** absent: a cluster is made here */
  readonly kubeconfig?: string
  /** absent: this machine's */
  readonly platform?: PlatformName
  readonly suite: SuiteName
  readonly driver: DriverName
  /** OCI layouts: images that the driver needs, under the names that the layouts give them */
  readonly load: readonly string[]
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
  const architecture = hostArchitecture(context.host)
  const platform: PlatformName = request.platform ?? `linux/${architecture}`
  // nothing of a release runs before its signatures have been looked at
  const release = await checkedRelease(request.folder, request.key)
  const driver = drivers[request.driver]
  if (!(await onPath(driver.name, context.env)))
    throw new RfoError('RFO_TEST_DRIVER', `no program ${driver.name} on the PATH`, { exit: 'machine', next: installed[driver.name] })
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
    const attached = await withPorts(context, world, async (ports) => {
      const plan = planOf(inputs, world.lock)
      if (request.kubeconfig === undefined)
        await preflight({ plan, env: context.env, writes: [context.storeDir], workDir: scratch, host: architecture })
      const { target, images, programs, standIns } =
        request.kubeconfig === undefined
          ? await local(context, release, request, platform, plan, ports)
          : { target: givenTarget(request.kubeconfig, ports), images: upstreamImages(release), programs: {}, standIns: [] }
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
      return { ...attached, asked: attached.asked ?? (others.length === 0 ? only : undefined) }
    })
    return { platform, attached }
  } finally {
    await world.close()
    await rm(folder, { recursive: true, force: true })
  }
}

async function local(
  context: CliContext,
  release: ReleasePredicate,
  request: ClusterTestRequest,
  platform: PlatformName,
  plan: Parameters<typeof testImages>[0],
  ports: ReleasePorts,
): Promise<{
  target: TestTarget
  images: DriverRequest['images']
  programs: Readonly<Record<string, string>>
  standIns: readonly string[]
}> {
  const node = await releaseNode(request.folder, release, platform)
  const tests = await testImages(plan, ports)
  const target = await localTarget({
    clusters: join(workDirOf(context), 'clusters'),
    putPrograms: (into) => node.put(into),
    platform,
    images: [...node.images, ...tests.images, ...(await Promise.all(request.load.map(namedImages))).flat()],
    pause: node.pause,
    dns: node.dns,
    env: ports.env,
    signal: ports.signal,
    diagnostics: join(context.storeDir, 'logs', 'cluster'),
    say: (what) => ports.listener({ kind: 'note', message: `cluster: ${what}`, at: 0 }),
  })
  const busybox = tests.names.get('busybox')
  return {
    target,
    programs: node.programs,
    standIns: tests.standIns,
    images: { conformance: tests.names.get('conformance') ?? '', ...(busybox === undefined ? {} : { busybox }) },
  }
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
