/** A project with a few of the real pipelines, so that a whole release takes a second or two. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { parse, stringify } from 'yaml'

export const root = join(import.meta.dirname, '..', '..')
export const version = 'v1.24.8+rfor1'

/** Two compiled for real elsewhere, one with a file of its own, one mirrored, the runtime with gzip layers. */
const kept = [
  'rancher/rke2-runtime',
  // what the runtime carries
  'rancher/hardened-containerd',
  'rancher/hardened-crictl',
  'rancher/hardened-kubernetes',
  'rancher/hardened-runc',
  'rancher/hardened-coredns',
  'rancher/hardened-cni-plugins',
  'rancher/pause',
  'rancher/mirrored-calico-typha',
]
/** RFO's own: one in a group of its own, two that carry files of the release. */
const own = ['kube-explorer', 'rfo-upgrade', 'system-agent-installer-rfo']

export interface Project {
  readonly folder: string
  remove(): Promise<void>
}

/** `more`: upstream's names of images besides. */
export async function smallProject(more: readonly string[] = []): Promise<Project> {
  const all = [...kept, ...more]
  const folder = await mkdtemp(join(tmpdir(), 'rfo-project-'))
  await mkdir(join(folder, 'pipelines', 'upstream'), { recursive: true })
  await cp(join(root, 'pipelines', 'release.yaml'), join(folder, 'pipelines', 'release.yaml'))
  const program = await readFile(join(root, 'pipelines', 'rfo.yaml'), 'utf8')
  await writeFile(join(folder, 'pipelines', 'rfo.yaml'), withImages(program, all))
  await cp(join(root, 'pipelines/libraries'), join(folder, 'pipelines/libraries'), { recursive: true })
  const list = 'pipelines/upstream/v1.24.8+rke2r1.yaml'
  const upstream = parse(await readFile(join(root, list), 'utf8')) as {
    groups: Record<string, string[]>
    unlisted: string[]
    charts: { name: string }[]
  }
  for (const [group, references] of Object.entries(upstream.groups)) {
    const few = references.filter((reference) => all.some((repository) => reference.includes(`/${repository}:`)))
    if (few.length === 0) delete upstream.groups[group]
    else upstream.groups[group] = few
  }
  upstream.charts = upstream.charts.filter((chart) => chart.name === 'rke2-coredns')
  await writeFile(join(folder, list), stringify(upstream))
  for (const name of [...all.map((repository) => repository.slice('rancher/'.length)), ...own]) {
    await cp(join(root, 'pipelines', `${name}.yaml`), join(folder, 'pipelines', `${name}.yaml`))
  }
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) }
}

/** Of what is made to look real in a test nobody could say what it is made of. */
export async function dropGate(folder: string): Promise<void> {
  const file = join(folder, 'pipelines/release.yaml')
  const { gate: _, ...rest } = parse(await readFile(file, 'utf8')) as Record<string, unknown>
  await writeFile(file, stringify(rest))
}

/**
 * A copy of a project whose sandbox release was made, once in a run of the tests: for whoever looks at a release, and not at its making.
 * Store, keys and release are its own; `platforms` as `--platform` takes them.
 */
export async function madeProject(platforms: string): Promise<Project> {
  const first = await once(join(process.env.RFO_TEST_RUN ?? '', `release-${platforms}`), async (place) => {
    const project = await smallProject()
    const made = await run(project.folder, ['release', version, '--sandbox', '--platform', platforms, '--progress', 'none'])
    if (made.code !== 0 || made.stderr !== '') throw new Error(`the release ended with ${made.code}: ${made.stderr}`)
    await copyFolder(project.folder, place, true)
    await project.remove()
  })
  const folder = await mkdtemp(join(tmpdir(), 'rfo-project-'))
  await copyFolder(first, folder, true)
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) }
}

/** Every file with bytes of its own, unless `links` among them shall be links among the copies; many times faster than Node's own. */
export async function copyFolder(from: string, to: string, links = false): Promise<void> {
  await mkdir(to, { recursive: true })
  await promisify(execFile)('cp', ['-R', `--preserve=mode,timestamps${links ? ',links' : ''}`, '--reflink=auto', '--', `${from}/.`, to])
}

/** Whoever comes first makes it; the others, in other processes, wait. What failed is tried again by the next. */
async function once(place: string, make: (place: string) => Promise<void>): Promise<string> {
  for (;;) {
    if (existsSync(place)) return place
    const mine = await mkdir(`${place}.lock`).then(
      () => true,
      () => false,
    )
    if (!mine) {
      await sleep(100)
      continue
    }
    try {
      await rm(`${place}.half`, { recursive: true, force: true })
      await mkdir(`${place}.half`)
      await make(`${place}.half`)
      await rename(`${place}.half`, place)
      return place
    } finally {
      await rmdir(`${place}.lock`)
    }
  }
}

/** rfo.yaml without the constants that name an image which the project has not. */
function withImages(text: string, images: readonly string[]): string {
  return text
    .split('\n')
    .filter((line) => {
      const named = /\{image:([^}]+)\}/.exec(line)?.[1]
      return named === undefined || images.includes(`rancher/${named}`)
    })
    .join('\n')
}

/** Our own sources, compiled once for every project here; without it each home folder would begin anew. */
const compiled = join(root, 'node_modules', '.cache', 'compiled')

export interface Ran {
  /** null = killed */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** The real program, as a person runs it. */
export function run(folder: string, argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ran> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [join(root, 'bin', 'rfo-build.js'), ...argv],
      {
        cwd: folder,
        env: { PATH: process.env.PATH ?? '', HOME: folder, NODE_COMPILE_CACHE: compiled, ...env },
        maxBuffer: 64 * 1024 * 1024,
      },
      (_error, stdout, stderr) => resolve({ code: child.exitCode, stdout, stderr }),
    )
  })
}
