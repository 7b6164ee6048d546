import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { tool } from '../tools.ts'
import { run } from './ports.ts'

let cwd: string
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'rfo-keys-'))
})
afterEach(() => rmSync(cwd, { recursive: true }))

const openssl = tool('openssl')
const cosign = tool('cosign3')

test.skipIf(openssl.skip)('generate writes a key pair whose fingerprint openssl gives, too', async () => {
  const { exit, stdout } = await run(['keys', 'generate', '--dir', 'k', '--json'], { cwd })
  expect(exit).toBe(0)
  const made = JSON.parse(stdout)
  expect(made).toMatchObject({ schema: 'rfo-build.keys-generate/1', private: join(cwd, 'k/rfo.key'), public: join(cwd, 'k/rfo.pub') })
  expect(statSync(made.private).mode & 0o777).toBe(0o600)
  const der = spawnSync(openssl.path, ['pkey', '-in', made.private, '-pubout', '-outform', 'DER'])
  const sum = spawnSync(openssl.path, ['dgst', '-sha256', '-r'], { input: der.stdout }).stdout.toString().split(' ')[0]
  expect(made.fingerprint).toBe(`sha256:${sum}`)
  expect((await run(['keys', 'show', 'k/rfo.pub'], { cwd })).stdout).toBe(`sha256:${sum}  ${made.public}\n`)
  expect((await run(['keys', 'show', '--trust', 'k'], { cwd })).stdout).toContain(made.fingerprint)
})

test('a value may be spelt like a command', async () => {
  expect((await run(['keys', 'generate', '--dir', 'keys'], { cwd })).exit).toBe(0)
})

test('a key that is there is kept', async () => {
  await run(['keys', 'generate'], { cwd })
  const before = readFileSync(join(cwd, 'rfo.key'), 'utf8')
  const { exit, lastLine } = await run(['keys', 'generate'], { cwd })
  expect(exit).toBe(2)
  expect(lastLine).toContain('RFO_CLI_EXISTS')
  expect(readFileSync(join(cwd, 'rfo.key'), 'utf8')).toBe(before)
})

test('--dry-run writes nothing', async () => {
  expect((await run(['keys', 'generate', '--dir', 'k', '--dry-run'], { cwd })).exit).toBe(0)
  expect(() => statSync(join(cwd, 'k'))).toThrow()
})

test.skipIf(cosign.skip)('cosign reads its own key file', async () => {
  const env = { PATH: process.env.PATH ?? '', RFO_KEY_PASSWORD: 'correct horse' }
  expect((await run(['keys', 'generate', '--cosign'], { cwd, env })).exit).toBe(0)
  const shown = spawnSync(cosign.path, ['public-key', '--key', 'rfo.key'], {
    cwd,
    env: { ...env, HOME: cwd, COSIGN_PASSWORD: 'correct horse' },
  })
  expect(shown.stdout.toString()).toBe(readFileSync(join(cwd, 'rfo.pub'), 'utf8'))
})

test('--cosign without a password, and files that are no keys', async () => {
  expect((await run(['keys', 'generate', '--cosign'], { cwd })).lastLine).toContain('RFO_CLI_PASSWORD')
  expect(await run(['keys', 'show', 'absent.pub'], { cwd })).toMatchObject({ exit: 2, lastLine: expect.stringContaining('absent.pub') })
  await run(['keys', 'generate'], { cwd })
  expect(await run(['keys', 'show', 'rfo.key'], { cwd })).toMatchObject({ exit: 2, lastLine: expect.stringContaining('RFO_SIGN_KEY') })
})

test('keys of SM2 and PGP are made beside the release’s own, shown, and sign', async () => {
  expect((await run(['keys', 'generate'], { cwd })).exit).toBe(0)
  const made = await run(['keys', 'generate', '--sm2', '--pgp', '--json'], { cwd })
  expect(made.exit).toBe(0)
  const { keys } = JSON.parse(made.stdout) as { keys: { private: string; public: string; fingerprint: string }[] }
  expect(keys.map((pair) => pair.private)).toEqual([join(cwd, 'rfo.sm2.key'), join(cwd, 'rfo.pgp.key')])
  for (const pair of keys) expect(statSync(pair.private).mode & 0o777).toBe(0o600)
  const shown = await run(['keys', 'show', 'rfo.pub', 'rfo.sm2.pub', 'rfo.pgp.pub'], { cwd })
  for (const pair of keys) expect(shown.stdout).toContain(`${pair.fingerprint}  ${pair.public}\n`)
  const { readReleaseKeys } = await import('../../src/cli/key-files.ts')
  const files = ['rfo.key', 'rfo.sm2.key', 'rfo.pgp.key'].map((name) => ({ file: name, text: readFileSync(join(cwd, name), 'utf8') }))
  const read = await readReleaseKeys(files, undefined)
  expect([read.sm2?.publicKey.fingerprint, read.pgp?.publicKey.fingerprint]).toEqual(keys.map((pair) => pair.fingerprint))
  await expect(readReleaseKeys(files.slice(1), undefined)).rejects.toMatchObject({ code: 'RFO_CLI_KEY', exit: 'usage' })
  await expect(readReleaseKeys([...files, ...files], undefined)).rejects.toMatchObject({ code: 'RFO_CLI_KEY' })
})
