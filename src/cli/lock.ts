/** `lock`: all that moves becomes a pin in images.lock. The one command, besides `track`, that may meet a moving tag. */
import { randomUUID } from 'node:crypto'
import { mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { RfoError } from '../error.ts'
import type { LockedAdvisories, LockedRelease } from '../plan/lock.ts'
import type { Moved, Resolvers } from '../release/lock.ts'
import type { CliContext } from './context.ts'
import { givenCa } from './given-file.ts'
import { mirrorsOf } from './mirrors.ts'
import { caOption } from './options.ts'
import { today } from './today.ts'
import type { Outcome, Verb } from './verb.ts'
import { word } from './words.ts'
import { workDirOf } from './world.ts'

/** Questions at once: enough to hide latency, few enough for a public registry's patience. */
const concurrency = 8

export const lock: Verb = {
  name: 'lock',
  summary: 'lock',
  arguments: [{ syntax: '<version>', help: 'versionArgument' }],
  options: [
    { flags: '--upstream <version>', help: 'lockUpstream' },
    { flags: '--update [name...]', help: 'lockUpdate' },
    { flags: '--rebuild <name...>', help: 'lockRebuild' },
    { flags: '--check', help: 'lockCheck' },
    caOption,
  ],
  examples: ['lock v1.24.8+rfor1', 'lock v1.24.8+rfor1 --update hardened-coredns', 'lock v1.24.8+rfor1 --check'],
  async run(context, { args, flags }) {
    const { planInput, planOf, readInputs } = await import('../release/inputs.ts')
    const { lockRelease } = await import('../release/lock.ts')
    const upstream = flags.text('upstream')
    const inputs = await readInputs(context.cwd, args[0] ?? '', upstream === undefined ? {} : { upstream })
    const update = updateOf(flags.list('update'))
    const request = { ...planInput(inputs), concurrency }
    const rebuild = flags.list('rebuild')
    const result = await lockRelease({
      ...request,
      today: today(context),
      ...(rebuild === undefined ? {} : { rebuild }),
      ...(update === undefined ? {} : { update }),
      resolve: flags.on('check') ? unasked : await asked(context),
      answered: (what, pin) => {
        if (!flags.on('check') && context.progress !== 'none' && context.progress !== 'json') context.stderr.write(`${what}: ${pin}\n`)
      },
    })
    const made = result.lock.releases[inputs.version]
    // --check says why the lock itself is open, not that nobody was asked
    const open = planOf(inputs, flags.on('check') ? inputs.lock : result.lock).unresolved
    if (!flags.on('check') && !context.dryRun) {
      const { renderLock } = await import('../plan/lock-text.ts')
      const text = renderLock(result.lock)
      // a pin may say the same and be another's: its fingerprint moves without it
      if (text !== renderLock(inputs.lock)) await replace(join(context.cwd, 'images.lock'), text)
    }
    // an input that nobody could reach is not stale: it is said to be open
    const isOpen = (pin: string): boolean => pin.startsWith('unresolved')
    // nor is an RPM by itself: it is there because a component's packages need it
    const isPin = (what: string): boolean => !what.startsWith('rpm/')
    const stale = flags.on('check') ? result.moved.filter(({ what, from, to }) => isPin(what) && (!isOpen(from) || !isOpen(to))) : []
    return outcome(context, inputs.version, flags.on('check') ? stale : result.moved, {
      pinned: made === undefined ? 0 : pinned(made),
      open,
      stale,
    })
  },
}

/** `--update` alone moves every pin. */
function updateOf(names: readonly string[] | undefined): 'all' | readonly string[] | undefined {
  return names?.length === 0 ? 'all' : names
}

async function asked(context: CliContext): Promise<Resolvers> {
  const { resolvers } = await import('../release/resolvers.ts')
  const { dockerCredentials } = await import('../content/credentials.ts')
  const workDir = workDirOf(context)
  await mkdir(workDir, { recursive: true })
  const ca = await givenCa(context)
  const { env, signal } = context
  return resolvers({
    advisories: () => lockedSnapshot(context),
    env,
    signal,
    workDir,
    addresses: mirrorsOf(env),
    credentials: dockerCredentials(env),
    ...ca,
    line: () => {},
  })
}

/** For `--check`: whatever would have to be asked is stale, and nobody is asked. */
const unasked: Resolvers = (() => {
  const refuse = (): never => {
    throw new RfoError('RFO_LOCK_STALE', 'not pinned, or pinned for another pipeline', { exit: 'outside' })
  }
  return {
    source: async () => refuse(),
    image: async () => refuse(),
    base: async () => refuse(),
    chart: async () => refuse(),
    packages: async () => refuse(),
    advisories: async () => refuse(),
  }
})()

/** An open pin says that none is here: whoever locks again after a sync gets it. */
async function lockedSnapshot(context: CliContext): Promise<LockedAdvisories> {
  const { openDirectoryStore } = await import('../content/directory.ts')
  const { currentSnapshot } = await import('./snapshot.ts')
  const found = await currentSnapshot(await openDirectoryStore(context.storeDir))
  if (found !== undefined) return { kind: 'advisories', digest: found.digest, size: found.size, taken: found.taken }
  throw new RfoError('RFO_LOCK_ADVISORIES', 'no snapshot of advisories is here', { exit: 'outside', next: 'rfo-build advisories sync' })
}

function pinned({ bases, components, libraries, charts, packages, advisories }: LockedRelease): number {
  const installed = Object.values(packages ?? {}).flatMap((each) => Object.values(each.components))
  const sources = [...Object.values(components), ...Object.values(libraries ?? {})].map(({ pin }) => pin)
  const pins = [
    ...Object.values(bases),
    ...Object.values(charts),
    ...sources,
    ...installed,
    ...(advisories === undefined ? [] : [advisories]),
  ]
  return pins.filter((pin) => pin.kind !== 'unresolved').length
}

interface State {
  readonly pinned: number
  readonly open: readonly { readonly what: string; readonly reason: string }[]
  /** what --check would move */
  readonly stale: readonly Moved[]
}

function outcome(context: CliContext, version: string, moved: readonly Moved[], { pinned, open, stale }: State): Outcome {
  const lines = moved.map(({ what, from, to }) => word(context.lang, 'lockMoved', { what, from, to }))
  const next = `rfo-build lock ${version}`
  const incomplete = open.map(({ what, reason }) => `${what}: ${reason}`)
  const failures = [
    ...(stale.length === 0
      ? []
      : [new RfoError('RFO_LOCK_STALE', `${stale.length} pins do not fit`, { exit: 'lock', where: 'images.lock', next })]),
    ...(open.length === 0
      ? []
      : [
          new RfoError('RFO_LOCK_UNRESOLVED', `${open.length} inputs are not pinned`, {
            exit: 'lock',
            where: 'images.lock',
            next,
            details: incomplete,
          }),
        ]),
  ]
  return {
    text: [
      ...(lines.length === 0 ? [word(context.lang, 'lockSame')] : lines),
      word(context.lang, 'lockPinned', { pinned, open: open.length }),
    ].join('\n'),
    json: { version, moved: moved.map((each) => ({ ...each })), pinned, unresolved: open.map((each) => ({ ...each })) },
    ...(failures.length === 0 ? {} : { failures }),
  }
}

/** Whole or not at all: a lock that was cut short would be a lock of something else. */
async function replace(file: string, text: string): Promise<void> {
  const { writeFlushed } = await import('../release/lay-out.ts')
  const temporary = `${file}.${randomUUID()}`
  try {
    await writeFlushed(temporary, text)
    await rename(temporary, file)
  } finally {
    await rm(temporary, { force: true })
  }
}
