/** `release`: makes dist/<version>/, or sees that it is there already. stdout is the root digest alone. */
import { join, relative } from 'node:path'
import { RfoError } from '../error.ts'
import type { FailureMode } from '../graph/execute.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import type { Bundle } from '../plan/bundle.ts'
import { listDigest } from '../plan/fingerprint.ts'
import type { ReleasePlan } from '../plan/release-plan.ts'
import { testCommand } from '../plan/test-kind.ts'
import type { ReleaseInputs } from '../release/inputs.ts'
import type { MadeRelease } from '../release/make.ts'
import type { ReleaseKeys } from '../release/signatures.ts'
import { type RpmBackend, rpmBackends } from '../rpm/backend.ts'
import type { CliContext } from './context.ts'
import { hostArchitecture } from './host.ts'
import { readReleaseKeys, signKeyFiles } from './key-files.ts'
import { isKeyless, readKeylessSigner } from './keyless.ts'
import { caOption } from './options.ts'
import { ownDigest } from './own-digest.ts'
import { releaseSummary } from './release-text.ts'
import { projectTrust, refuseUnnamed } from './release-trust.ts'
import { moment } from './today.ts'
import type { Outcome, Verb } from './verb.ts'
import { isReal, openWorld, type World, withPorts, workDirOf } from './world.ts'

/** A job of GitHub Actions that signs as itself, besides the release's key. */
const keylessExample =
  "release v1.25.4+rfor1 --sign-key rfo.key --sign-key 'keyless:?identity=https://github.com/rfolabs/rfo/.github/workflows/release.yml@refs/heads/main&issuer=https://token.actions.githubusercontent.com&signing-config=signing.json&trusted-root=root.json'"

export const release: Verb = {
  name: 'release',
  summary: 'release',
  arguments: [{ syntax: '<version>', help: 'versionArgument' }],
  options: [
    { flags: '--unsigned', help: 'releaseUnsigned' },
    { flags: '--rpm-backend <program>', help: 'releaseRpmBackend', choices: rpmBackends },
    { flags: '--fail <mode>', help: 'releaseFail', choices: ['finish', 'stop', 'kill'] },
    caOption,
  ],
  examples: [
    'release v1.24.8+rfor1 --sandbox',
    'release v1.25.4+rfor1 --sign-key rfo.key',
    'release v1.25.4+rfor1 --unsigned',
    'release v1.24.8+rfor1 --sandbox --rpm-backend rpmbuild',
    keylessExample,
  ],
  async run(context, { args: [version = ''], flags }) {
    const { bundleOf, readInputs, planOf } = await import('../release/inputs.ts')
    const inputs = await readInputs(context.cwd, version, context.platforms === undefined ? {} : { platforms: context.platforms })
    const asked: Asked = {
      inputs: { ...inputs, bundle: bundleOf(context.cwd, inputs) },
      planned: planOf(inputs),
      failureMode: (flags.text('fail') ?? 'finish') as FailureMode,
      rpmBackend: (flags.text('rpmBackend') ?? 'embedded') as RpmBackend,
    }
    return flags.on('unsigned') ? await releaseUnsigned(context, asked) : await releaseSigned(context, asked)
  },
}

interface Asked {
  readonly inputs: ReleaseInputs & { readonly bundle: Bundle }
  /** by the project's own lock */
  readonly planned: ReleasePlan
  readonly failureMode: FailureMode
  readonly rpmBackend: RpmBackend
}

/** Reads no key and asks for none. */
async function releaseUnsigned(context: CliContext, asked: Asked): Promise<Outcome> {
  const { inputs, planned, rpmBackend } = asked
  const { unsignedName } = await import('../release/unsigned.ts')
  if (context.dryRun) return planOutcome(planned)
  const place = await placeOf(context, unsignedName(inputs.version), inputs, { unsigned: true, ...backendKey(asked) })
  const { folder, stamp } = place
  if (stamp !== undefined)
    return unsignedOutcome(context, planned.version, { root: stamp.root, unsigned: stamp.key, folder, unchanged: true, rpmBackend })
  return await inWorld(context, inputs, planned, async (world, plan) => {
    const made = await make(context, plan, asked, world, undefined, await place.touched())
    const { root, unsigned = '' } = made
    await place.write(root, unsigned)
    return unsignedOutcome(context, plan.version, { root, unsigned, folder, unchanged: false, rpmBackend })
  })
}

async function releaseSigned(context: CliContext, asked: Asked): Promise<Outcome> {
  const { inputs, planned, rpmBackend } = asked
  const keyFiles = await signKeyFiles(context)
  const keyless = await readKeylessSigner(context)
  const real = isReal(context) || keyFiles.length > 0
  const trust = real ? await projectTrust(context) : undefined
  if (context.dryRun) return planOutcome(planned)
  const place = await placeOf(context, inputs.version, inputs, {
    keys: keyFiles.map(({ text }) => digestOf(text)),
    ...(trust === undefined ? {} : { trust: digestOf(trust.text) }),
    ...(keyless === undefined ? {} : { keyless: keyless.fingerprint }),
    ...backendKey(asked),
  })
  const { folder, stamp } = place
  if (stamp !== undefined)
    return outcome(context, planned, { root: stamp.root, fingerprint: stamp.key, folder, unchanged: true, rpmBackend })
  const realKeys = real ? await readReleaseKeys(keyFiles, context.keyPassword) : undefined
  if (trust !== undefined && realKeys !== undefined) refuseUnnamed(trust, realKeys, planned.epoch)
  return await inWorld(context, inputs, planned, async (world, plan) => {
    const own = realKeys ?? world.standIn?.keys
    if (own === undefined) throw new Error('a real world without keys of its own')
    const keys = { ...own, ...(trust && { trust: trust.text }), ...(keyless && { keyless }) }
    const made = await make(context, plan, asked, world, keys, await place.touched())
    if (made.missing.length > 0) return candidate(context, made)
    const { fingerprint } = keys.key.publicKey
    await place.write(made.root, fingerprint)
    return outcome(context, plan, { root: made.root, fingerprint, folder: made.folder, unchanged: false, rpmBackend })
  })
}

function planOutcome(plan: ReleasePlan): Outcome {
  return { text: canonicalJson(plan as never), json: { plan: plan as never } }
}

/** What was made by the writer is not what was asked for by rpmbuild. */
function backendKey({ rpmBackend }: Asked): { readonly [key: string]: Json } {
  return rpmBackend === 'embedded' ? {} : { rpmBackend }
}

/** Where it will lie, and what is remembered of how it came there. `more`: what decides it besides inputs, program and stand-ins. */
async function placeOf(context: CliContext, name: string, inputs: Pick<ReleaseInputs, 'digest'>, more: { readonly [key: string]: Json }) {
  const { unchanged, touched, writeStamp } = await import('../release/unchanged.ts')
  const folder = join(context.outDir, name)
  const file = join(context.storeDir, 'releases', `${name}.json`)
  const standIns = context.standIns === 'all' ? 'all' : [...context.standIns]
  const asked = digestOf(canonicalJson({ inputs: inputs.digest, tool: ownDigest(), standIns, ...more }))
  return {
    folder,
    /** undefined = it must be made */
    stamp: await unchanged(file, folder, asked),
    touched: () => touched(file, folder),
    write: (root: Digest, key: string) => writeStamp(file, folder, { inputs: asked, root, key }),
  }
}

async function inWorld(
  context: CliContext,
  inputs: ReleaseInputs,
  planned: ReleasePlan,
  work: (world: World, plan: ReleasePlan) => Promise<Outcome>,
): Promise<Outcome> {
  const { planOf } = await import('../release/inputs.ts')
  const world = await openWorld(context, planned, inputs.lock, listDigest(inputs.pipelines.upstream))
  try {
    return await work(world, planOf(inputs, world.lock))
  } finally {
    await world.close()
  }
}

function unsignedOutcome(
  context: CliContext,
  version: string,
  made: { root: string; unsigned: string; folder: string; unchanged: boolean; rpmBackend: RpmBackend },
): Outcome {
  return { text: made.root, json: { version, ...made, standIns: context.standIns === 'all' ? 'all' : [...context.standIns] } }
}

/** Made, and no release: demanded evidence is missing. */
export function candidate(context: CliContext, made: Pick<MadeRelease, 'folder' | 'missing' | 'root'>): Outcome {
  const folder = relative(context.cwd, made.folder)
  const next = made.missing.map(({ kind, platform }) => testCommand(folder, kind, platform)).join('; ')
  const failure = new RfoError(
    'RFO_RELEASE_CANDIDATE',
    `no passed ${made.missing.map(({ kind, platform }) => `${kind} of ${platform}`).join(', ')}: what was made is a candidate`,
    {
      exit: 'undecided',
      where: folder,
      next: `${next}; then this command again`,
    },
  )
  return {
    text: made.root,
    json: { root: made.root, folder: made.folder, missing: made.missing.map((each) => ({ ...each })) },
    failures: [failure],
  }
}

async function make(
  context: CliContext,
  plan: ReleasePlan,
  { inputs, failureMode, rpmBackend }: Asked,
  world: World,
  keys: ReleaseKeys | undefined,
  changed: readonly string[],
): Promise<MadeRelease> {
  const { preflight } = await import('../release/preflight.ts')
  const { makeRelease } = await import('../release/make.ts')
  const { compiledModule } = await import('../release/selinux-module.ts')
  const { dropChangedBlobs } = await import('../release/repair.ts')
  const { renderLock } = await import('../plan/lock-text.ts')
  await preflight({
    plan,
    env: context.env,
    writes: [context.storeDir, context.outDir],
    workDir: workDirOf(context),
    host: hostArchitecture(context.host),
    rpmBackend,
    at: moment(context),
    ...(inputs.selinux && { selinux: inputs.selinux }),
  })
  return await withPorts(context, world, async (ports) => {
    await dropChangedBlobs(join(context.outDir, plan.version), changed, ports.store)
    const locked = world.lock.releases[plan.version]
    const selinux = inputs.selinux && (await compiledModule(inputs.selinux, ports))
    return await makeRelease(
      {
        plan,
        lockText: renderLock({ ...world.lock, releases: locked === undefined ? {} : { [plan.version]: locked } }),
        bundle: inputs.bundle,
        installer: inputs.installer,
        verifier: inputs.verifier,
        ...(selinux === undefined ? {} : { selinux }),
        notices: inputs.notices,
        vex: inputs.vex,
        code: ownDigest(),
        ...(keys === undefined ? {} : { keys }),
        ...(world.standIn === undefined ? {} : { mark: world.standIn.mark }),
        failureMode,
        rpmBackend,
        outDir: context.outDir,
        toolVersion: context.toolVersion,
      },
      ports,
    )
  })
}

function outcome(
  context: CliContext,
  plan: ReleasePlan,
  made: { root: string; fingerprint: string; folder: string; unchanged: boolean; rpmBackend: RpmBackend },
): Outcome {
  const standIns = context.standIns === 'all' ? 'all' : [...context.standIns]
  const folder = relative(context.cwd, made.folder) || '.'
  const publicKey =
    isReal(context) || context.signKeys.some((name) => !isKeyless(name))
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
      rpmBackend: made.rpmBackend,
      standIns,
    },
  }
}
