import { execFile } from 'node:child_process'
import { createPrivateKey, createPublicKey } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { sandboxKey } from '../../src/sandbox/key.ts'

let state: string
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), 'rfo-key-'))
})
afterEach(() => rm(state, { recursive: true, force: true }))

test('is made once, 0600, and survives a second start', async () => {
  const first = await sandboxKey(state)
  expect(await sandboxKey(state)).toEqual(first)
  expect((await stat(join(state, 'sandbox/cosign.key'))).mode & 0o777).toBe(0o600)
  expect((await stat(join(state, 'sandbox/cosign.pub'))).mode & 0o777).toBe(0o644)
  expect(await readFile(join(state, 'sandbox/cosign.pub'), 'utf8')).toBe(first.publicPem)
  expect(createPublicKey(createPrivateKey(first.privatePem)).export({ type: 'spki', format: 'pem' })).toBe(first.publicPem)
  expect(createPrivateKey(first.privatePem).asymmetricKeyDetails?.namedCurve).toBe('prime256v1')
  expect(await readdir(state)).toEqual(['sandbox'])
})

test('processes that start together agree on one key', async () => {
  const url = new URL('../../src/sandbox/key.ts', import.meta.url).href
  const script = `const { sandboxKey } = await import(${JSON.stringify(url)}); process.stdout.write((await sandboxKey(${JSON.stringify(state)})).privatePem)`
  const run = promisify(execFile)
  const keys = await Promise.all(
    Array.from({ length: 6 }, async () => (await run(process.execPath, ['--input-type=module', '-e', script])).stdout),
  )
  expect(new Set(keys).size).toBe(1)
  expect(await readdir(state)).toEqual(['sandbox'])
})

test('calls that start together agree too', async () => {
  const keys = await Promise.all(Array.from({ length: 20 }, () => sandboxKey(state)))
  expect(new Set(keys.map((key) => key.privatePem)).size).toBe(1)
})

test('a spoilt key is an error that says what to do, and is left alone', async () => {
  await mkdir(join(state, 'sandbox'))
  await writeFile(join(state, 'sandbox/cosign.key'), 'no key')
  for (const other of ['sm2.key', 'pgp.key']) await writeFile(join(state, 'sandbox', other), '')
  await expect(sandboxKey(state)).rejects.toMatchObject({
    code: 'RFO_SANDBOX_KEY',
    exit: 'machine',
    next: expect.stringContaining('rm -r'),
  })
  expect(await readFile(join(state, 'sandbox/cosign.key'), 'utf8')).toBe('no key')
})

test('a folder of other things is not taken over', async () => {
  await mkdir(join(state, 'sandbox'))
  await writeFile(join(state, 'sandbox/mine'), '')
  await expect(sandboxKey(state)).rejects.toMatchObject({ code: 'RFO_SANDBOX_KEY' })
  expect(await readdir(state)).toEqual(['sandbox'])
})
