/**
 * An SBOM of one image of openEuler's form against syft, both from the same OCI layout in turn: 35 packages in ndb, and Go programs
 * of some hundred megabytes (Go's own tools and the foreign tools of the tests). Needs go, syft and python3.
 *
 *     node bench/sbom.ts [--pairs 3]
 *
 * Prints wall, CPU and the most memory, ours to theirs (medians of the pairs). Goals: a quarter of the wall time, half of the memory.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { layoutOf } from '../test/inspect/layout-of.ts'

const { values } = parseArgs({ options: { pairs: { type: 'string', default: '3' } } })

interface Cost {
  readonly wall: number
  readonly cpu: number
  /** MB */
  readonly memory: number
}

/** Of a process and all that it waits for; Node can't ask the kernel for the memory of children. */
const measure = `
import json, resource, subprocess, sys, time
began = time.monotonic()
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({'wall': time.monotonic() - began, 'cpu': used.ru_utime + used.ru_stime, 'memory': used.ru_maxrss / 1024}))
sys.exit(code)
`

function cost(...argv: readonly string[]): Cost {
  return JSON.parse(execFileSync('python3', ['-c', measure, ...argv], { encoding: 'utf8' })) as Cost
}

function programs(): string[] {
  const tools = execFileSync('go', ['env', 'GOTOOLDIR'], { encoding: 'utf8' }).trim()
  const foreign = join(homedir(), '.cache/rfo-build/tools')
  const named = ['crane', 'oras', 'helm', 'cosign2', 'cosign3', 'act'].map((name) => join(foreign, name))
  return [...readdirSync(tools).map((name) => join(tools, name)), ...named].filter((path) =>
    statSync(path, { throwIfNoEntry: false })?.isFile(),
  )
}

const median = (all: readonly number[]): number => [...all].sort((a, b) => a - b)[Math.floor(all.length / 2)] ?? 0

const work = mkdtempSync(join(tmpdir(), 'rfo-bench-'))
try {
  const files = programs()
  const layout = join(work, 'layout')
  await layoutOf(layout, Object.fromEntries(files.map((path) => [`usr/bin/${basename(path)}`, path])))
  const bytes = files.reduce((sum, path) => sum + statSync(path).size, 0)
  process.stdout.write(`${files.length} programs, ${Math.round(bytes / 1e6)} MB\n`)
  const cli = join(import.meta.dirname, '..', 'bin', 'rfo-build.js')
  const ours = (): Cost => cost(process.execPath, cli, 'sbom', layout, '--store', join(work, 'store'), '-o', join(work, 'ours.json'))
  const theirs = (): Cost => cost('syft', `oci-dir:${layout}`, '-q', '-o', `cyclonedx-json=${join(work, 'theirs.json')}`)
  const pairs: (readonly [Cost, Cost])[] = []
  for (let n = 0; n < Number(values.pairs); n++) pairs.push([ours(), theirs()])
  for (const key of ['wall', 'cpu', 'memory'] as const) {
    const ratio = median(pairs.map(([one, other]) => one[key] / other[key]))
    const [one, other] = [0, 1].map((at) => median(pairs.map((pair) => pair[at as 0 | 1][key])).toFixed(1))
    process.stdout.write(`${key}: ${ratio.toFixed(2)} (${one} and ${other})\n`)
  }
} finally {
  rmSync(work, { recursive: true, force: true })
}
