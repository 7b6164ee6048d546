/** The C compilers of the machine: asked for where they are needed, part of the keys of what they make, named when absent. */
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Task } from '../../src/graph/task.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { canonicalJson } from '../../src/oci/json.ts'
import type { ReleasePlan } from '../../src/plan/release-plan.ts'
import { type CCompilers, cCompilers } from '../../src/release/compilers.ts'
import { imageTasks } from '../../src/release/image-tasks.ts'
import type { ReleasePorts } from '../../src/release/ports.ts'
import { neededFor, preflight } from '../../src/release/preflight.ts'
import { compiledImage, smallPlan } from './small-plan.ts'

const go = { kind: 'go', toolchain: 'go1.21.13', commands: [{ package: '.', output: '/x' }], tags: [], ldflags: [], cgo: [] } as const

const plan: ReleasePlan = {
  ...smallPlan(),
  unresolved: [],
  images: [
    compiledImage('c', { kind: 'c', commands: [{ sources: ['x.c'], output: '/x' }], cflags: [] }),
    compiledImage('with-cgo', { ...go, cgo: ['amd64'] }),
    compiledImage('without', go),
  ],
}

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rfo-compilers-'))
})
afterAll(async () => {
  await rm(dir, { recursive: true, force: true })
})

/** A folder for the PATH with programs that answer as compilers do. */
async function machine(name: string, programs: Readonly<Record<string, string>>): Promise<string> {
  const folder = join(dir, name)
  await mkdir(folder)
  for (const [program, target] of Object.entries(programs)) {
    const answers = `case "$1" in -dumpmachine) echo ${target};; --version) echo "${program} 12.2.0";; *) echo libc.a;; esac`
    await writeFile(join(folder, program), `#!/bin/sh\n${answers}\n`)
    await chmod(join(folder, program), 0o755)
  }
  return folder
}
const asked = async (of: ReleasePlan, PATH: string): Promise<CCompilers> =>
  await cCompilers(of, { env: { PATH }, signal: new AbortController().signal })

test('are asked for the architectures that need one; an absent one is left to the preflight', async () => {
  const PATH = await machine('native', { gcc: 'x86_64-linux-gnu' })
  expect([...(await asked(plan, PATH))]).toEqual([['amd64', { version: 'gcc 12.2.0' }]])
  const [, ...others] = plan.images
  const both = await machine('both', { gcc: 'x86_64-linux-gnu', 'riscv64-linux-gnu-gcc': 'riscv64-linux-gnu' })
  expect([...(await asked(plan, both)).keys()]).toEqual(['amd64', 'riscv64'])
  expect([...(await asked({ ...plan, images: others }, both)).keys()]).toEqual(['amd64'])
  expect((await asked({ ...plan, images: others.slice(1) }, both)).size).toBe(0)
})

test('another compiler, or another libc, is another key of what it makes and of nothing else', () => {
  const keys = (version: string, libc: string): Map<string, string> => {
    const found: CCompilers = new Map([['amd64', { version, libc: digestOf(libc) }]])
    const seen = new Map<string, string>()
    const walk = (task: Task): void => {
      seen.set(task.id, canonicalJson(task.key))
      for (const need of Object.values(task.needs)) walk(need)
    }
    for (const { index } of imageTasks(plan, [], { compilers: found, versions: new Map() }, { env: {} } as unknown as ReleasePorts))
      walk(index)
    return seen
  }
  const first = keys('gcc 12.2.0', 'a')
  const changed = (now: Map<string, string>): string[] => [...now].filter(([id, key]) => first.get(id) !== key).map(([id]) => id)
  expect(changed(keys('gcc 12.2.0', 'a'))).toEqual([])
  const made = ['programs/c/linux/amd64', 'programs/with-cgo/linux/amd64']
  expect(changed(keys('gcc 14.1.0', 'a'))).toEqual(made)
  expect(changed(keys('gcc 12.2.0', 'b'))).toEqual(made)
})

test('absent ones are named before the first task, each once, with the components that need it', async () => {
  const problems = preflight({ plan, env: { PATH: dir }, writes: [], workDir: dir, host: 'amd64' })
  await expect(problems).rejects.toMatchObject({
    code: 'RFO_PREFLIGHT_PROGRAM',
    exit: 'machine',
    details: [
      expect.stringMatching(/no program go on the PATH.*c, with-cgo, without/),
      expect.stringMatching(/no program gcc on the PATH.*c, with-cgo.*static libc/),
      expect.stringMatching(/no program riscv64-linux-gnu-gcc on the PATH.*\(c\)/),
    ],
  })
})

test('the room on the disk is asked for what Go compiles, and not for modules that lie there', async () => {
  const gib = 2 ** 30
  const workDir = join(dir, 'work')
  // two of the three are Go's, each for two platforms
  expect(await neededFor(plan, workDir)).toBeCloseTo((1 + 2 * 0.7 + 4 * 0.5) * gib)
  await mkdir(join(workDir, 'go', 'mod', 'example.test', 'x@v1.0.0'), { recursive: true })
  expect(await neededFor(plan, workDir)).toBe(3 * gib)
  expect(await neededFor({ ...plan, images: plan.images.slice(0, 1) }, workDir)).toBe(gib)
})
