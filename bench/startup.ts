/**
 * CPU of `rfo-build --version` against a bare node that runs an empty module. Rounds of five runs each, the two in turn, so
 * that a busy machine hurts both alike; prints the median of the rounds' ratios. Goal: 1.25.
 *
 *   node bench/startup.ts [rounds]
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const goal = 1.25
const rounds = Number(process.argv[2] ?? 15)
const folder = mkdtempSync(join(tmpdir(), 'rfo-bench-'))
const bare = join(folder, 'bare.mjs')
writeFileSync(bare, '')
const door = join(import.meta.dirname, '..', 'bin', 'rfo-build.js')

/** CPU seconds of all children that have ended: cutime + cstime of https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html, in ticks of 10 ms. */
function childSeconds(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[13]) + Number(fields[14])) / 100
}

function cpu(...argv: readonly string[]): number {
  const before = childSeconds()
  for (let run = 0; run < 5; run++) {
    const { status } = spawnSync(process.execPath, argv, { stdio: 'ignore' })
    if (status !== 0) throw new Error(`${argv.join(' ')} ended with ${status}`)
  }
  return (childSeconds() - before) / 5
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

cpu(bare)
cpu(door, '--version')
const ratios: number[] = []
const base: number[] = []
for (let round = 0; round < rounds; round++) {
  const one = cpu(bare)
  base.push(one)
  ratios.push(cpu(door, '--version') / one)
}
rmSync(folder, { recursive: true })
console.log(
  `--version / bare node ${process.versions.node}, CPU: ${median(ratios).toFixed(2)} (goal ${goal}), ` +
    `${rounds} rounds from ${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}; bare ${(median(base) * 1000).toFixed(0)} ms`,
)
