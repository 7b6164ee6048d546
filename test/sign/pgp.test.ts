/** OpenPGP: the same bytes for the same key and time, keys of gpg's making, and what is refused. helm, gpg and dnf judge in test/release/packed.test.ts. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import {
  generatePgpKey,
  isPgpKey,
  type PgpKey,
  readPgpKey,
  readPgpPublicKey,
  verifyClearSigned,
  verifyDetached,
} from '../../src/sign/pgp.ts'
import { tool } from '../tools.ts'

const text = 'name: x\n\n...\nfiles:\n  x-1.tgz: sha256:00\n'
const time = 1_668_432_300
let privateText: string
let key: PgpKey
beforeAll(async () => {
  privateText = (await generatePgpKey('RFO', time - 1, 3072)).privateText
  key = await readPgpKey(privateText)
})

test('the same key, text and time give the same bytes, which hold', async () => {
  const [signed, again] = [await key.clearSign(text, time), await key.clearSign(text, time)]
  expect(again).toBe(signed)
  await verifyClearSigned(signed, text, key.publicKey)
  const detached = await key.detached(Buffer.from(text), time)
  expect(await key.detached(Buffer.from(text), time)).toBe(detached)
  await verifyDetached(detached, Buffer.from(text), key.publicKey)
})

test('the public key is the same from its armor and from its bytes', async () => {
  expect(await readPgpPublicKey(key.publicKey.binary)).toEqual(key.publicKey)
  expect(await readPgpPublicKey(Buffer.from(key.publicKey.armored))).toEqual(key.publicKey)
  expect(isPgpKey(privateText)).toBe(true)
  await expect(readPgpPublicKey(Buffer.from(privateText))).rejects.toMatchObject({ code: 'RFO_SIGN_KEY' })
  await expect(readPgpPublicKey(Buffer.concat([key.publicKey.binary, key.publicKey.binary]))).rejects.toMatchObject({
    code: 'RFO_SIGN_KEY',
  })
})

test('a signature is never older than its key', async () => {
  const signed = await key.clearSign(text, time - 1000)
  expect(signed).toBe(await key.clearSign(text, time - 1))
})

test('what is changed in any byte of its signature is refused', async () => {
  const signed = await key.clearSign(text, time)
  const at = signed.indexOf('-----BEGIN PGP SIGNATURE-----')
  for (let place = at; place < signed.length; place += 17) {
    const changed = `${signed.slice(0, place)}${signed[place] === 'x' ? 'y' : 'x'}${signed.slice(place + 1)}`
    await expect(verifyClearSigned(changed, text, key.publicKey)).rejects.toMatchObject({ exit: 'untrusted' })
  }
  for (const changed of [`${signed}\n`, ` ${signed}`, signed.replaceAll('\n', '\r\n'), `${signed}${signed}`])
    await expect(verifyClearSigned(changed, text, key.publicKey)).rejects.toMatchObject({ exit: 'untrusted' })
})

const gpg = tool('gpg')
test.skipIf(gpg.skip)('a key that gpg made, with a password, signs', async () => {
  const home = mkdtempSync(join(tmpdir(), 'g'))
  const run = (...argv: string[]): string =>
    execFileSync(gpg.path, ['--homedir', home, '--batch', '--pinentry-mode', 'loopback', '--passphrase', 'horse', ...argv], {
      stdio: ['ignore', 'pipe', 'ignore'],
    }).toString()
  try {
    run('--quick-generate-key', 'RFO', 'rsa3072', 'sign', 'never')
    const locked = run('--armor', '--export-secret-keys')
    await expect(readPgpKey(locked, 'cow')).rejects.toMatchObject({ code: 'RFO_SIGN_PASSWORD', exit: 'usage' })
    const opened = await readPgpKey(locked, 'horse')
    const exported = await readPgpPublicKey(Buffer.from(run('--armor', '--export')))
    expect(exported.fingerprint).toBe(opened.publicKey.fingerprint)
    await verifyClearSigned(await opened.clearSign(text, time), text, exported)
  } finally {
    execFileSync('gpgconf', ['--homedir', home, '--kill', 'gpg-agent'])
    rmSync(home, { recursive: true, force: true })
  }
})
