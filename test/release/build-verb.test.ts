/** `build` makes what it is asked for and nothing else, and a release finds it made. */
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Event } from '../../src/graph/event.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { buildScope } from '../../src/release/build.ts'
import { tool } from '../tools.ts'
import { type Project, type Ran, run, smallProject, version } from './project.ts'
import { smallPlan } from './small-plan.ts'

let project: Project
beforeAll(async () => {
  project = await smallProject()
})
afterAll(() => project.remove())

const build = (argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ran> =>
  run(project.folder, ['build', version, ...argv, '--sandbox'], env)

function events({ stderr }: Ran): Event[] {
  return stderr
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Event)
}

/** Ids of the tasks that such an event names, sorted. */
function tasks(ran: Ran, kind: Event['kind']): string[] {
  return events(ran)
    .flatMap((event) => (event.kind === kind && 'task' in event ? [event.task] : []))
    .sort()
}

const emulator = tool('qemu-riscv64-static')

describe('one component', () => {
  let first: Ran
  beforeAll(async () => {
    first = await build(['hardened-coredns', '--platform', 'amd64', '--progress', 'json'])
  })

  test('its own path is walked, base and smoke test with it: nothing of others, nothing signed', () => {
    expect(first.code).toBe(0)
    const path = [
      'base/linux/amd64',
      'image/hardened-coredns/linux/amd64',
      'programs/hardened-coredns/linux/amd64',
      'smoke/hardened-coredns/linux/amd64',
      'source/hardened-coredns',
    ]
    expect(tasks(first, 'task-waiting')).toEqual(path)
    expect(tasks(first, 'task-done')).toEqual(path)
    expect(first.stdout).toMatch(/^hardened-coredns linux\/amd64 sha256:[0-9a-f]{64}\n$/)
  })

  test('no release folder and no key is made of it', async () => {
    expect(await readdir(project.folder)).not.toContain('dist')
    const again = await build(['hardened-coredns', '--platform', 'amd64', '--progress', 'none', '--sign-key', 'nowhere.key'])
    expect([again.code, again.stdout, again.stderr]).toEqual([0, first.stdout, ''])
  })

  test('again: the same digest, all of it from cache, and it says so', async () => {
    const again = await build(['hardened-coredns', '--platform', 'amd64', '--json', '--progress', 'json'])
    expect(tasks(again, 'task-done')).toEqual([])
    expect(JSON.parse(again.stdout)).toMatchObject({
      schema: 'rfo-build.build/1',
      ok: true,
      images: [{ component: 'hardened-coredns', platform: 'linux/amd64', digest: first.stdout.trim().split(' ').at(-1), smoke: 'cached' }],
      leftOut: [],
    })
  })

  test('a release finds it made, and ships that digest', async () => {
    const release = await run(project.folder, ['release', version, '--sandbox', '--platform', 'amd64', '--progress', 'json'])
    expect(release.code).toBe(0)
    const cached = tasks(release, 'task-cached')
    for (const task of tasks(first, 'task-done').filter((id) => !id.startsWith('smoke/'))) expect(cached).toContain(task)
    const statement = JSON.parse(await readFile(join(project.folder, 'dist', version, 'evidence/release.json'), 'utf8')) as {
      predicate: { images: { component: string; platforms: Record<string, { digest: string }> }[] }
    }
    const shipped = statement.predicate.images.find((image) => image.component === 'hardened-coredns')
    expect(first.stdout).toContain(shipped?.platforms['linux/amd64']?.digest)
  })
})

test('without names: all that are rebuilt, sorted; what a release made is not made again', async () => {
  const ran = await build(['--platform', 'amd64', '--progress', 'json', '--json'])
  expect(ran.code).toBe(0)
  const { images } = JSON.parse(ran.stdout) as { images: { component: string; smoke: string }[] }
  expect(images.map((image) => image.component)).toEqual([
    'hardened-cni-plugins',
    'hardened-containerd',
    'hardened-coredns',
    'hardened-crictl',
    'hardened-kubernetes',
    'hardened-runc',
    'kube-explorer',
    'pause',
    'rfo',
    'rfo-upgrade',
    'rke2-runtime',
    'system-agent-installer-rfo',
  ])
  expect(tasks(ran, 'task-done').every((task) => task.startsWith('smoke/'))).toBe(true)
  expect(images.every((image) => ['ran', 'cached', 'absent'].includes(image.smoke))).toBe(true)
})

test('a pipeline that changed runs its own path again, and of that only what differs', async () => {
  expect((await build(['--platform', 'amd64', '--progress', 'none'])).code).toBe(0)
  const file = join(project.folder, 'pipelines/pause.yaml')
  const text = await readFile(file, 'utf8')
  await writeFile(file, text.replace('user: 65535:65535', 'user: 65534:65534'))
  try {
    const ran = await build(['--platform', 'amd64', '--progress', 'json'])
    expect(ran.code).toBe(0)
    expect(tasks(ran, 'task-done')).toEqual(['image/pause/linux/amd64', 'smoke/pause/linux/amd64'])
  } finally {
    await writeFile(file, text)
  }
})

test('what collects programs brings those who make them, without their images', async () => {
  const fresh = await build(['rke2-runtime', '--platform', 'arm64', '--progress', 'json', '--store', 'fresh'])
  expect(fresh.code).toBe(0)
  const waiting = tasks(fresh, 'task-waiting')
  expect(waiting).toContain('programs/hardened-runc/linux/arm64')
  expect(waiting).toContain('chart/rke2-coredns')
  expect(waiting.filter((task) => task.startsWith('image/'))).toEqual(['image/rke2-runtime/linux/arm64'])
})

describe('smoke tests', () => {
  test('a program that says something else is exit 7, with what it said and where its log is', async () => {
    const file = join(project.folder, 'pipelines/pause.yaml')
    const text = await readFile(file, 'utf8')
    await writeFile(file, text.replace('argv: [/pause, -v]', 'argv: [/paws, -v]'))
    try {
      const ran = await build(['pause', '--platform', 'amd64', '--progress', 'json'])
      expect(ran.code).toBe(7)
      expect(ran.stdout).toBe('')
      expect(events(ran).find((event) => event.kind === 'task-failed')).toMatchObject({
        task: 'smoke/pause/linux/amd64',
        code: 'RFO_BUILD_SMOKE',
        log: expect.stringContaining('smoke'),
      })
      expect(ran.stderr.trimEnd().split('\n').at(-1)).toMatch(/RFO_BUILD_SMOKE: \/paws -v: the image has no file \/paws/)
    } finally {
      await writeFile(file, text)
    }
  })

  test('without an emulator the image is made, and that it was not tried is said', async () => {
    const bin = join(project.folder, 'bin')
    await mkdir(bin)
    // a machine with git and nothing else
    const git = tool('git')
    if (!git.skip) await symlink(git.path, join(bin, 'git'))
    const ran = await build(['pause', '--platform', 'riscv64', '--json', '--progress', 'lines'], { PATH: bin })
    expect([ran.code, JSON.parse(ran.stdout).images]).toMatchObject([0, [{ component: 'pause', smoke: 'no emulator' }]])
    expect(ran.stderr).toContain('programs for linux/riscv64 are not tried: no qemu-riscv64-static or qemu-riscv64 on the PATH')
  })

  test.skipIf(emulator.skip)('with an emulator that appears later it is tried then', async () => {
    const ran = await build(['pause', '--platform', 'riscv64', '--json', '--progress', 'none'], { PATH: dirname(emulator.path) })
    expect(JSON.parse(ran.stdout).images).toMatchObject([{ component: 'pause', platform: 'linux/riscv64', smoke: 'ran' }])
  })
})

describe('what can’t be built', () => {
  const last = (ran: Ran): string => ran.stderr.trimEnd().split('\n').at(-1) ?? ''

  test('a name that nothing has, and an image that is mirrored: exit 2, with the names that are known', async () => {
    const unknown = await build(['hardened-moon'])
    expect(unknown.code).toBe(2)
    expect(last(unknown)).toBe(
      'rfo-build: RFO_RELEASE_COMPONENT: no component hardened-moon; next: name one of hardened-cni-plugins, hardened-containerd, hardened-coredns, hardened-crictl, hardened-kubernetes, hardened-runc, kube-explorer, pause, rfo-upgrade, rke2-runtime, system-agent-installer-rfo, rfo',
    )
    const mirrored = await build(['mirrored-calico-typha'])
    expect([mirrored.code, last(mirrored)]).toEqual([2, expect.stringContaining('is mirrored: nothing of it is built')])
  })

  test('in the real world without a lock: exit 6, named or not', async () => {
    for (const names of [[], ['pause']]) {
      const ran = await run(project.folder, ['build', version, ...names])
      expect([ran.code, last(ran)]).toEqual([6, expect.stringContaining('RFO_LOCK_UNRESOLVED')])
    }
  })
})

test('what nobody named and nothing pins is left out; when that is all, what is missing is the answer', () => {
  const plan = smallPlan()
  const image = plan.images[0]
  if (image === undefined) throw new Error('a plan of nothing')
  const pin = { kind: 'git', url: 'https://example.test/x', tag: 'v1', commit: 'c'.repeat(40) } as const
  const pinned = { ...image, locked: { fingerprint: digestOf('b'), pin } }
  const unresolved = ['a', 'b', 'c', 'base/linux/amd64', 'chart/x'].map((what) => ({ what, reason: 'no network' }))
  const none = buildScope({ ...plan, unresolved }, [])
  expect(none.images).toEqual([])
  expect(none.needed.unresolved.map(({ what }) => what)).toEqual(['a', 'b', 'base/linux/amd64'])
  const some = buildScope(
    { ...plan, images: [pinned, ...plan.images.slice(1)], unresolved: unresolved.filter(({ what }) => what !== 'b') },
    [],
  )
  expect(some.images).toEqual([pinned])
  expect(some.leftOut).toMatchObject([{ image: { component: 'a' }, reason: 'a is not locked yet' }])
  expect(some.needed.images).toEqual([pinned])
  expect(some.needed.unresolved.map(({ what }) => what)).toEqual(['base/linux/amd64'])
})

test('--dry-run names images and platforms, and makes nothing', async () => {
  const ran = await build(['pause', '--dry-run', '--store', 'untouched'])
  expect([ran.code, ran.stdout]).toEqual([0, 'pause linux/amd64\npause linux/arm64\npause linux/riscv64\n'])
  const all = await build(['--dry-run', '--platform', 'amd64', '--store', 'untouched'])
  expect(all.stdout.split('\n').length).toBe(13)
  expect(await readdir(project.folder)).not.toContain('untouched')
})
