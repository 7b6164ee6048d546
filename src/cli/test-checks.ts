/** `test --suite checks`: what the conformance suite does not ask, in a cluster of the release or one that is given. */
import type { Outcomes } from '../conformance/checks/outcome.ts'
import { RfoError } from '../error.ts'
import type { PlatformName } from '../oci/platform.ts'
import { type AttachedChecks, attachChecks } from '../release/attach-test.ts'
import { type CheckRunRequest, runAllChecks } from '../release/test-run.ts'
import type { CliContext } from './context.ts'
import { type ClusterRequest, type LocalCluster, told, withCluster } from './test-cluster.ts'
import type { Outcome } from './verb.ts'
import { word } from './words.ts'

interface Checked {
  readonly platform: PlatformName
  readonly attached: AttachedChecks
}

/** for each step of a check */
const seconds = 120
const helmJob = 'klipper-helm'
export const checkNeeds = { tests: ['busybox', helmJob], release: ['helm-controller', helmJob] } as const

export async function checksInCluster(context: CliContext, request: ClusterRequest): Promise<Checked> {
  return await withCluster(context, request, checkNeeds, async ({ release, platform, folder, target, local, ports }) => {
    const { programs, standIns } = told(local)
    const { results, facts } = await runAllChecks(
      {
        release,
        platform,
        seconds,
        programs,
        ...(local === undefined ? { images: {}, standIns } : { ...imagesOf(local), standIns: [...standIns, ...ownHelm(local)] }),
      },
      target,
      folder,
      ports,
    )
    const { folder: at, key } = request
    return { platform, attached: await attachChecks({ folder: at, platform, results, cluster: facts, key, signal: context.signal }) }
  })
}

export function imagesOf({ node, tests }: LocalCluster): Required<Pick<CheckRunRequest, 'images' | 'nodeImages'>> {
  const named = (component: string): string | undefined => node.image(component)?.names[0]
  const controller = named('helm-controller')
  const job = named(helmJob) ?? tests.names.get(helmJob)
  return {
    images: { ...(controller === undefined ? {} : { helmController: controller }), ...(job === undefined ? {} : { helmJob: job }) },
    nodeImages: { pause: node.pause, shell: tests.names.get('busybox') ?? '' },
  }
}

function ownHelm({ node }: LocalCluster): string[] {
  return node.image(helmJob) === undefined ? [`${helmJob}: helm and a script of the tests, in place of the release’s`] : []
}

export function checksOutcome(context: CliContext, { platform, attached: { counted, outcomes, digest } }: Checked): Outcome {
  const { passed, failed, notProven } = counted
  const unproven = Object.keys(notProven).length
  return {
    text: [
      ...Object.entries(outcomes).map(([name, one]) => `${word(context.lang, words[one.result])} ${name}${whyText(one)}`),
      word(context.lang, 'testChecked', { platform, passed: passed.length, failed: failed.length, notProven: unproven, digest }),
    ].join('\n'),
    json: {
      platform,
      ran: passed.length + failed.length,
      passed: passed.length,
      failed: failed.length,
      skipped: unproven,
      known: 0,
      result: counted.result,
      statement: digest,
      notProven: { ...notProven },
    },
    failures: Object.entries(outcomes).flatMap(([name, one]) => (one.result === 'failed' ? [failure(platform, name, one)] : [])),
  }
}

const words = { passed: 'checkPassed', failed: 'checkFailed', 'not proven': 'checkNotProven' } as const

function whyText(outcome: Outcomes[string]): string {
  return outcome.result === 'passed' ? '' : `: ${outcome.why}`
}

function failure(platform: PlatformName, name: string, { why, excerpt }: Extract<Outcomes[string], { result: 'failed' }>): RfoError {
  return new RfoError('RFO_TEST_FAILED', `the check ${name} failed: ${why}`, {
    exit: 'build',
    where: platform,
    next: 'read the logs below .rfo/logs/cluster, mend it, and test again',
    details: excerpt,
  })
}
