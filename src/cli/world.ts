/** Where inputs come from: the real world, or the sandbox in place of some or all of it. And the ports of whatever makes images of them. */
import { mkdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { Digest } from '../oci/digest.ts'
import type { Architecture } from '../oci/platform.ts'
import type { Addresses } from '../plan/addresses.ts'
import type { Lock } from '../plan/lock.ts'
import { emptyLock } from '../plan/lock-text.ts'
import type { ReleasePlan } from '../plan/release-plan.ts'
import type { ReleasePorts, StandInMark } from '../release/ports.ts'
import type { ReleaseKeys } from '../release/signatures.ts'
import type { CliContext } from './context.ts'
import { givenCa } from './given-file.ts'
import { type KeyFile, readReleaseKeys } from './key-files.ts'
import { mirrorsOf } from './mirrors.ts'

export interface World {
  readonly lock: Lock
  readonly addresses: Addresses
  /** for programs and downloads */
  readonly env: Readonly<Record<string, string>>
  /** absent = everything is real */
  readonly standIn?: { readonly keys: ReleaseKeys; readonly mark: StandInMark }
  close(): Promise<void>
}

/**
 * `plan` and `lock` are what the project says; `list` is the digest of its image list. With `userland`, stand-ins for bases hold
 * programs that run on that architecture.
 */
export async function openWorld(
  context: CliContext,
  plan: ReleasePlan,
  lock: Lock,
  list: Digest,
  options: { readonly userland?: Architecture } = {},
): Promise<World> {
  if (isReal(context)) return { lock, addresses: mirrorsOf(context.env), env: context.env, close: async () => {} }
  const { startSandbox } = await import('../sandbox/start.ts')
  const everything = context.standIns === 'all'
  const workDir = join(context.storeDir, 'work')
  const { userland: architecture } = options
  if (architecture !== undefined) await mkdir(workDir, { recursive: true })
  const { debianUserland } = await import('../sandbox/userland.ts')
  const userland =
    architecture === undefined ? [] : await debianUserland(architecture, { env: context.env, workDir, signal: context.signal })
  const sandbox = await startSandbox({
    userland,
    plan,
    kinds: new Set(context.standIns === 'all' ? [] : context.standIns),
    everything,
    lock,
    list,
    stateDir: context.storeDir,
  })
  const { privatePem, sm2Pem, pgpText } = sandbox.key
  const inSandbox = (text: string): KeyFile => ({ file: 'the sandbox’s key', text })
  const keys = await readReleaseKeys([privatePem, sm2Pem, pgpText].map(inSandbox), undefined)
  const what = everything ? 'every input' : `these kinds of input: ${(context.standIns as readonly string[]).join(', ')}`
  return {
    lock: sandbox.lock,
    addresses: { ...mirrorsOf(context.env), ...sandbox.addresses },
    env: besideProxy(context.env),
    standIn: {
      keys,
      mark: {
        file: 'SANDBOX',
        text: `This release was made in a sandbox: stand-ins took the place of ${what}.\nIt is not for use. evidence/release.json names each stand-in.\n`,
        keyFingerprint: keys.key.publicKey.fingerprint,
      },
    },
    close: () => sandbox.close(),
  }
}

/** For work that takes nothing from outside this machine. */
export function localWorld(context: Pick<CliContext, 'env'>): World {
  return { lock: emptyLock, addresses: {}, env: context.env, close: async () => {} }
}

export function isReal(context: Pick<CliContext, 'standIns'>): boolean {
  return context.standIns !== 'all' && context.standIns.length === 0
}

/** A proxy doesn't reach this machine's loopback. */
function besideProxy(env: Readonly<Record<string, string>>): Record<string, string> {
  const except = [env.NO_PROXY ?? env.no_proxy, '127.0.0.1'].filter((part) => part !== undefined && part !== '').join(',')
  return { ...env, NO_PROXY: except, no_proxy: except }
}

/** Sources, and what compilers keep. */
export function workDirOf({ storeDir }: Pick<CliContext, 'storeDir'>): string {
  return join(storeDir, 'work')
}

/** Opens the store and shows progress for as long as `use` runs. */
export async function withPorts<T>(
  context: CliContext,
  world: Pick<World, 'env' | 'addresses'>,
  use: (ports: ReleasePorts) => Promise<T>,
): Promise<T> {
  const { openDirectoryStore } = await import('../content/directory.ts')
  const { dockerCredentials } = await import('../content/credentials.ts')
  const { createRegistrySession } = await import('../content/registry.ts')
  const ca = await givenCa(context)
  const { renderer } = await import('../report/renderer.ts')
  const { fileLogs } = await import('../report/logs.ts')
  const workDir = workDirOf(context)
  await mkdir(workDir, { recursive: true })
  const store = await openDirectoryStore(context.storeDir)
  const { secrets } = context
  const progress = renderer(context.progress, {
    ...context.stderr,
    stderr: context.stderr.stream,
    isTTY: context.stderr.isTTY,
    env: context.env,
    lang: context.lang,
    secrets,
  })
  try {
    return await use({
      store,
      logs: fileLogs(join(context.storeDir, 'logs'), secrets),
      workDir,
      env: world.env,
      addresses: world.addresses,
      registries: createRegistrySession({ credentials: dockerCredentials(context.env), proxy: world.env, ...ca }),
      listener: progress.listener,
      now: context.now,
      signal: context.signal,
      lanes: { cpu: availableParallelism(), network: 8, cluster: 1 },
    })
  } finally {
    await progress.end()
  }
}
