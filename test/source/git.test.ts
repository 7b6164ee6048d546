import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { GitPin } from '../../src/plan/lock.ts'
import { openSource } from '../../src/source/open.ts'
import { resolveSource } from '../../src/source/resolve.ts'
import { tool } from '../tools.ts'

const git = tool('git')
const env = { PATH: process.env.PATH ?? '' }
const url = 'https://example.org/tool'

describe.skipIf(git.skip)('git', () => {
  let dir: string
  let repository: string
  let workDir: string
  const run = async (...args: string[]) =>
    (
      await promisify(execFile)(git.path, ['-C', repository, '-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args], {
        env: { ...env, GIT_CONFIG_GLOBAL: '/dev/null' },
      })
    ).stdout.trim()
  const options = () => ({ env, addresses: { [url]: `file://${repository}` }, host: 'linux-amd64' as const, workDir })
  const resolve = async (tag: string): Promise<GitPin> => (await resolveSource({ kind: 'git', url, tag }, options())) as GitPin

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'rfo-git-'))
    workDir = join(dir, 'work')
    repository = join(dir, 'repository')
    await mkdir(repository)
    await run('init', '--quiet', '-b', 'main')
    await mkdir(join(repository, 'bin'))
    await writeFile(join(repository, 'bin/run'), '#!/bin/sh\r\n', { mode: 0o755 })
    await writeFile(join(repository, '.gitattributes'), '*.txt filter=evil\n')
    await writeFile(join(repository, 'a.txt'), 'one\n')
    await symlink('run', join(repository, 'bin/link'))
    await run('add', '.')
    await run('commit', '--quiet', '-m', 'one')
    await run('tag', '-a', '-m', 'annotated', 'v1')
    await writeFile(join(repository, 'a.txt'), 'two\n')
    await run('commit', '--quiet', '-am', 'two')
    await run('tag', 'v2')
    await symlink('../../outside', join(repository, 'escape'))
    await run('add', '.')
    await run('commit', '--quiet', '-m', 'three')
    await run('tag', 'v3')
  })
  afterAll(async () => {
    await rm(dir, { recursive: true, force: true })
  })

  test('an annotated tag is peeled to its commit, a light one is the commit', async () => {
    expect(await resolve('v1')).toEqual({ kind: 'git', url, tag: 'v1', commit: await run('rev-parse', 'v1^{commit}') })
    expect((await resolve('v2')).commit).toBe(await run('rev-parse', 'v2'))
    await expect(resolve('v9')).rejects.toMatchObject({ code: 'RFO_SOURCE_TAG', exit: 'outside' })
  })

  test('opens just that commit, as its bytes lie, without .git', async () => {
    const pin = await resolve('v1')
    const opened = await openSource(pin, options())
    expect((await readdir(opened.dir)).sort()).toEqual(['.gitattributes', 'a.txt', 'bin'])
    expect(await readFile(join(opened.dir, 'a.txt'), 'utf8')).toBe('one\n')
    expect(await readFile(join(opened.dir, 'bin/link'), 'utf8')).toBe('#!/bin/sh\r\n')
    expect(opened.revision).toBe(`git+${url}@${pin.commit}`)
    expect(opened.materials).toEqual([{ uri: `git+${url}@refs/tags/v1`, digest: { gitCommit: pin.commit } }])
    await rm(opened.dir, { recursive: true })
  })

  test('a folder of it alone, as if it were all; one that is none, or leads elsewhere, is refused and nothing stays', async () => {
    const inside = async (folder: string): Promise<GitPin> =>
      (await resolveSource({ kind: 'git', url, tag: 'v1', folder }, options())) as GitPin
    const pin = await inside('bin')
    expect(pin).toMatchObject({ folder: 'bin' })
    const opened = await openSource(pin, options())
    expect((await readdir(opened.dir)).sort()).toEqual(['link', 'run'])
    await rm(opened.dir, { recursive: true })
    for (const none of ['a.txt', 'absent', 'bin/link']) {
      await expect(openSource(await inside(none), options())).rejects.toMatchObject({ code: 'RFO_SOURCE_FOLDER', exit: 'usage' })
    }
    expect(await readdir(join(workDir, 'sources'))).toEqual([])
  })

  test('a link of a folder to another one leads out of it', async () => {
    await run('checkout', '--quiet', '-b', 'linked', 'v1')
    await mkdir(join(repository, 'sub'))
    await symlink('../a.txt', join(repository, 'sub/a'))
    await run('add', '.')
    await run('commit', '--quiet', '-m', 'linked')
    await run('tag', 'v4')
    await run('checkout', '--quiet', 'main')
    const pin = (await resolveSource({ kind: 'git', url, tag: 'v4', folder: 'sub' }, options())) as GitPin
    await expect(openSource(pin, options())).rejects.toMatchObject({ code: 'RFO_SOURCE_PATH' })
    expect(await readdir(join(workDir, 'sources'))).toEqual([])
  })

  test('a moved tag does not matter while the commit is there; where it is gone, the difference is named', async () => {
    const pin = await resolve('v2')
    await run('tag', '-f', 'v2', 'v1^{commit}')
    await rm((await openSource(pin, options())).dir, { recursive: true })
    const gone = { ...pin, commit: '1'.repeat(40) }
    await expect(openSource(gone, options())).rejects.toMatchObject({
      code: 'RFO_SOURCE_SUM',
      exit: 'untrusted',
      message: expect.stringMatching(/expected 1{40}, got [0-9a-f]{40}/),
    })
  })

  test('a forced push that drops the commit is named; the lock still says what it was', async () => {
    const forced = join(dir, 'forced')
    const there = async (...args: string[]) =>
      (
        await promisify(execFile)(git.path, ['-C', forced, '-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args], {
          env: { ...env, GIT_CONFIG_GLOBAL: '/dev/null' },
        })
      ).stdout.trim()
    await promisify(execFile)(git.path, ['init', '--quiet', '-b', 'main', forced])
    await there('commit', '--quiet', '--allow-empty', '-m', 'one')
    await there('tag', 'v1')
    const at = { ...options(), addresses: { [url]: `file://${forced}` } }
    const pin = (await resolveSource({ kind: 'git', url, tag: 'v1' }, at)) as GitPin
    await there('commit', '--quiet', '--amend', '--allow-empty', '-m', 'another')
    await there('tag', '-f', 'v1')
    await there('reflog', 'expire', '--expire=now', '--all')
    await there('gc', '--quiet', '--prune=now')
    await expect(openSource(pin, at)).rejects.toMatchObject({
      code: 'RFO_SOURCE_SUM',
      exit: 'untrusted',
      message: expect.stringContaining(`expected ${pin.commit}, got ${await there('rev-parse', 'v1')}`),
    })
  })

  describe('several mirrors', () => {
    const over = (...places: string[]) => ({ ...options(), addresses: { [url]: places.map((place) => `file://${place}`) } })

    test('the next one is asked where the first is not there, or has not that tag or commit', async () => {
      const empty = join(dir, 'empty')
      await promisify(execFile)(git.path, ['init', '--quiet', '-b', 'main', empty])
      for (const first of [join(dir, 'nowhere'), empty]) {
        const at = over(first, repository)
        const pin = (await resolveSource({ kind: 'git', url, tag: 'v1' }, at)) as GitPin
        expect(pin).toEqual(await resolve('v1'))
        const opened = await openSource(pin, at)
        expect(await readFile(join(opened.dir, 'a.txt'), 'utf8')).toBe('one\n')
        expect(opened.revision).toBe(`git+${url}@${pin.commit}`)
        await rm(opened.dir, { recursive: true })
      }
      await expect(resolveSource({ kind: 'git', url, tag: 'v1' }, over(join(dir, 'nowhere'), empty))).rejects.toMatchObject({
        exit: 'outside',
      })
    })

    test('one that has another commit under the tag is refused, whatever the next one has', async () => {
      const other = join(dir, 'other')
      const there = ['-C', other, '-c', 'user.name=t', '-c', 'user.email=t@example.org']
      await promisify(execFile)(git.path, ['init', '--quiet', '-b', 'main', other])
      await promisify(execFile)(git.path, [...there, 'commit', '--quiet', '--allow-empty', '-m', 'evil'])
      await promisify(execFile)(git.path, [...there, 'tag', 'v1'])
      const before = await readdir(join(workDir, 'sources'))
      await expect(openSource(await resolve('v1'), over(other, repository))).rejects.toMatchObject({
        code: 'RFO_SOURCE_SUM',
        exit: 'untrusted',
        message: expect.stringContaining(await run('rev-parse', 'v1^{commit}')),
      })
      expect(await readdir(join(workDir, 'sources'))).toEqual(before)
    })
  })

  describe('submodules', () => {
    const other = 'https://example.org/parts/lib'
    let parent: string
    let library: string
    const inside = async (folder: string, ...args: string[]) =>
      (
        await promisify(execFile)(
          git.path,
          ['-C', folder, '-c', 'user.name=t', '-c', 'user.email=t@example.org', '-c', 'protocol.file.allow=always', ...args],
          { env: { ...env, GIT_CONFIG_GLOBAL: '/dev/null' } },
        )
      ).stdout.trim()
    const reached = () => ({ ...options(), addresses: { [url]: `file://${parent}`, [other]: `file://${library}` } })
    const opened = async (tag: string) =>
      openSource((await resolveSource({ kind: 'git', url, tag, submodules: true }, reached())) as GitPin, reached())

    beforeAll(async () => {
      ;[parent, library] = [join(dir, 'parent'), join(dir, 'library')]
      for (const folder of [parent, library]) await promisify(execFile)(git.path, ['init', '--quiet', '-b', 'main', folder])
      await writeFile(join(library, 'lib.c'), 'int x;\n')
      await inside(library, 'add', '.')
      await inside(library, 'commit', '--quiet', '-m', 'lib')
      await inside(parent, 'submodule', '--quiet', 'add', '--', library, 'third party/lib')
      for (const [tag, written] of [
        ['v1', other],
        ['v2', '../parts/lib'],
        ['v3', 'ext::sh -c touch% /tmp/x'],
        ['v4', 'file:///etc'],
      ] as const) {
        await inside(parent, 'config', '--file', '.gitmodules', 'submodule.third party/lib.url', written)
        await inside(parent, 'add', '.gitmodules')
        await inside(parent, 'commit', '--quiet', '-m', tag)
        await inside(parent, 'tag', tag)
      }
      // from here on the library has moved on: what the parent names is what counts
      await writeFile(join(library, 'lib.c'), 'int y;\n')
      await inside(library, 'commit', '--quiet', '-am', 'later')
    })

    test('are opened at the commit that the parent names, without .git, and are materials of their own', async () => {
      const source = await opened('v1')
      expect(await readFile(join(source.dir, 'third party/lib/lib.c'), 'utf8')).toBe('int x;\n')
      expect((await readdir(join(source.dir, 'third party/lib'))).sort()).toEqual(['lib.c'])
      const commit = await inside(library, 'rev-parse', 'HEAD^')
      expect(source.materials.slice(1)).toEqual([{ uri: `git+${other}@${commit}`, digest: { gitCommit: commit }, name: 'third party/lib' }])
      await rm(source.dir, { recursive: true })
      const neighbour = await opened('v2')
      expect(neighbour.materials.slice(1)).toEqual(source.materials.slice(1))
      await rm(neighbour.dir, { recursive: true })
    })

    test('are left alone where the pipeline does not ask for them', async () => {
      const source = await openSource((await resolveSource({ kind: 'git', url, tag: 'v1' }, reached())) as GitPin, reached())
      expect(await readdir(join(source.dir, 'third party/lib'))).toEqual([])
      await rm(source.dir, { recursive: true })
    })

    test('a URL that is no https URL is refused before anything is asked', async () => {
      for (const tag of ['v3', 'v4']) await expect(opened(tag)).rejects.toMatchObject({ code: 'RFO_SOURCE_SUBMODULE', exit: 'untrusted' })
    })

    test('one whose commit is gone is named', async () => {
      const at = { ...reached(), addresses: { [url]: `file://${parent}`, [other]: `file://${repository}` } }
      const pin = (await resolveSource({ kind: 'git', url, tag: 'v1', submodules: true }, at)) as GitPin
      await expect(openSource(pin, at)).rejects.toMatchObject({ code: 'RFO_SOURCE_SUM', message: expect.stringContaining(other) })
    })
  })

  test('a link that leads out of the checkout is refused, and nothing stays', async () => {
    const before = await readdir(join(workDir, 'sources'))
    await expect(openSource(await resolve('v3'), options())).rejects.toMatchObject({ code: 'RFO_SOURCE_PATH' })
    expect(await readdir(join(workDir, 'sources'))).toEqual(before)
  })

  test('no repository, no git', async () => {
    await expect(
      resolveSource({ kind: 'git', url, tag: 'v1' }, { ...options(), addresses: { [url]: `file://${dir}/absent` } }),
    ).rejects.toMatchObject({ code: 'RFO_SOURCE_GIT', exit: 'outside' })
    await expect(resolveSource({ kind: 'git', url, tag: 'v1' }, { ...options(), env: { PATH: dir } })).rejects.toMatchObject({
      code: 'RFO_SOURCE_GIT',
      exit: 'machine',
    })
  })

  test('a tag cannot be an option', async () => {
    await expect(resolveSource({ kind: 'git', url, tag: '--upload-pack=touch /tmp/x' }, options())).rejects.toMatchObject({
      code: 'RFO_SOURCE_TAG',
    })
  })
})
