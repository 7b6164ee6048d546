/** Keys in tokens: names by RFC 7512, and what a token signed, judged by openssl and by cosign 2 and 3. */
import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { predicateTypes, statement, statementBytes, subjectOf } from '../../src/attest/statement.ts'
import { digestOf, hex } from '../../src/oci/digest.ts'
import { signBlob, signStatement } from '../../src/sign/bundle.ts'
import type { SigningKey } from '../../src/sign/key.ts'
import { openTokenKey } from '../../src/sign/pkcs11.ts'
import { parseTokenUri } from '../../src/sign/pkcs11-uri.ts'
import { verifyBlob, verifyBundle } from '../../src/sign/verify.ts'
import { tool } from '../tools.ts'
import { driverFolder, makeToken, pin, skipTokens, type Token } from './token.ts'

describe('names of keys', () => {
  test('what RFC 7512 calls path and query, unescaped', () => {
    const uri =
      'pkcs11:token=The%20Software%20PKCS%2311;serial=00ff;slot-id=327;id=%A1%00b;object=my-key;type=private?module-path=/usr/lib/p.so&pin-source=file:/run/pin'
    expect(parseTokenUri(uri)).toEqual({
      module: '/usr/lib/p.so',
      token: { label: 'The Software PKCS#11', serialNumber: '00ff' },
      slot: 327,
      object: 'my-key',
      id: Buffer.from([0xa1, 0, 0x62]),
      pinFile: '/run/pin',
    })
  })

  test.each([
    ['a PIN in it', 'pkcs11:object=k?module-path=/p.so&pin-value=98765432'],
    ['an attribute that nobody knows', 'pkcs11:object=k;frob=98765432?module-path=/p.so'],
    ['an attribute twice', 'pkcs11:object=k;object=98765432?module-path=/p.so'],
    ['no library', 'pkcs11:object=98765432'],
    ['a library that is looked for', 'pkcs11:object=k?module-path=98765432.so'],
    ['no key named', 'pkcs11:token=98765432?module-path=/p.so'],
    ['a public key', 'pkcs11:object=k;type=public?module-path=/98765432'],
    ['half an escape', 'pkcs11:object=98765432%4?module-path=/p.so'],
    ['two queries', 'pkcs11:object=k?module-path=/p.so?98765432'],
    ['a PIN by a program', 'pkcs11:object=k?module-path=/p.so&pin-source=%7C98765432'],
  ])('refused, and not quoted: %s', (_, uri) => {
    const refusal = refused(() => parseTokenUri(uri))
    expect(refusal).toMatchObject({ code: 'RFO_SIGN_TOKEN', exit: 'usage' })
    expect(JSON.stringify(refusal)).not.toContain('98765432')
  })
})

function refused(act: () => unknown): { message: string } {
  try {
    act()
  } catch (thrown) {
    return thrown as { message: string }
  }
  throw new Error('nothing was refused')
}

const [cosign2, cosign3, openssl] = [tool('cosign2'), tool('cosign3'), tool('openssl')]

describe.skipIf(skipTokens)('a key in SoftHSM', () => {
  let folder: string
  let token: Token
  let key: SigningKey
  const file = (name: string): string => join(folder, name)

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'rfo-token-'))
    token = makeToken(folder)
    Object.assign(process.env, { SOFTHSM2_CONF: token.env.SOFTHSM2_CONF })
    key = await openTokenKey(token.uri, pin, driverFolder ?? '')
    writeFileSync(file('key.pub'), key.publicKey.pem)
    writeFileSync(file('root.json'), '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}')
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test('is the key that was imported, and signs as one of a file does', async () => {
    expect(key.publicKey.pem).toBe(token.publicPem)
    for (let n = 0; n < 50; n += 1) {
      const { signature } = await key.sign(Buffer.from(`text ${n}`))
      verifyBlob(Buffer.from(`text ${n}`), signature, [key.publicKey]) // and in the lower s
    }
  })

  test.skipIf(openssl.skip)('openssl accepts its signature, and no other text under it', async () => {
    const { signature } = await signBlob(Buffer.from('said'), key)
    writeFileSync(file('said'), 'said')
    writeFileSync(file('other'), 'Said')
    writeFileSync(file('said.sig'), signature)
    const verify = (text: string): string =>
      execFileSync(openssl.path, ['dgst', '-sha256', '-verify', file('key.pub'), '-signature', file('said.sig'), file(text)], {
        encoding: 'utf8',
      })
    expect(verify('said')).toContain('Verified OK')
    expect(() => verify('other')).toThrow()
  })

  test.skipIf(cosign2.skip || cosign3.skip)('cosign 2 and cosign 3 accept its bundles, and no other file under them', async () => {
    const bytes = Buffer.from('said')
    writeFileSync(file('blob'), bytes)
    writeFileSync(file('blob.json'), (await signBlob(bytes, key)).bundle)
    const said = statementBytes(statement([subjectOf(digestOf(bytes), 'blob')], predicateTypes.slsaProvenance, {}))
    const bundle = await signStatement(said, key)
    expect(verifyBundle(bundle, { keys: [key.publicKey] }).payload.equals(said)).toBe(true)
    writeFileSync(file('att.json'), bundle)
    writeFileSync(file('other'), 'Said')
    const common = ['--key', file('key.pub'), '--insecure-ignore-tlog=true', '--trusted-root', file('root.json')]
    const ran = (path: string, args: readonly string[]) =>
      new Promise<boolean>((resolve) => execFile(path, args, { env: { HOME: folder } }, (error) => resolve(error === null)))
    const blob = (path: string, name: string) =>
      ran(path, ['verify-blob', ...common, '--new-bundle-format', '--bundle', file('blob.json'), file(name)])
    expect(
      await Promise.all([blob(cosign3.path, 'blob'), blob(cosign2.path, 'blob'), blob(cosign3.path, 'other'), blob(cosign2.path, 'other')]),
    ).toEqual([true, true, false, false])
    const attested = [
      'verify-blob-attestation',
      ...common,
      '--bundle',
      file('att.json'),
      '--type',
      'slsaprovenance1',
      '--digestAlg',
      'sha256',
      '--digest',
    ]
    expect(await ran(cosign3.path, [...attested, hex(digestOf(bytes))])).toBe(true)
    expect(await ran(cosign3.path, [...attested, hex(digestOf('Said'))])).toBe(false)
  })

  test('the PIN comes from a file too; another is refused, and neither is told', async () => {
    writeFileSync(file('pin'), `${pin}\n`)
    const other = await openTokenKey(`${token.uri}&pin-source=file:${file('pin')}`, undefined, driverFolder ?? '')
    expect(other.publicKey.fingerprint).toBe(key.publicKey.fingerprint)
    await expect(openTokenKey(token.uri, undefined, driverFolder ?? '')).rejects.toMatchObject({ code: 'RFO_SIGN_PASSWORD' })
  })

  test('what no key is called, and a driver that is not there', async () => {
    const named = (uri: string, from = driverFolder ?? '') => openTokenKey(uri, pin, from)
    await expect(named(token.uri.replace('signer', 'nobody'))).rejects.toMatchObject({ code: 'RFO_SIGN_TOKEN', exit: 'usage' })
    await expect(named(token.uri.replace('rfo%20test', 'nobody'))).rejects.toMatchObject({ code: 'RFO_SIGN_TOKEN', exit: 'usage' })
    await expect(named(token.uri.replace(/module-path=.*/, 'module-path=/nowhere.so'))).rejects.toMatchObject({
      code: 'RFO_SIGN_TOKEN',
      exit: 'machine',
    })
    await expect(named(token.uri, folder)).rejects.toMatchObject({
      code: 'RFO_SIGN_TOKEN',
      exit: 'machine',
      next: expect.stringContaining('npm install'),
    })
  })
})
