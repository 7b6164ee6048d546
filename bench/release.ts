/**
 * A whole sandbox release: cold, in a fresh store; a rerun that finds nothing to do; and verify. Against a bare node of the
 * same run, since nobody else makes such a release: how many node starts each is worth, in wall time and in CPU.
 *
 *   node bench/release.ts [rounds]
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const rounds = Number(process.argv[2] ?? 3)
const root = join(import.meta.dirname, '..')
const door = join(root, 'bin', 'rfo-build.js')
const version = 'v1.24.8+rfor1'

interface Taken {
  /** seconds */
  readonly wall: number
  readonly cpu: number
}

/** CPU of all children that have ended: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html, in ticks of 10 ms. */
function childSeconds(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[13]) + Number(fields[14])) / 100
}

function take(folder: string, ...argv: readonly string[]): Taken {
  const [cpu, wall] = [childSeconds(), performance.now()]
  const { status, stderr } = spawnSync(process.execPath, argv, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
  if (status !== 0) throw new Error(`${argv.join(' ')} ended with ${status}: ${stderr}`)
  return { wall: (performance.now() - wall) / 1000, cpu: childSeconds() - cpu }
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

const rows: Record<'bare' | 'cold' | 'noop' | 'verify', Taken[]> = { bare: [], cold: [], noop: [], verify: [] }
for (let round = 0; round < rounds; round += 1) {
  const folder = mkdtempSync(join(tmpdir(), 'rfo-bench-'))
  for (const name of ['pipelines', 'images.lock']) cpSync(join(root, name), join(folder, name), { recursive: true })
  writeFileSync(join(folder, 'bare.mjs'), '')
  rows.bare.push(take(folder, 'bare.mjs'))
  rows.cold.push(take(folder, door, 'release', version, '--sandbox', '--progress', 'none'))
  rows.noop.push(take(folder, door, 'release', version, '--sandbox', '--progress', 'none'))
  rows.verify.push(take(folder, door, 'verify', version, '--key', '.rfo/sandbox/cosign.pub'))
  rmSync(folder, { recursive: true })
}
const bare = { wall: median(rows.bare.map((one) => one.wall)), cpu: Math.max(0.01, median(rows.bare.map((one) => one.cpu))) }
for (const name of ['cold', 'noop', 'verify'] as const) {
  const [wall, cpu] = [median(rows[name].map((one) => one.wall)), median(rows[name].map((one) => one.cpu))]
  console.log(
    `sandbox ${name}: ${wall.toFixed(2)} s wall (${(wall / bare.wall).toFixed(0)} bare nodes), ${cpu.toFixed(2)} s CPU (${(cpu / bare.cpu).toFixed(0)} bare nodes), ${rounds} rounds`,
  )
}
