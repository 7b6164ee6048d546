/** `release`: makes dist/<version>/, or sees that it is there already. stdout is the root digest alone. */
import { mkdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join, relative } from 'node:path'
import { RfoError } from '../error.ts'
import type { FailureMode } from '../graph/execute.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import { canonicalJson } from '../oci/json.ts'
import type { Addresses } from '../plan/addresses.ts'
import { listDigest } from '../plan/fingerprint.ts'
import type { Lock } from '../plan/lock.ts'
import type { ReleasePlan } from '../plan/release-plan.ts'
import type { ReleaseInputs } from '../release/inputs.ts'
import type { MadeRelease } from '../release/make.ts'
import type { StandInMark } from '../release/ports.ts'
import type { ReleaseKeys } from '../release/signatures.ts'
import type { CliContext } from './context.ts'
import { hostArchitecture } from './host.ts'
import { type KeyFile, readReleaseKeys, signKeyFiles } from './key-files.ts'
import { mirrorsOf } from './mirrors.ts'
import { ownDigest } from './own-digest.ts'
import { releaseSummary } from './release-text.ts'
import type { Outcome, Verb } from './verb.ts'

export const release: Verb = {
  name: 'release',
  summary: 'release',
  arguments: [{ syntax: '<version>', help: 'versionArgument' }],
  options: [{ flags: '--fail <mode>', help: 'releaseFail', choices: ['finish', 'stop', 'kill'] }],
  examples: ['release v1.24.8+rfor1 --sandbox', 'release v1.25.4+rfor1 --sign-key rfo.key'],
  async run(context, { args: [version = ''], flags }) {
    const { readInputs, planOf } = await import('../release/inputs.ts')
    const { unchanged, touched, writeStamp } = await import('../release/unchanged.ts')
    const inputs = await readInputs(context.cwd, version, context.platforms === undefined ? {} : { platforms: context.platforms })
    const keyFiles = await signKeyFiles(context)
    const planned = planOf(inputs)
    if (context.dryRun) return { text: canonicalJson(planned as never), json: { plan: planned as never } }
    const folder = join(context.outDir, inputs.version)
    const stampFile = join(context.storeDir, 'releases', `${inputs.version}.json`)
    const asked = digestOf(
      canonicalJson({
        inputs: inputs.digest,
        tool: ownDigest(),
        standIns: context.standIns,
        keys: keyFiles.map(({ text }) => digestOf(text)),
      }),
    )
    const stamp = await unchanged(stampFile, folder, asked)
    if (stamp !== undefined) return outcome(context, planned, { root: stamp.root, fingerprint: stamp.key, folder, unchanged: true })

    const world = await openWorld(context, planned, inputs.lock, listDigest(inputs.pipelines.upstream), keyFiles)
    try {
      const plan = planOf(inputs, world.lock)
      const made = await make(
        context,
        plan,
        inputs,
        world,
        (flags.text('fail') ?? 'finish') as FailureMode,
        await touched(stampFile, folder),
      )
      if (made.missing.length > 0) return candidate(context, made)
      await writeStamp(stampFile, folder, { inputs: asked, root: made.root, key: world.keys.key.publicKey.fingerprint })
      return outcome(context, plan, {
        root: made.root,
        fingerprint: world.keys.key.publicKey.fingerprint,
        folder: made.folder,
        unchanged: false,
      })
    } finally {
      await world.close()
    }
  },
}

/** Made, and no release: demanded evidence is missing. */
function candidate(context: CliContext, made: MadeRelease): Outcome {
  const folder = relative(context.cwd, made.folder)
  const next = made.missing.map((platform) => `rfo-build test ${folder} --platform ${platform} --results <tarball>`).join('; ')
  const failure = new RfoError(
    'RFO_RELEASE_CANDIDATE',
    `no passed conformance of ${made.missing.join(', ')}: what was made is a candidate`,
    {
      exit: 'undecided',
      where: folder,
      next: `${next}; then this command again`,
    },
  )
  return { text: made.root, json: { root: made.root, folder: made.folder, missing: [...made.missing] }, failures: [failure] }
}

/** Where inputs come from and who signs: the real world, or the sandbox in place of some or all of it. */
interface World {
  readonly lock: Lock
  readonly addresses: Addresses
  readonly keys: ReleaseKeys
  /** for programs and downloads */
  readonly env: Readonly<Record<string, string>>
  readonly mark?: StandInMark
  close(): Promise<void>
}

async function openWorld(context: CliContext, plan: ReleasePlan, lock: Lock, list: Digest, keyFiles: readonly KeyFile[]): Promise<World> {
  if (isReal(context)) {
    return {
      lock,
      addresses: mirrorsOf(context.env),
      keys: await readReleaseKeys(keyFiles, context.keyPassword),
      env: forChildren(context.env),
      close: async () => {},
    }
  }
  const { startSandbox } = await import('../sandbox/start.ts')
  const everything = context.standIns === 'all'
  const sandbox = await startSandbox({
    plan,
    kinds: new Set(context.standIns === 'all' ? [] : context.standIns),
    everything,
    lock,
    list,
    stateDir: context.storeDir,
  })
  const { privatePem, sm2Pem, pgpText } = sandbox.key
  const inSandbox = (text: string): KeyFile => ({ file: 'the sandbox’s key', text })
  const own = await readReleaseKeys([privatePem, sm2Pem, pgpText].map(inSandbox), undefined)
  const what = everything ? 'every input' : `these kinds of input: ${(context.standIns as readonly string[]).join(', ')}`
  return {
    lock: sandbox.lock,
    addresses: { ...mirrorsOf(context.env), ...sandbox.addresses },
    env: besideProxy(forChildren(context.env)),
    keys: keyFiles.length === 0 ? own : await readReleaseKeys(keyFiles, context.keyPassword),
    mark: {
      file: 'SANDBOX',
      text: `This release was made in a sandbox: stand-ins took the place of ${what}.\nIt is not for use. evidence/release.json names each stand-in.\n`,
      keyFingerprint: own.key.publicKey.fingerprint,
    },
    close: () => sandbox.close(),
  }
}

/** What no compiler and no git needs to know: it leaves the environment before the first child starts. */
const secretNames: readonly string[] = ['RFO_SIGN_KEY', 'RFO_KEY_PASSWORD', 'COSIGN_PASSWORD', 'GITHUB_TOKEN', 'GH_TOKEN']

function forChildren(env: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !secretNames.includes(name)))
}

/** A proxy doesn't reach this machine's loopback. */
function besideProxy(env: Readonly<Record<string, string>>): Record<string, string> {
  const except = [env.NO_PROXY ?? env.no_proxy, '127.0.0.1'].filter((part) => part !== undefined && part !== '').join(',')
  return { ...env, NO_PROXY: except, no_proxy: except }
}

function isReal(context: CliContext): boolean {
  return context.standIns !== 'all' && context.standIns.length === 0
}

async function make(
  context: CliContext,
  plan: ReleasePlan,
  inputs: ReleaseInputs,
  world: World,
  failureMode: FailureMode,
  changed: readonly string[],
) {
  const { preflight } = await import('../release/preflight.ts')
  const { makeRelease } = await import('../release/make.ts')
  const { dropChangedBlobs } = await import('../release/repair.ts')
  const { openDirectoryStore } = await import('../content/directory.ts')
  const { dockerCredentials } = await import('../content/credentials.ts')
  const { createRegistrySession } = await import('../content/registry.ts')
  const { renderer } = await import('../report/renderer.ts')
  const { fileLogs } = await import('../report/logs.ts')
  const { renderLock } = await import('../plan/lock-text.ts')
  await preflight({ plan, env: context.env, writes: [context.storeDir, context.outDir], host: hostArchitecture(context.host) })
  const workDir = join(context.storeDir, 'work')
  await mkdir(workDir, { recursive: true })
  const store = await openDirectoryStore(context.storeDir)
  await dropChangedBlobs(join(context.outDir, plan.version), changed, store)
  const secrets = [context.keyPassword].filter((secret) => secret !== undefined)
  const progress = renderer(context.progress, {
    ...context.stderr,
    stderr: context.stderr.stream,
    isTTY: context.stderr.isTTY,
    env: context.env,
    lang: context.lang,
    secrets,
  })
  try {
    const locked = world.lock.releases[plan.version]
    return await makeRelease(
      {
        plan,
        lockText: renderLock({ ...world.lock, releases: locked === undefined ? {} : { [plan.version]: locked } }),
        bundle: inputs.bundle,
        installer: inputs.installer,
        verifier: inputs.verifier,
        ...world.keys,
        ...(world.mark === undefined ? {} : { mark: world.mark }),
        failureMode,
        outDir: context.outDir,
        toolVersion: context.toolVersion,
      },
      {
        store,
        logs: fileLogs(join(context.storeDir, 'logs'), secrets),
        workDir,
        env: world.env,
        addresses: world.addresses,
        registries: createRegistrySession({ credentials: dockerCredentials(context.env), proxy: world.env }),
        listener: progress.listener,
        now: context.now,
        signal: context.signal,
        lanes: { cpu: availableParallelism(), network: 8, cluster: 1 },
      },
    )
  } finally {
    await progress.end()
  }
}

function outcome(
  context: CliContext,
  plan: ReleasePlan,
  made: { root: string; fingerprint: string; folder: string; unchanged: boolean },
): Outcome {
  const standIns = context.standIns === 'all' ? 'all' : [...context.standIns]
  const folder = relative(context.cwd, made.folder) || '.'
  const publicKey =
    isReal(context) || context.signKeys.length > 0
      ? `${folder}/trust/cosign.pub`
      : relative(context.cwd, join(context.storeDir, 'sandbox', 'cosign.pub'))
  if (context.progress !== 'none' && context.progress !== 'json') {
    context.stderr.write(releaseSummary({ plan, ...made, folder, publicKey, standIns }, context.lang))
  }
  return {
    text: made.root,
    json: {
      version: plan.version,
      root: made.root,
      fingerprint: made.fingerprint,
      folder: made.folder,
      unchanged: made.unchanged,
      standIns,
    },
  }
}
