/** Runs a suite or the checks in a cluster: images looked at, runs driven, results packed, and whatever happens the cluster is ended. */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { ReleasePredicate } from '../attest/release.ts'
import type { ApiPorts, CheckImages, NodePorts } from '../conformance/checks/check.ts'
import { outcomesFile } from '../conformance/checks/outcome.ts'
import { type CheckPorts, runChecks } from '../conformance/checks/run.ts'
import type { Driver } from '../conformance/driver.ts'
import { packJson, packResults, type RunResult } from '../conformance/pack.ts'
import type { SuiteRun } from '../conformance/suite.ts'
import type { Json } from '../oci/json.ts'
import type { PlatformName } from '../oci/platform.ts'
import { type ClusterFacts, clusterFacts, factsJson, refuseOtherImages } from './cluster-facts.ts'
import type { ReleasePorts } from './ports.ts'
import type { TestTarget } from './test-target.ts'

export interface TestRunRequest {
  readonly release: ReleasePredicate
  readonly platform: PlatformName
  readonly driver: Driver
  readonly runs: readonly SuiteRun[]
  /** for each run */
  readonly seconds: number
  readonly images: Parameters<Driver['run']>[0]['images']
  /** component → digest of the image that programs of the node came out of; empty = nobody looked */
  readonly programs: Readonly<Record<string, string>>
  /** of the images of the tests: what is not what their pipelines name, one phrase each */
  readonly standIns: readonly string[]
}

export interface TestRunResult {
  /** a file in `folder` */
  readonly results: string
  readonly facts: Json
}

type RunPorts = Pick<ReleasePorts, 'listener' | 'signal'>

/** `folder` is the run's own and empty. Ends the target. */
export async function runSuite(request: TestRunRequest, target: TestTarget, folder: string, ports: RunPorts): Promise<TestRunResult> {
  const note = (message: string): void => ports.listener({ kind: 'note', message, at: 0 })
  return await inCluster(request, target, ports, async (facts) => {
    const done: RunResult[] = []
    for (const run of request.runs) {
      const workDir = join(folder, run.name)
      await rm(workDir, { recursive: true, force: true })
      await mkdir(workDir, { recursive: true })
      note(`${request.driver.name}: ${run.name}`)
      const result = await request.driver.run(
        { run, images: request.images, seconds: request.seconds },
        {
          exec: target.exec,
          kubeconfig: target.kubeconfig,
          workDir,
          signal: ports.signal,
          progress: ({ total, done: specs, failed, last }) =>
            note(`${run.name}: ${specs} of ${total ?? '?'} specs, ${failed} failed${last === '' ? '' : `; ${last}`}`),
        },
      )
      done.push({ ...result, run })
    }
    const told = factsJson(facts, {
      driver: request.driver.name,
      runs: request.runs.map((run) => ({ ...run })),
      programs: { ...request.programs },
      standIns: [...request.standIns],
    })
    const results = join(folder, 'results.tar.gz')
    await packResults(results, { runs: done, serverVersion: { ...facts.server }, facts: told })
    return { results, facts: told }
  })
}

export interface CheckRunRequest extends Pick<TestRunRequest, 'release' | 'platform' | 'seconds' | 'programs' | 'standIns'> {
  readonly images: CheckImages
  /** absent: nothing is done to the node */
  readonly nodeImages?: Omit<NodePorts['images'], keyof CheckImages>
}

/** Every check that this cluster allows. `folder` is the run's own and empty. Ends the target. */
export async function runAllChecks(request: CheckRunRequest, target: TestTarget, folder: string, ports: RunPorts): Promise<TestRunResult> {
  const { images, nodeImages, seconds } = request
  return await inCluster(request, target, ports, async (facts) => {
    const exec: ApiPorts['exec'] = (argv, options = {}) => target.exec(argv, { ...options, signal: ports.signal })
    const api: ApiPorts = { exec, seconds, signal: ports.signal, images }
    const where: CheckPorts =
      target.node === undefined || nodeImages === undefined
        ? { kind: 'api', ports: api }
        : { kind: 'node', ports: { ...api, images: { ...images, ...nodeImages }, ...target.node } }
    const outcomes = await runChecks(where, (name) => ports.listener({ kind: 'note', message: `check: ${name}`, at: 0 }))
    if (Object.values(outcomes).some(({ result }) => result === 'failed')) await target.diagnose()
    const told = factsJson(facts, { programs: { ...request.programs }, standIns: [...request.standIns] })
    const results = join(folder, 'results.tar.gz')
    await packJson(results, outcomesFile, outcomes, { serverVersion: { ...facts.server }, facts: told })
    return { results, facts: told }
  })
}

/** Looks at its images first, and ends the cluster whatever happens. */
async function inCluster(
  { release, platform }: Pick<TestRunRequest, 'release' | 'platform'>,
  target: TestTarget,
  ports: RunPorts,
  use: (facts: ClusterFacts) => Promise<TestRunResult>,
): Promise<TestRunResult> {
  try {
    const facts = await clusterFacts(target, release, ports.signal)
    refuseOtherImages(facts, release, platform)
    return await use(facts)
  } catch (thrown) {
    // whoever interrupts it does not ask why it failed
    if (!ports.signal.aborted) await target.diagnose()
    throw thrown
  } finally {
    await target.stop()
  }
}
