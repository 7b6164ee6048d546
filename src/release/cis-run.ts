/** Has kube-bench look at the node of a cluster, counts what it found, and keeps it with a report. Whatever happens the cluster is ended. */
import { join } from 'node:path'
import type { ReleasePredicate } from '../attest/release.ts'
import { readCis } from '../conformance/cis.ts'
import { type CisVerdict, cisReport, cisVerdict } from '../conformance/cis-verdict.ts'
import { type KubeBench, kubeBenchFacts, runKubeBench } from '../conformance/kube-bench.ts'
import { packTexts } from '../conformance/pack.ts'
import type { Excused } from '../conformance/verdict.ts'
import { RfoError } from '../error.ts'
import type { Json } from '../oci/json.ts'
import type { PlatformName } from '../oci/platform.ts'
import { cisPlan } from '../plan/cis-profile.ts'
import type { FileText } from '../plan/pipelines.ts'
import { clusterFacts, factsJson, refuseOtherImages } from './cluster-facts.ts'
import type { ReleasePorts } from './ports.ts'
import type { TestTarget } from './test-target.ts'

export interface CisRunRequest extends KubeBench {
  readonly release: ReleasePredicate
  readonly platform: PlatformName
  /** conformance/cis.yaml */
  readonly profile: FileText
  /** failures that are known on this platform, and the day that counts, `2026-11-23` */
  readonly excused: readonly Excused[]
  readonly today: string
  readonly seconds: number
  /** component → digest of the image that programs of the node came out of */
  readonly programs: Readonly<Record<string, string>>
}

export interface CisRun {
  readonly verdict: CisVerdict
  /** a file in `folder` */
  readonly results: string
  /** of the cluster */
  readonly facts: Json
  /** which kube-bench it was */
  readonly judge: Json
}

/** `folder` is the run's own and empty. `start` is called when all else is there. */
export async function runCis(
  request: CisRunRequest,
  start: () => Promise<TestTarget>,
  folder: string,
  ports: Pick<ReleasePorts, 'listener' | 'signal'>,
): Promise<CisRun> {
  const { release, platform, profile, excused, today } = request
  const plan = cisPlan(profile, release.version)
  const judge = await kubeBenchFacts(request, plan.benchmark)
  const target = await start()
  try {
    const { folders } = target
    if (folders === undefined) throw new RfoError('RFO_TEST_NODE', 'kube-bench looks at the node itself', { exit: 'usage' })
    const found = await clusterFacts(target, release, ports.signal)
    refuseOtherImages(found, release, platform)
    ports.listener({ kind: 'note', message: `kube-bench: ${plan.benchmark}`, at: 0 })
    const json = await runKubeBench({ ...request, plan, folders }, { exec: target.exec, workDir: folder, signal: ports.signal })
    const verdict = cisVerdict(readCis(json, plan.benchmark), plan, excused, today)
    const facts = factsJson(found, { programs: { ...request.programs } })
    const results = join(folder, 'results.tar.gz')
    await packTexts(
      results,
      { 'profile.yaml': profile.text, 'kube-bench.json': json, 'report.txt': cisReport(verdict, `${release.version}, ${platform}`) },
      { serverVersion: { ...found.server }, facts },
    )
    return { verdict, results, facts, judge }
  } catch (thrown) {
    if (!ports.signal.aborted) await target.diagnose()
    throw thrown
  } finally {
    await target.stop()
  }
}
