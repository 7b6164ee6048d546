/** `test --suite cis`: kube-bench looks at a node made of the release; what it found is attached. */
import { access, mkdir, mkdtemp, realpath, rm } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { type CisVerdict, cisCounted } from '../conformance/cis-verdict.ts'
import type { KubeBench } from '../conformance/kube-bench.ts'
import { testPredicate } from '../conformance/statement.ts'
import { RfoError } from '../error.ts'
import type { Digest } from '../oci/digest.ts'
import type { PlatformName } from '../oci/platform.ts'
import { type AttachTestRequest, attachEvidence, checkedRelease } from '../release/attach-test.ts'
import { runCis } from '../release/cis-run.ts'
import { required } from '../release/inputs.ts'
import { releaseNode } from '../release/node.ts'
import type { TestTarget } from '../release/test-target.ts'
import type { SigningKey } from '../sign/key.ts'
import type { CliContext } from './context.ts'
import { hostArchitecture } from './host.ts'
import { startNode } from './test-cluster.ts'
import type { Outcome } from './verb.ts'
import { word } from './words.ts'
import { localWorld, withPorts, workDirOf } from './world.ts'

export interface CisTestRequest {
  readonly folder: string
  readonly key: SigningKey
  readonly excused: NonNullable<AttachTestRequest['excused']>
  /** kube-bench's folder cfg; absent: where it is installed */
  readonly benchmarks?: string
  readonly minutes: number
}

export interface AttachedCis {
  readonly platform: PlatformName
  readonly verdict: CisVerdict
  /** of the statement */
  readonly digest: Digest
}

export async function testCis(context: CliContext, request: CisTestRequest): Promise<AttachedCis> {
  const platform: PlatformName = `linux/${hostArchitecture(context.host)}`
  // nothing of a release runs before its signatures have been looked at
  const release = await checkedRelease(request.folder, request.key)
  const kubeBench = await findKubeBench(context.env, request.benchmarks)
  const profile = await required(context.cwd, 'conformance/cis.yaml')
  const node = await releaseNode(request.folder, release, platform)
  const scratch = workDirOf(context)
  await mkdir(scratch, { recursive: true })
  const folder = await mkdtemp(join(scratch, 'test-'))
  const { knownFailures, today } = request.excused
  const excused = knownFailures.filter(({ platforms }) => platforms?.includes(platform) !== false)
  try {
    return await withPorts(context, localWorld(context), async (ports) => {
      const start = (): Promise<TestTarget> => startNode(context, platform, node, node.images, ports)
      const { verdict, results, facts, judge } = await runCis(
        { ...kubeBench, release, platform, profile, excused, today, seconds: request.minutes * 60, programs: node.programs },
        start,
        folder,
        ports,
      )
      const { digest } = await attachEvidence({
        folder: request.folder,
        platform,
        kind: 'cis',
        release,
        results,
        key: request.key,
        predicate: (named) =>
          testPredicate(cisCounted(verdict, judge), { platform, version: release.version, results: named, cluster: facts }),
      })
      return { platform, verdict, digest }
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

export function cisOutcome(context: CliContext, { platform, verdict, digest }: AttachedCis): Outcome {
  const { benchmark, counts, checks, failures, result } = verdict
  const failure = new RfoError('RFO_TEST_FAILED', `${failures.length} of ${counts.passed + counts.failed} checks failed`, {
    exit: 'build',
    where: platform,
    next: 'read report.txt in the results, mend it, and test again',
    details: failures.slice(0, 20).map((each) => `${each.number} ${each.text}`),
  })
  return {
    text: word(context.lang, 'testCisTold', { platform, benchmark, ...counts, digest }),
    json: { platform, benchmark, ...counts, result, statement: digest, checks: checks.map((each) => ({ ...each })) },
    ...(result === 'FAILED' ? { failures: [failure] } : {}),
  }
}

/** Where its packages put it: https://github.com/aquasecurity/kube-bench/blob/v0.12.0/.goreleaser.yml */
const packaged = '/etc/kube-bench/cfg'

/** The first kube-bench of the PATH; its benchmarks lie beside it, as in its archive, or where its packages put them. */
export async function findKubeBench(env: Readonly<Record<string, string>>, benchmarks?: string): Promise<KubeBench> {
  for (const each of (env.PATH ?? '').split(delimiter)) {
    const program = each === '' ? undefined : await realpath(join(each, 'kube-bench')).catch(() => undefined)
    if (program === undefined) continue
    const folders = benchmarks === undefined ? [join(dirname(program), 'cfg'), packaged] : [benchmarks]
    for (const folder of folders) if (await isThere(folder)) return { program, benchmarks: folder }
    throw new RfoError('RFO_TEST_DRIVER', `kube-bench's benchmarks are not in ${folders.join(' or ')}`, {
      exit: 'machine',
      where: program,
      next: 'put its folder cfg beside it, or name it with --benchmarks',
    })
  }
  throw new RfoError('RFO_TEST_DRIVER', 'no program kube-bench on the PATH', {
    exit: 'machine',
    next: 'install kube-bench: https://github.com/aquasecurity/kube-bench/releases',
  })
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
