/** `trust` and `keys rotate` as a person types them. */
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { generateKey, readPublicKey } from '../../src/sign/key.ts'
import { driverFolder, makeToken, pin, skipTokens } from '../sign/token.ts'
import { type Run, run } from './ports.ts'

const now = () => Date.parse('2026-11-01T00:00:00Z')
let cwd: string
const fingerprints: Record<string, string> = {}
const go = (...argv: string[]): Promise<Run> => run(argv, { cwd, now })

beforeAll(async () => {
  cwd = mkdtempSync(join(tmpdir(), 'rfo-trust-cli-'))
  for (const name of ['a', 'b', 'c', 'release', 'next']) {
    const pair = generateKey()
    writeFileSync(join(cwd, `${name}.key`), pair.privatePem)
    writeFileSync(join(cwd, `${name}.pub`), pair.publicPem)
    fingerprints[name] = readPublicKey(pair.publicPem).fingerprint
  }
  const init = ['trust', 'init', '--root-key', 'a.pub', '--root-key', 'b.pub', '--threshold', '2', '--targets-key', 'a.pub']
  expect(await go(...init, '--release-key', 'release.pub', '--sign-key', 'a.key')).toMatchObject({ exit: 2 })
  expect(existsSync(join(cwd, 'trust'))).toBe(false)
  const made = await go(...init, '--release-key', 'release.pub', '--sign-key', 'a.key', '--sign-key', 'b.key', '--json')
  expect(JSON.parse(made.stdout)).toMatchObject({ schema: 'rfo-build.trust-init/1', root: 1, until: '2027-12-06T00:00:00Z' })
})
afterAll(() => rmSync(cwd, { recursive: true }))

test('metadata that is there is kept', async () => {
  const again = await go('trust', 'init', '--root-key', 'a.pub', '--release-key', 'release.pub', '--sign-key', 'a.key')
  expect([again.exit, again.lastLine]).toEqual([2, expect.stringContaining('RFO_CLI_EXISTS')])
})

test('what is said is shown, carried, and taken where it is newer alone', async () => {
  expect((await go('trust', 'import', 'trust', '--trust', 'carried')).exit).toBe(0)
  expect((await go('trust', 'export', '-o', 'first.json')).exit).toBe(0)
  const old = join(cwd, 'old')
  cpSync(join(cwd, 'trust'), old, { recursive: true })
  const by = ['--sign-key', 'a.key']
  expect((await go('trust', 'withdraw', 'v1.24.8+rfor1', '--reason', 'no network', '--replaced-by', 'v1.24.8+rfor2', ...by)).exit).toBe(0)
  expect((await go('trust', 'lowest', 'v1.24.8+rfor2', ...by)).exit).toBe(0)
  expect((await go('trust', 'revoke', fingerprints['release'] ?? '', '--reason', 'stolen', ...by)).exit).toBe(0)
  expect((await go('keys', 'rotate', '--release-key', 'next.pub', ...by)).exit).toBe(0)
  const both = ['--sign-key', 'a.key', '--sign-key', 'b.key']
  expect((await go('keys', 'rotate', '--root-key', 'c.pub', ...both)).exit).toBe(0)
  const shown = JSON.parse((await go('trust', 'show', '--json')).stdout)
  expect(shown).toMatchObject({
    root: 2,
    rootKeys: { threshold: 2, keys: [fingerprints['a'], fingerprints['b'], fingerprints['c']] },
    keys: [{ fingerprint: fingerprints['release'] }, { fingerprint: fingerprints['next'] }],
    revoked: [{ fingerprint: fingerprints['release'], reason: 'stolen', at: '2026-11-01T00:00:00Z' }],
    withdrawn: [{ version: 'v1.24.8+rfor1', reason: 'no network', replacedBy: 'v1.24.8+rfor2' }],
    lowest: { 'v1.24': 'v1.24.8+rfor2' },
  })
  expect((await go('trust', 'show')).stdout).toContain(shown.keys[1].digits)
  expect((await go('trust', 'renew', '--days', '10', ...by)).stdout).toContain('2026-11-11')
  expect((await go('trust', 'export', '-o', 'last.json')).exit).toBe(0)
  expect((await go('trust', 'import', 'last.json', '--trust', 'carried')).stdout).toContain('root 2')
  const fallen = await go('trust', 'import', 'first.json', '--trust', 'carried')
  expect([fallen.exit, fallen.lastLine]).toEqual([3, expect.stringContaining('RFO_SIGN_ROLLBACK')])
  expect((await go('trust', 'import', 'old', '--trust', 'carried')).exit).toBe(3)
  expect((await go('trust', 'import', 'last.json', '--trust', 'carried')).exit).toBe(0)
  expect((await go('trust', 'show', '--trust', 'last.json')).exit).toBe(0)
  expect(readdirSync(join(cwd, 'carried'), { recursive: true }).some((name) => String(name).startsWith('.'))).toBe(false)
})

test('two who never meet sign one draft, and it is taken once enough have', async () => {
  const machines = ['at-a', 'at-b'].map((name) => join(cwd, name))
  const [atA = '', atB = ''] = machines
  const on = (trust: string, ...argv: string[]) => go(...argv, '--trust', trust)
  const init = ['trust', 'init', '--root-key', 'a.pub', '--root-key', 'b.pub', '--threshold', '2', '--release-key', 'release.pub']
  expect((await on(atA, ...init, '--targets-threshold', '2', '--draft', 'd.json', '--sign-key', 'a.key')).stdout).toContain(
    'root 1: 1 of the 2',
  )
  expect(existsSync(atA)).toBe(false)
  expect(await on(atA, 'trust', 'import', 'd.json')).toMatchObject({ exit: 3, lastLine: expect.stringContaining('RFO_SIGN_TRUST') })
  expect((await on(atB, 'trust', 'sign', 'd.json', '--sign-key', 'b.key')).stdout).toContain('rfo-build trust import')
  for (const trust of machines) expect((await on(trust, 'trust', 'import', 'd.json')).exit).toBe(0)

  // other keys decide: each signs a copy of his own, the old ones and the new one
  const rotate = ['keys', 'rotate', '--root-key', 'c.pub', '--remove', fingerprints['b'] ?? '', '--draft', 'r.json']
  expect((await on(atA, ...rotate)).stdout).toContain('root 2: 0 of the 2')
  for (const name of ['a', 'b', 'c']) {
    cpSync(join(cwd, 'r.json'), join(cwd, `r-${name}.json`))
    expect((await on(atB, 'trust', 'sign', `r-${name}.json`, '--sign-key', `${name}.key`)).exit).toBe(0)
  }
  const two = await on(atA, 'trust', 'sign', 'r.json', 'r-c.json', 'r-a.json', '--json')
  const lacks = { role: 'root', version: 2, signed: 1, threshold: 2, byRoot: 1 }
  expect(JSON.parse(two.stdout).lacking).toEqual([lacks])
  expect((await on(atA, 'trust', 'import', 'r.json')).exit).toBe(3)
  expect(JSON.parse((await on(atA, 'trust', 'sign', 'r.json', 'r-b.json', '--json')).stdout)).toMatchObject({ root: 2, lacking: [] })
  for (const trust of machines) expect((await on(trust, 'trust', 'import', 'r.json')).stdout).toContain('root 2')

  // a draft of before, of others, with other words, and a key that nobody asked
  expect(await on(atB, 'trust', 'sign', 'd.json', '--sign-key', 'a.key')).toMatchObject({
    exit: 3,
    lastLine: expect.stringContaining('ROLLBACK'),
  })
  expect((await on(atB, 'trust', 'renew', '--draft', 'n.json', '--sign-key', 'a.key')).exit).toBe(0)
  expect((await on(atB, 'trust', 'sign', 'n.json', 'd.json')).exit).toBe(3)
  expect((await on(atB, 'trust', 'sign', 'n.json', '--sign-key', 'b.key')).lastLine).toContain('RFO_SIGN_CHANGE')
  const other = readFileSync(join(cwd, 'n.json'), 'utf8').replace(/(\\"expires\\":\\")2027/, '$12028')
  writeFileSync(join(cwd, 'other.json'), other)
  expect((await on(atB, 'trust', 'sign', 'n.json', 'other.json')).exit).toBe(3)
  expect((await on(atB, 'trust', 'sign', 'n.json', '--sign-key', 'c.key')).stdout).toContain('rfo-build trust import')
  expect((await on(atB, 'trust', 'import', 'n.json')).exit).toBe(0)
})

test('another one’s metadata is not taken, nor what is none', async () => {
  await go('trust', 'init', '--root-key', 'c.pub', '--release-key', 'c.pub', '--sign-key', 'c.key', '--trust', 'theirs')
  expect((await go('trust', 'import', 'theirs')).exit).toBe(3)
  writeFileSync(join(cwd, 'odd.json'), readFileSync(join(cwd, 'first.json'), 'utf8').replace('"files"', '"files":{},"files"'))
  expect((await go('trust', 'import', 'odd.json')).exit).toBe(3)
  expect((await go('trust', 'import', 'absent.json')).exit).toBe(2)
  expect((await go('trust', 'show', '--trust', 'nowhere')).lastLine).toContain('rfo-build trust init')
})

test('usage: no reason, nothing to rotate, a threshold out of reach, a key that is none', async () => {
  const by = ['--sign-key', 'a.key', '--sign-key', 'b.key']
  for (const argv of [
    ['trust', 'withdraw', 'v1.24.8+rfor9', ...by],
    ['trust', 'lowest', 'v1.24', ...by],
    ['trust', 'revoke', 'cafe', '--reason', 'x', ...by],
    ['keys', 'rotate', ...by],
    ['keys', 'rotate', '--threshold', '9', ...by],
    ['keys', 'rotate', '--remove', 'sha256:0', ...by],
    ['trust', 'renew', '--days', '0', ...by],
    ['trust', 'renew'],
    ['trust', 'export'],
  ])
    expect([argv.join(' '), (await go(...argv)).exit]).toEqual([argv.join(' '), 2])
})

test.skipIf(skipTokens)('a key in a token signs metadata as one in a file does', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rfo-trust-token-'))
  try {
    const token = makeToken(folder)
    Object.assign(process.env, { SOFTHSM2_CONF: token.env['SOFTHSM2_CONF'] })
    symlinkSync(join(driverFolder ?? '', 'node_modules'), join(folder, 'node_modules'))
    writeFileSync(join(folder, 'token.pub'), token.publicPem)
    writeFileSync(join(folder, 'release.pub'), readFileSync(join(cwd, 'release.pub')))
    const on = (...argv: string[]) => run(argv, { cwd: folder, now, env: { RFO_KEY_PASSWORD: pin } })
    const by = ['--sign-key', token.uri]
    expect(await on('trust', 'init', '--root-key', 'token.pub', '--release-key', 'release.pub', ...by)).toMatchObject({ exit: 0 })
    expect(await on('trust', 'lowest', 'v1.24.8+rfor2', ...by)).toMatchObject({ exit: 0 })
    const shown = JSON.parse((await on('trust', 'show', '--json')).stdout)
    expect(shown).toMatchObject({ rootKeys: { keys: [readPublicKey(token.publicPem).fingerprint] }, lowest: { 'v1.24': 'v1.24.8+rfor2' } })
  } finally {
    rmSync(folder, { recursive: true })
  }
})
