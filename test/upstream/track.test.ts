import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { compareVersions } from '../../src/plan/version.ts'
import { cloneState, parseRefs } from '../../src/upstream/clone.ts'
import { recordedState } from '../../src/upstream/recorded.ts'
import { readTags } from '../../src/upstream/track.ts'
import { run } from '../cli/ports.ts'
import { tool } from '../tools.ts'
import { standIn } from './github.ts'

const root = join(import.meta.dirname, '../..')
const fixture = join(import.meta.dirname, 'fixtures/rke2-tags.json')
const git = tool('git')
const env = { PATH: process.env.PATH ?? '' }

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rfo-track-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

describe('all real tags of RKE2', () => {
  test('1,114 are versions and 49 are named as odd, the one with U+2028 among them', async () => {
    const tags = await recordedState(fixture).tags(() => true)
    expect(tags).toHaveLength(1163)
    const { versions, odd } = readTags(tags)
    expect({ versions: versions.length, odd: odd.length }).toEqual({ versions: 1114, odd: 49 })
    expect(versions.filter(({ version }) => version.pre === undefined)).toHaveLength(311)
    const kinds = Map.groupBy(versions, ({ version }) => version.pre?.kind)
    expect({ rc: kinds.get('rc')?.length, alpha: kinds.get('alpha')?.length, beta: kinds.get('beta')?.length }).toEqual({
      rc: 790,
      alpha: 10,
      beta: 3,
    })
    expect(odd).toContainEqual({ name: 'v1.25.15-rc1+rke2r2\u2028', why: 'U+2028 is in it' })
    expect(odd).toContainEqual({ name: 'v1.18.4-alpha10+rke2', why: 'it has no revision: +rke2' })
    expect(versions.every(({ date }) => !Number.isNaN(Date.parse(date ?? '')))).toBe(true)
    // a total order: no two tags are the same version
    const sorted = versions.toSorted((a, b) => compareVersions(a.version, b.version))
    for (const [at, each] of sorted.slice(1).entries()) expect(compareVersions(sorted[at]!.version, each.version)).toBeLessThan(0)
  })

  test('what is no commit, or is there twice, is odd', () => {
    const commit = 'a'.repeat(40)
    const { versions, odd } = readTags([
      { name: 'v1.24.8+rke2r1', commit },
      { name: 'v1.24.8+rke2r1', commit },
      { name: 'v1.24.9+rke2r1' },
      { name: 'v1.24.10+rke2r1', commit: 'HEAD' },
      { name: 'v1.24.11+rke2r1 ', commit },
      { name: '', commit },
    ])
    expect(versions).toHaveLength(1)
    expect(odd.map(({ why }) => why)).toEqual([
      'it is there twice',
      'it names no commit',
      'it names no commit',
      'U+0020 is in it',
      'not of the form vX.Y.Z[-rcN]+rke2rN',
    ])
  })
})

describe('a clone', () => {
  const at = { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' }
  const command = (args: readonly string[], date = '2022-11-14T14:25:00+01:00', input?: string) =>
    execFileSync('git', ['-C', folder, '-c', 'user.name=a', '-c', 'user.email=a@b', ...args], {
      env: { ...at, GIT_COMMITTER_DATE: date, GIT_AUTHOR_DATE: date },
      encoding: 'utf8',
      ...(input === undefined ? {} : { input }),
    }).trim()

  test.skipIf(git.skip)('gives every real name with commit and date; an annotated tag means its commit, a tag of a file none', async () => {
    command(['init', '--quiet'])
    command(['commit', '--quiet', '--allow-empty', '-m', 'one'])
    const commit = command(['rev-parse', 'HEAD'])
    const { tags: recorded } = JSON.parse(readFileSync(fixture, 'utf8')) as { tags: [string][] }
    command(['update-ref', '--stdin', '-z'], undefined, recorded.map(([name]) => `create refs/tags/${name}\0${commit}\0`).join(''))
    command(['tag', '-a', '-m', 'a tag object', 'v9.9.9+rke2r1'], '2023-01-01T00:00:00Z')
    writeFileSync(join(folder, 'file'), 'x')
    command(['tag', 'v9.9.8+rke2r1', command(['hash-object', '-w', 'file'])])
    const tags = await cloneState(folder, env).tags(() => true)
    expect(tags).toHaveLength(recorded.length + 2)
    const whole = { commit, date: '2022-11-14T14:25:00+01:00' }
    expect(tags).toContainEqual({ name: 'v1.25.15-rc1+rke2r2\u2028', ...whole })
    expect(tags).toContainEqual({ name: 'v9.9.9+rke2r1', ...whole })
    expect(tags).toContainEqual({ name: 'v9.9.8+rke2r1' })
    const { versions, odd } = readTags(tags)
    expect({ versions: versions.length, odd: odd.length }).toEqual({ versions: 1115, odd: 50 })
  })

  test.skipIf(git.skip)('a folder that is none is exit 2, and its name is no option', async () => {
    await expect(cloneState(folder, env).tags(() => true)).rejects.toMatchObject({
      code: 'RFO_UPSTREAM_CLONE',
      exit: 'usage',
      where: folder,
    })
    await expect(cloneState('--exec=x', env).tags(() => true)).rejects.toMatchObject({ code: 'RFO_UPSTREAM_CLONE' })
  })

  test('a broken record is not read past its end', () => {
    expect(parseRefs(Buffer.from(''))).toEqual([])
    expect(parseRefs(Buffer.from('a\0b\0c'))).toEqual([])
    expect(parseRefs(Buffer.from('v1\0aa\0\x002022-11-14T14:25:00+01:00\0\0\n'))).toEqual([
      { name: 'v1', commit: 'aa', date: '2022-11-14T14:25:00+01:00' },
    ])
  })
})

describe('a recorded file', () => {
  test.each([
    ['no JSON', '{'],
    ['another schema', '{"schema":"x/1","repository":"a/b","tags":[]}'],
    ['no list', '{"schema":"rfo-build.upstream-tags/1","repository":"a/b","tags":{}}'],
    ['a commit that is none', '{"schema":"rfo-build.upstream-tags/1","repository":"a/b","tags":[["v1","HEAD",null]]}'],
    ['a date without zone', '{"schema":"rfo-build.upstream-tags/1","repository":"a/b","tags":[["v1",null,"2022-11-14T14:25:00"]]}'],
  ])('%s is exit 2', async (_, text) => {
    const file = join(folder, 'tags.json')
    writeFileSync(file, text)
    await expect(recordedState(file).tags(() => true)).rejects.toMatchObject({ code: 'RFO_UPSTREAM_RECORDED', exit: 'usage', where: file })
  })

  test('one that is not there, or a folder, is exit 2', async () => {
    await expect(recordedState(join(folder, 'none')).tags(() => true)).rejects.toMatchObject({ code: 'RFO_UPSTREAM_RECORDED' })
  })
})

describe('the command', () => {
  beforeEach(() => {
    mkdirSync(join(folder, 'pipelines'))
    for (const name of ['track', 'upstream']) cpSync(join(root, 'pipelines', name), join(folder, 'pipelines', name), { recursive: true })
    cpSync(join(root, 'images.lock'), join(folder, 'images.lock'))
    writeFileSync(
      join(folder, 'pipelines/track/released.yaml'),
      'how: as of November 2022\nreleases: {v1.23.13+rfor1: null, v1.24.7+rfor1: null, v1.25.3+rfor1: null}\n',
    )
    rmSync(join(folder, 'images.lock'))
  })
  const ask = (argv: readonly string[], change: Parameters<typeof run>[1] = {}) =>
    run(['track', ...argv], { cwd: folder, now: () => Date.parse('2022-11-22T00:00:00Z'), ...change })

  test('says version, why, due and overdue of November 2022, by the clock or by --at', async () => {
    const { exit, stdout } = await ask(['--from', fixture])
    expect(exit).toBe(0)
    expect(stdout).toContain(
      'v1.24  v1.24.8+rfor1 (v1.24.8+rke2r1); follows v1.24.7+rfor1; RKE2 is ahead since 2022-11-14T13:25:00.000Z; due 2022-11-21T13:25:00.000Z; OVERDUE by 0 days\n',
    )
    expect(stdout).toContain('v1.23.14+rfor1 (v1.23.14+rke2r1)')
    expect(stdout).toContain('49 tags are no versions of RKE2: "v1.25.15-rc1+rke2r2\\u2028", ')
    expect(stdout.trimEnd().split('\n').at(-1)).toBe('3 due, 2 of them overdue')
    expect((await ask(['--from', fixture, '--at', '2022-11-01'])).stdout).toContain('0 due, 0 of them overdue')
    expect((await ask(['--from', fixture, '--lang', 'zh'])).stdout).toContain('到期 3 个，其中逾期 2 个')
  })

  test('--exit-code is 11 when something is due, else 0; --json names all', async () => {
    const { exit, stdout } = await ask(['--from', `file://${fixture}`, '--exit-code', '--json'])
    expect(exit).toBe(11)
    const document = JSON.parse(stdout)
    expect(document).toMatchObject({ schema: 'rfo-build.track/1', ok: false, exit: 11, at: '2022-11-22T00:00:00.000Z', versions: 1114 })
    expect(document.due.map(({ version, why, overdue }: Record<string, unknown>) => [version, why, overdue])).toEqual([
      ['v1.23.14+rfor1', 'patch', false],
      ['v1.24.8+rfor1', 'patch', true],
      ['v1.25.4+rfor1', 'patch', true],
    ])
    expect(document.odd).toHaveLength(49)
    expect((await ask(['--from', fixture, '--exit-code', '--at', '2022-11-01'])).exit).toBe(0)
  })

  test('what the lock holds is made', async () => {
    cpSync(join(root, 'images.lock'), join(folder, 'images.lock'))
    expect((await ask(['--from', fixture])).stdout).toContain('v1.24  nothing is due after v1.24.8+rfor1\n')
  })

  test('over the network: a failure is retried, an issue is opened once, --dry-run opens none, the token is nowhere', async () => {
    const stand = await standIn()
    try {
      stand.tags = JSON.parse(readFileSync(fixture, 'utf8')).tags.filter(([name]: [string]) => /^v1\.2[34]\./.test(name))
      const token = 'ghp_neverprinted0123456789'
      const change = { env: { ...env, GITHUB_API_URL: stand.url, GITHUB_TOKEN: token, GITHUB_REPOSITORY: 'rfolabs/rfo' } }
      const argv = ['--issue', '--at', '2022-11-15T00:00:00Z']
      const dry = await ask([...argv, '--dry-run'], change)
      expect(dry.stdout).toContain(
        '# v1.24.8+rfor1: follow RKE2 v1.24.8+rke2r1\n\nRKE2 v1.24.8+rke2r1 (commit b061438ce1f04518d980aac842b62f92095d793d)',
      )
      expect(stand.issues).toEqual([])
      stand.faults.push((_, response) => {
        response.writeHead(500, { 'content-type': 'application/json' }).end('{}')
        return true
      })
      const first = await ask(argv, change)
      expect(first).toMatchObject({ exit: 0, stderr: '' })
      expect(first.stdout).toContain('v1.24.8+rfor1: https://github.test/rfolabs/rfo/issues/1\n')
      const second = await ask([...argv, '--json'], change)
      expect(JSON.parse(second.stdout).issues).toMatchObject([{ version: 'v1.24.8+rfor1', created: false }])
      expect(stand.issues).toHaveLength(1)
      expect(JSON.stringify([dry, first, second])).not.toContain(token)
    } finally {
      await stand.close()
    }
  })

  test('nobody there is exit 8; a wrong --at, --from or folder is exit 2', async () => {
    const stand = await standIn()
    stand.faults.push((_, response) => {
      response.writeHead(404, { 'content-type': 'application/json' }).end('{}')
      return true
    })
    const change = { env: { ...env, GITHUB_API_URL: stand.url } }
    expect(await ask([], change)).toMatchObject({ exit: 8, lastLine: expect.stringContaining('RFO_UPSTREAM_GITHUB: status 404') })
    await stand.close()
    expect(await ask(['--from', fixture, '--at', 'yesterday'])).toMatchObject({ exit: 2 })
    expect(await ask(['--from', 'https://github.com/rancher/rke2'])).toMatchObject({ exit: 2 })
    expect(await ask(['--from', 'nowhere'])).toMatchObject({ exit: 2 })
    writeFileSync(
      join(folder, 'none.json'),
      '{"schema":"rfo-build.upstream-tags/1","repository":"rancher/rke2","tags":[["v1.0",null,null]]}',
    )
    const none = await ask(['--from', 'none.json', '--exit-code'])
    expect(none).toMatchObject({ exit: 2, lastLine: expect.stringContaining('RFO_RELEASE_TRACK: no tag there is a version of RKE2') })
    expect(await ask(['--from', fixture], { cwd: tmpdir() })).toMatchObject({ exit: 2 })
  })
})
