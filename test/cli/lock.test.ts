import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { run } from './ports.ts'

const root = join(import.meta.dirname, '../..')
let cwd: string
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'rfo-lock-'))
  cpSync(join(root, 'pipelines'), join(cwd, 'pipelines'), { recursive: true })
  cpSync(join(root, 'images.lock'), join(cwd, 'images.lock'))
})
afterEach(() => rmSync(cwd, { recursive: true }))

const lockText = () => readFileSync(join(cwd, 'images.lock'), 'utf8')

test('--check asks nobody, changes nothing, and says with exit 6 what is not pinned', async () => {
  const before = lockText()
  const { exit, stdout, stderr, lastLine } = await run(['lock', 'v1.25.4+rfor1', '--check'], { cwd })
  expect(exit).toBe(6)
  expect(lastLine).toMatch(/RFO_LOCK_UNRESOLVED: \d+ inputs are not pinned \(images.lock\); next: rfo-build lock v1.25.4\+rfor1$/)
  expect(stdout).toContain('nothing moved\n23 inputs are pinned')
  expect(stderr).toContain('rke2-runtime: ')
  expect(lockText()).toBe(before)
})

test('a pipeline that changed makes its pin stale, and only its own', async () => {
  const file = join(cwd, 'pipelines/hardened-coredns.yaml')
  writeFileSync(file, readFileSync(file, 'utf8').replace('go1.21.13', 'go1.21.12'))
  const { exit, stdout } = await run(['lock', 'v1.25.4+rfor1', '--check', '--json'], { cwd })
  expect(exit).toBe(6)
  const document = JSON.parse(stdout)
  expect(document.moved.map((each: { what: string }) => each.what)).toEqual(['hardened-coredns', 'tag/hardened-coredns'])
  expect(document.error.code).toBe('RFO_LOCK_STALE')
})

test('--rebuild gives another day to what it names, even where nobody can be asked; the day is that of the clock or of SOURCE_DATE_EPOCH', async () => {
  const env = { SOURCE_DATE_EPOCH: String(Date.UTC(2030, 0, 2, 23, 59) / 1000), RFO_MIRRORS: 'docker.io=http://127.0.0.1:1' }
  const argv = ['lock', 'v1.25.4+rfor1', '--check', '--rebuild', 'hardened-coredns', '--json']
  const { stdout } = await run(argv, { cwd, env })
  expect(JSON.parse(stdout).moved).toEqual([
    {
      what: 'tag/hardened-coredns',
      from: expect.stringMatching(/:v1\.9\.3-build20\d{6}$/),
      to: 'docker.io/rfolabs/hardened-coredns:v1.9.3-build20300102',
    },
  ])
  for (const wrong of ['now', '-1', '999999999999', '99999999999999999999'])
    expect(await run(argv, { cwd, env: { SOURCE_DATE_EPOCH: wrong } })).toMatchObject({ exit: 2 })
  expect(await run(['lock', 'v1.25.4+rfor1', '--rebuild', 'mirrored-calico-typha'], { cwd })).toMatchObject({
    exit: 2,
    lastLine: expect.stringContaining('v1.25.4+rfor1 rebuilds nothing called "mirrored-calico-typha"'),
  })
})

test('a folder without pipelines, a name that nothing has, an unknown upstream: exit 2', async () => {
  expect(await run(['lock', 'v1.25.4+rfor1'], { cwd: tmpdir() })).toMatchObject({ exit: 2 })
  expect(await run(['lock', 'v1.25.4+rfor1', '--check', '--update', 'moon'], { cwd })).toMatchObject({
    exit: 2,
    lastLine: expect.stringContaining('RFO_RELEASE_UPDATE'),
  })
  expect(await run(['lock', 'v1.25.4+rfor1', '--check', '--upstream', 'v1.25.4+rke2r9'], { cwd })).toMatchObject({
    exit: 2,
    lastLine: expect.stringContaining('RFO_RELEASE_UPSTREAM'),
  })
})
