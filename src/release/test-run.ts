/** Runs a suite in a cluster: images looked at, runs driven, results packed, and whatever happens the cluster is ended. */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { ReleasePredicate } from '../attest/release.ts'
import type { Driver } from '../conformance/driver.ts'
import { packResults, type RunResult } from '../conformance/pack.ts'
import type { SuiteRun } from '../conformance/suite.ts'
import type { Json } from '../oci/json.ts'
import type { PlatformName } from '../oci/platform.ts'
import { clusterFacts, factsJson, refuseOtherImages } from './cluster-facts.ts'
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

/** `folder` is the run's own and empty. Ends the target. */
export async function runSuite(
  request: TestRunRequest,
  target: TestTarget,
  folder: string,
  ports: Pick<ReleasePorts, 'listener' | 'signal'>,
): Promise<TestRunResult> {
  const note = (message: string): void => ports.listener({ kind: 'note', message, at: 0 })
  try {
    const facts = await clusterFacts(target, request.release, ports.signal)
    refuseOtherImages(facts, request.release, request.platform)
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
  } catch (thrown) {
    // whoever interrupts it does not ask why it failed
    if (!ports.signal.aborted) await target.diagnose()
    throw thrown
  } finally {
    await target.stop()
  }
}
