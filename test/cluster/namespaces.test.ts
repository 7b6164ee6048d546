/** Namespaces and what is left of them, with the real unshare: whoever dies, nothing goes on and the next start tidies up. Needs root. */
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeCgroups } from '../../src/cluster/cgroups.ts'
import { createDaemons } from '../../src/cluster/daemons.ts'
import { cgroupOf, markCluster, removeLeftovers } from '../../src/cluster/leftover.ts'
import { type Namespaces, openNamespaces } from '../../src/cluster/namespaces.ts'
import { isAlive, markOf, type ProcessMark } from '../../src/cluster/process.ts'
import { tool } from '../tools.ts'
import { cgroupsNamed } from './cgroups.ts'

const sleep = tool('sleep')
const skip = process.getuid?.() !== 0 || [sleep, tool('unshare'), tool('nsenter'), tool('setpriv'), tool('ip')].some((each) => each.skip)
if (process.getuid?.() !== 0) process.stderr.write('tests of namespaces are skipped: they take root\n')
const env = { PATH: process.env.PATH ?? '' }

describe.skipIf(skip)('namespaces', () => {
  let scratch: string
  beforeAll(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'rfo-cluster-'))
  })
  afterAll(() => rm(scratch, { recursive: true, force: true }))

  const opened = async (use: (namespaces: Namespaces) => Promise<void>): Promise<void> => {
    const namespaces = await openNamespaces([sleep.path, 'infinity'], env)
    try {
      await use(namespaces)
    } finally {
      await namespaces.stop()
    }
    expect(await isAlive(namespaces.init)).toBe(false)
  }

  test('have a network, processes and mounts of their own', () =>
    opened(async (inside) => {
      const said = async (...argv: [string, ...string[]]): Promise<string> => (await inside.exec(argv, { env })).stdout.toString('utf8')
      expect(await said('ip', '-brief', 'link')).toMatch(/^lo\s/)
      expect(await said('ip', '-brief', 'link')).not.toMatch(/eth|rfo/)
      expect((await said('cat', '/proc/1/cmdline')).split('\0')).toEqual([sleep.path, 'infinity', ''])
      await said('mount', '-t', 'tmpfs', 'tmpfs', scratch)
      await said('touch', join(scratch, 'inside'))
      expect(await readdir(scratch)).not.toContain('inside')
      expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(scratch)
    }))

  test('a program that is ended on purpose has not died; all of them can be killed and started again', () =>
    opened(async (inside) => {
      await mkdir(join(scratch, 'logs'), { recursive: true })
      const daemons = createDaemons(inside, join(scratch, 'logs'), env)
      try {
        daemons.start({ one: ['sh', '-c', `echo one; ${sleep.path} 4322`], two: ['setsid', sleep.path, '4323'] })
        await found('4322')
        await daemons.end(['one'])
        expect([await find('4322'), (await find('4323')) === undefined, daemons.died.aborted]).toEqual([undefined, false, false])
        const running = inside.exec(['setsid', '--fork', sleep.path, '4324'], { env }).catch(() => {})
        await found('4324')
        const ended = daemons.end()
        await inside.exec(['sh', '-c', 'kill -9 -1'], { env })
        await Promise.all([ended, running])
        for (const each of ['4323', '4324']) expect(await find(each)).toBeUndefined()
        expect(await isAlive(inside.init)).toBe(true)
        daemons.start({ one: ['sh', '-c', `echo two; ${sleep.path} 4325`] })
        await found('4325')
        expect(daemons.died.aborted).toBe(false)
      } finally {
        await daemons.close()
      }
      expect(await readFile(join(scratch, 'logs/one.log'), 'utf8')).toBe('one\ntwo\n')
    }))

  test('take everything along that runs in them', async () => {
    let orphan: ProcessMark | undefined
    let ended: Promise<unknown> | undefined
    await opened(async (inside) => {
      // a child that nobody waits for, in a session of its own: as containerd's shims are
      const running = inside.exec(['setsid', '--fork', sleep.path, '4321'], { env }).catch(() => {})
      for (let tries = 0; tries < 100 && orphan === undefined; tries += 1) {
        await wait(50)
        orphan = await find('4321')
      }
      expect(orphan).toBeDefined()
      ended = running
    })
    await ended
    expect(await isAlive(orphan as ProcessMark)).toBe(false)
  })

  test('a program that ends by itself is told of with its last words', () =>
    opened(async (inside) => {
      const logs = join(scratch, 'logs')
      await mkdir(logs, { recursive: true })
      const daemons = createDaemons(inside, logs, env)
      daemons.start({ steady: [sleep.path, 'infinity'], failing: ['ls', '/nowhere'] })
      while (!daemons.died.aborted) await wait(20)
      expect(daemons.died.reason).toMatchObject({ code: 'RFO_CLUSTER_DIED', message: 'failing ended', where: join(logs, 'failing.log') })
      expect(daemons.died.reason.details.join()).toContain('/nowhere')
      await daemons.close()
      expect(await readFile(join(logs, 'failing.log'), 'utf8')).toContain('/nowhere')
    }))

  test('kill -9 of their owner ends them; the next start removes folder and cgroups, and those of no living owner', async () => {
    const clusters = join(scratch, 'clusters')
    const mine = join(clusters, 'mine')
    const other = join(clusters, 'other')
    for (const folder of [mine, other]) await mkdir(folder, { recursive: true })
    await markCluster(mine)
    const program = `
      import { markCluster, cgroupOf } from ${JSON.stringify(join(import.meta.dirname, '../../src/cluster/leftover.ts'))}
      import { makeCgroups } from ${JSON.stringify(join(import.meta.dirname, '../../src/cluster/cgroups.ts'))}
      import { openNamespaces } from ${JSON.stringify(join(import.meta.dirname, '../../src/cluster/namespaces.ts'))}
      const env = { PATH: process.env.PATH }
      await makeCgroups(cgroupOf('other') + '/kubepods')
      const inside = await openNamespaces([${JSON.stringify(sleep.path)}, 'infinity'], env)
      await markCluster(${JSON.stringify(other)}, inside.init)
      inside.exec([${JSON.stringify(sleep.path)}, '8765'], { env })
      console.log(JSON.stringify(inside.init))
      setInterval(() => {}, 1000)`
    const file = join(scratch, 'owner.ts')
    await writeFile(file, program)
    const owner = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', file], { stdio: ['ignore', 'pipe', 'inherit'], env })
    const [line] = await new Promise<Buffer[]>((resolve) => owner.stdout.once('data', (chunk: Buffer) => resolve([chunk])))
    const init = JSON.parse(String(line)) as ProcessMark
    expect(await isAlive(init)).toBe(true)
    owner.kill('SIGKILL')
    for (let tries = 0; tries < 100 && (await isAlive(init)); tries += 1) await wait(50)
    expect(await isAlive(init)).toBe(false)
    expect(await find('8765')).toBeUndefined()

    await makeCgroups(cgroupOf('mine'))
    expect(await removeLeftovers(clusters)).toEqual(['other'])
    expect(await readdir(clusters)).toEqual(['mine'])
    expect(await cgroupsNamed(/^rfo-other$/)).toEqual([])
    expect(await cgroupsNamed(/^rfo-mine$/)).not.toEqual([])
    // an owner whose number somebody else has by now
    await writeFile(join(mine, 'marks.json'), JSON.stringify({ owner: { pid: process.pid, start: '1' } }))
    expect(await removeLeftovers(clusters)).toEqual(['mine'])
    expect(await cgroupsNamed(/^rfo-mine$/)).toEqual([])
  })
})

test('a process that is not there has no mark', async () => {
  expect(await markOf(2 ** 22 + 1)).toBeUndefined()
  expect(await isAlive({ pid: process.pid, start: '1' })).toBe(false)
})

async function found(word: string): Promise<void> {
  for (let tries = 0; tries < 200 && (await find(word)) === undefined; tries += 1) await wait(50)
  expect(await find(word)).toBeDefined()
}

/** A process by the last word of its argv. */
async function find(word: string): Promise<ProcessMark | undefined> {
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const argv = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0').slice(0, -1)
    if (argv.at(-1) === word && argv[0] === sleep.path) return await markOf(Number(pid))
  }
  return undefined
}
