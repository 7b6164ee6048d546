/** `doctor`: what is on this machine, and what works without the rest. Changes nothing, asks no network. */
import { readFile, statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { RfoError } from '../error.ts'
import { architectureNames, architectures } from '../oci/platform.ts'
import type { CliContext } from './context.ts'
import type { Verb } from './verb.ts'
import { type WordKey, word } from './words.ts'

interface Finding {
  readonly name: string
  readonly ok: boolean
  /** version or size; empty when missing */
  readonly found: string
  readonly help: WordKey
  readonly values?: Readonly<Record<string, string>>
}

const gib = 2 ** 30
/** What a release without compilation takes; less than this and nothing works. */
const leastDisk = 1 * gib

export const doctor: Verb = {
  name: 'doctor',
  summary: 'doctor',
  arguments: [],
  options: [],
  examples: ['doctor', 'doctor --json'],
  async run(context) {
    const disks = await Promise.all([context.storeDir, context.outDir].map((path) => disk(path)))
    const go = await version(context, 'doctorGo', 'go', 'version')
    const git = await version(context, 'doctorGit', 'git', '--version')
    const compilers = architectureNames.map((architecture) => {
      const own = architectures[architecture].node === context.host.arch
      const program = own ? 'gcc' : `${architectures[architecture].rpm}-linux-gnu-gcc`
      return version(context, 'doctorCompiler', program, '--version', { architecture })
    })
    const forLibraries = ['make', 'pkg-config', 'gperf'].map((program) => version(context, 'doctorLibraries', program, '--version'))
    const findings: readonly Finding[] = [
      { name: 'node', ok: true, found: `${context.host.nodeVersion} ${context.host.platform}-${context.host.arch}`, help: 'doctorNode' },
      go,
      git,
      ...(await Promise.all([...compilers, ...forLibraries])),
      await memory(),
      ...disks,
    ]
    const full = disks.find((each) => !each.ok)
    const ready = full !== undefined ? [] : (['doctorSandbox', ...(go.ok ? (['doctorCompiled'] as const) : [])] as const)
    const width = Math.max(...findings.map(({ name }) => name.length))
    const lines = findings.map(({ name, ok, found, help, values }) => {
      const state = word(context.lang, ok ? 'found' : 'missing')
      return `${name.padEnd(width)} ${state.padEnd(8)} ${found.padEnd(24)} ${word(context.lang, help, values)}\n`
    })
    const words = ready.map((key) => word(context.lang, key)).join(context.lang === 'zh' ? '、' : ', ')
    return {
      ...(full === undefined ? {} : { exit: 'machine' }),
      text: `${lines.join('')}${ready.length === 0 ? '' : word(context.lang, 'doctorReady', { what: words })}`,
      json: { findings: findings.map(({ name, ok, found }) => ({ name, ok, found })), compiled: go.ok && full === undefined },
    }
  },
}

async function version(
  context: CliContext,
  help: WordKey,
  program: string,
  flag: string,
  values?: Readonly<Record<string, string>>,
): Promise<Finding> {
  const about = { name: program, help, ...(values === undefined ? {} : { values }) }
  try {
    const { stdout } = await context.exec([program, flag], {
      env: { ...context.env, GOTOOLCHAIN: 'local' },
      signal: context.signal,
      cwd: context.cwd,
    })
    return { ...about, ok: true, found: /\d+\.\d+(\.\d+)?/.exec(stdout.toString('utf8'))?.[0] ?? '?' }
  } catch (thrown) {
    if (!(thrown instanceof RfoError)) throw thrown // an interruption
    return { ...about, ok: false, found: '' }
  }
}

async function memory(): Promise<Finding> {
  const text = await readFile('/proc/meminfo', 'utf8').catch(() => '')
  const bytes = Number(/^MemAvailable:\s+(\d+) kB/m.exec(text)?.[1] ?? 0) * 1024
  return { name: 'memory', ok: bytes > 0, found: bytes > 0 ? size(bytes) : '', help: 'doctorMemory' }
}

/** Free space for unprivileged users, of the nearest folder that is there. */
async function disk(path: string): Promise<Finding> {
  for (let folder = path; ; folder = dirname(folder)) {
    const found = await statfs(folder).catch(() => undefined)
    if (found === undefined && folder !== dirname(folder)) continue
    const free = found === undefined ? 0 : found.bavail * found.bsize
    return { name: 'disk', ok: free >= leastDisk, found: size(free), help: 'doctorDisk', values: { path } }
  }
}

function size(bytes: number): string {
  return `${(bytes / gib).toFixed(1)} GiB`
}
