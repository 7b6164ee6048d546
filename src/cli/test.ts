/** `test`: runs conformance tests or checks, or takes their results, and binds them, counted and signed, to the digests of a release. */
import { access } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { driverNames } from '../conformance/driver.ts'
import { suiteNames } from '../conformance/suite.ts'
import { RfoError } from '../error.ts'
import type { PlatformName } from '../oci/platform.ts'
import type { AttachedTest } from '../release/attach-test.ts'
import type { SigningKey } from '../sign/key.ts'
import type { CliContext } from './context.ts'
import { isKeyless } from './keyless.ts'
import { isVersion, releaseFolder } from './target.ts'
import type { ClusterRequest, ClusterTestRequest } from './test-cluster.ts'
import { today } from './today.ts'
import type { Flags, Outcome, Verb } from './verb.ts'
import { word } from './words.ts'

/** Not of the e2e suite: a kind of its own. */
const checksSuite = 'checks'

export const test: Verb = {
  name: 'test',
  summary: 'test',
  arguments: [{ syntax: '<release>', help: 'releaseArgument' }],
  options: [
    { flags: '--cluster <kind>', help: 'testCluster', choices: ['local'] },
    { flags: '--kubeconfig <file>', help: 'testKubeconfig', completes: 'file' },
    { flags: '--results <tarball>', help: 'testResults', completes: 'file' },
    { flags: '--suite <name>', help: 'testSuite', choices: [...suiteNames, checksSuite, 'cis'] },
    { flags: '--driver <name>', help: 'testDriver', choices: driverNames },
    { flags: '--benchmarks <folder>', help: 'testBenchmarks', completes: 'directory' },
    { flags: '--load <layout>', help: 'testLoad', repeatable: true, completes: 'directory' },
    { flags: '--focus <regexp>', help: 'testFocus' },
    { flags: '--skip <regexp>', help: 'testSkip' },
    { flags: '--procs <n>', help: 'testProcs' },
    { flags: '--timeout <minutes>', help: 'testTimeout' },
    { flags: '--submission <folder>', help: 'testSubmission', completes: 'directory' },
  ],
  examples: [
    'test v1.25.4+rfor1 --cluster local --suite conformance',
    'test v1.25.4+rfor1 --cluster local --suite checks',
    'test v1.25.4+rfor1 --cluster local --suite cis',
    'test v1.24.8+rfor1 --platform amd64 --kubeconfig admin.kubeconfig --suite certified-conformance',
    'test v1.24.8+rfor1 --platform amd64 --results 202211151200_sonobuoy.tar.gz',
  ],
  async run(context, { args: [target = ''], flags }) {
    const given = (['cluster', 'kubeconfig', 'results'] as const).filter((name) => flags.text(name) !== undefined)
    if (given.length !== 1)
      throw usage(given.length === 0 ? 'no --cluster, --kubeconfig or --results' : `--${given.join(' and --')} at once`)
    refuseOthers(flags)
    const folder = await folderOf(context, target)
    const key = await keyFor(context)
    if (flags.text('suite') === checksSuite) return await runChecks(context, flags, folder, key)
    if (flags.text('suite') === 'cis') return await lookAt(context, flags, folder, key)
    const { platform, attached } =
      given[0] === 'results' ? await take(context, flags, folder, key) : await runIn(context, flags, folder, key)
    const submission = flags.text('submission')
    if (submission !== undefined) await submit(context, resolve(context.cwd, submission), platform, attached)
    return outcome(context, platform, attached)
  },
}

const ofTheSuite = ['driver', 'focus', 'skip', 'procs', 'timeout', 'submission'] as const

async function runChecks(context: CliContext, flags: Flags, folder: string, key: SigningKey): Promise<Outcome> {
  const foreign = ofTheSuite.find((name) => flags.text(name) !== undefined)
  if (foreign !== undefined) throw usage(`--${foreign} is of conformance suites, not of checks`)
  const { checksInCluster, checksOutcome } = await import('./test-checks.ts')
  const results = flags.text('results')
  if (results === undefined) return checksOutcome(context, await checksInCluster(context, where(context, flags, folder, key)))
  const { attachChecks } = await import('../release/attach-test.ts')
  const platform = onePlatform(context)
  const attached = await attachChecks({ folder, platform, results: resolve(context.cwd, results), key, signal: context.signal })
  return checksOutcome(context, { platform, attached })
}

/** A local cluster is of this machine's architecture, somebody else's is not ours to guess. */
function where(context: CliContext, flags: Flags, folder: string, key: SigningKey): ClusterRequest {
  const kubeconfig = flags.text('kubeconfig')
  return {
    folder,
    key,
    ...(kubeconfig === undefined ? {} : { kubeconfig: resolve(context.cwd, kubeconfig), platform: onePlatform(context) }),
    load: (flags.list('load') ?? []).map((each) => resolve(context.cwd, each)),
  }
}

interface Tested {
  readonly platform: PlatformName
  readonly attached: AttachedTest
}

async function take(context: CliContext, flags: Flags, folder: string, key: SigningKey): Promise<Tested> {
  const { attachTest } = await import('../release/attach-test.ts')
  const platform = onePlatform(context)
  const results = resolve(context.cwd, flags.text('results') ?? '')
  const excused = await excusedBy(context)
  return { platform, attached: await attachTest({ folder, platform, results, excused, key, signal: context.signal }) }
}

async function runIn(context: CliContext, flags: Flags, folder: string, key: SigningKey): Promise<Tested> {
  const { testInCluster } = await import('./test-cluster.ts')
  return await testInCluster(context, {
    ...where(context, flags, folder, key),
    excused: await excusedBy(context),
    suite: suiteNames.find((name) => name === flags.text('suite')) ?? 'quick',
    driver: driverNames.find((name) => name === flags.text('driver')) ?? 'hydrophone',
    focus: flags.text('focus'),
    skip: flags.text('skip'),
    procs: number(flags, 'procs', 4, 64),
    minutes: number(flags, 'timeout', 120, 24 * 60),
  })
}

/** What says nothing to kube-bench, and what says nothing to anybody else. */
const notForCis = ['kubeconfig', 'results', 'driver', 'load', 'focus', 'skip', 'procs', 'submission']

function refuseOthers(flags: Flags): void {
  const cis = flags.text('suite') === 'cis'
  const given = (cis ? notForCis : ['benchmarks']).find((name) => (name === 'load' ? flags.list(name) : flags.text(name)) !== undefined)
  if (given === undefined) return
  throw usage(cis ? `--suite cis takes no --${given}: it looks at the node of --cluster local` : `--${given} is for --suite cis`)
}

async function lookAt(context: CliContext, flags: Flags, folder: string, key: SigningKey): Promise<Outcome> {
  const { testCis, cisOutcome } = await import('./test-cis.ts')
  const benchmarks = flags.text('benchmarks')
  const request = {
    folder,
    key,
    excused: await excusedBy(context),
    minutes: number(flags, 'timeout', 120, 24 * 60),
    ...(benchmarks === undefined ? {} : { benchmarks: resolve(context.cwd, benchmarks) }),
  }
  return cisOutcome(context, await testCis(context, request))
}

async function submit(context: CliContext, folder: string, platform: PlatformName, attached: AttachedTest): Promise<void> {
  const { readReleaseFile } = await import('../release/inputs.ts')
  const { writeSubmission } = await import('../release/submission.ts')
  await writeSubmission({ folder, platform, ...attached, product: await readReleaseFile(context.cwd), signal: context.signal })
}

/** What the project excuses today. */
async function excusedBy(context: CliContext): Promise<ClusterTestRequest['excused']> {
  const { knownFailures } = await import('../release/inputs.ts')
  const day = today(context)
  return { knownFailures: await knownFailures(context.cwd), today: `${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6)}` }
}

function onePlatform(context: CliContext): PlatformName {
  const [platform, ...more] = context.platforms ?? []
  if (platform === undefined || more.length > 0) throw usage('results are of one --platform')
  return platform
}

function number(flags: Flags, name: string, absent: number, most: number): number {
  const text = flags.text(name)
  if (text === undefined) return absent
  const value = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (value < 1 || value > most) throw usage(`--${name} is a number from 1 to ${most}`)
  return value
}

function usage(what: string): RfoError {
  return new RfoError('RFO_CLI_USAGE', what, { exit: 'usage', next: 'rfo-build test --help' })
}

function outcome(context: CliContext, platform: PlatformName, { verdict, digest }: AttachedTest): Outcome {
  const { ran, passed, failed, skipped, known } = verdict
  const unknown = failed - known.length
  const failure = new RfoError('RFO_TEST_FAILED', unknown === 0 ? verdict.why.join('; ') : `${unknown} of ${ran} tests failed`, {
    exit: 'build',
    where: platform,
    next: 'read e2e.log in the results, mend it, and test again',
    details: verdict.failures.slice(0, 20),
  })
  return {
    text: word(context.lang, 'testTold', { platform, ran, passed, failed, skipped, digest }),
    json: { platform, ran, passed, failed, skipped, known: known.length, result: verdict.result, statement: digest },
    ...(verdict.result === 'FAILED' ? { failures: [failure] } : {}),
  }
}

/** A version means its release, or its candidate while there is no release. */
async function folderOf(context: CliContext, target: string): Promise<string> {
  const release = releaseFolder(context, target)
  if (!isVersion(target)) return release
  return await access(release).then(
    () => release,
    () => `${release}.candidate`,
  )
}

/** --sign-key; else the sandbox's own key, which signs only what the sandbox made. */
async function keyFor(context: CliContext): Promise<SigningKey> {
  const { readReleaseKeys, signKeyFiles } = await import('./key-files.ts')
  const own = join(context.storeDir, 'sandbox', 'cosign.key')
  const files = await signKeyFiles(context.signKeys.every(isKeyless) ? { ...context, signKeys: [own] } : context)
  return (await readReleaseKeys(files, context.keyPassword)).key
}
