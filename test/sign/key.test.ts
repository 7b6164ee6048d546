import { execFileSync } from 'node:child_process'
import { createHash, createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RfoError } from '../../src/error.ts'
import { canonicalSignature, isCanonicalSignature } from '../../src/sign/ecdsa.ts'
import {
  fingerprintOfHint,
  generateKey,
  keyFingerprint,
  publicKeyOf,
  readPublicKey,
  readSigningKey,
  writeCosignKey,
} from '../../src/sign/key.ts'
import { tool } from '../tools.ts'

const [cosign2, cosign3] = [tool('cosign2'), tool('cosign3')]
const openssl = tool('openssl')
const pair = generateKey()
const password = 'open sésame'
const sealed = writeCosignKey(pair.privatePem, password)
let dir: string
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'rfo-key-'))
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

function failure(run: () => unknown): RfoError {
  try {
    run()
  } catch (thrown) {
    if (thrown instanceof RfoError) return thrown
    throw thrown
  }
  throw new Error('nothing was thrown')
}

describe('keys', () => {
  test('PEM and key file are the same key; its fingerprint is that of the public key', () => {
    const key = readSigningKey(pair.privatePem)
    const fingerprint = keyFingerprint(readPublicKey(pair.publicPem))
    expect(fingerprint).toMatch(/^sha256:[0-9a-f]{64}$/)
    expect(keyFingerprint(publicKeyOf(key))).toBe(fingerprint)
    expect(readSigningKey(sealed, password).publicKey.fingerprint).toBe(fingerprint)
    expect(fingerprintOfHint(key.publicKey.hint)).toBe(fingerprint)
  })

  test('encrypted PKCS#8 is read with its password only', () => {
    const locked = createPrivateKey(pair.privatePem).export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: password })
    expect(readSigningKey(locked.toString(), password).publicKey.pem).toBe(pair.publicPem)
    expect(failure(() => readSigningKey(locked.toString(), 'no')).code).toBe('RFO_SIGN_PASSWORD')
    expect(failure(() => readSigningKey(locked.toString())).code).toBe('RFO_SIGN_PASSWORD')
  })

  test('a wrong password is said, nothing else is', () => {
    expect(failure(() => readSigningKey(sealed, 'wrong'))).toMatchObject({ code: 'RFO_SIGN_PASSWORD', exit: 'usage' })
  })

  test.skipIf(openssl.skip)('openssl computes the same fingerprint', () => {
    const der = execFileSync(openssl.path, ['pkey', '-pubin', '-outform', 'DER'], {
      input: pair.publicPem,
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    expect(`sha256:${createHash('sha256').update(der).digest('hex')}`).toBe(keyFingerprint(readPublicKey(pair.publicPem)))
  })

  test('other curves and kinds are refused by name', () => {
    const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' })
    const ed = generateKeyPairSync('ed25519')
    for (const { privateKey, publicKey } of [p384, ed]) {
      expect(failure(() => readSigningKey(privateKey.export({ format: 'pem', type: 'pkcs8' }).toString())).code).toBe('RFO_SIGN_KEY')
      expect(failure(() => readPublicKey(publicKey.export({ format: 'pem', type: 'spki' }).toString())).code).toBe('RFO_SIGN_KEY')
    }
    expect(failure(() => readPublicKey(pair.privatePem)).code).toBe('RFO_SIGN_KEY')
  })

  test('no error, however the file is damaged, quotes key material', () => {
    const bodies = [pair.privatePem, sealed].map((text) => text.split('\n').slice(1, -2).join(''))
    const damage = fc.record({
      which: fc.constantFrom(pair.privatePem, sealed),
      at: fc.nat(400),
      to: fc.constantFrom('', '!', 'A', '\n', '{'),
    })
    fc.assert(
      fc.property(damage, ({ which, at, to }) => {
        // scrypt is slow on purpose: break the base64 of the key file so that most runs end before it
        const text =
          which === sealed ? `${sealed.slice(0, 60 + at)}!${sealed.slice(60 + at)}` : `${which.slice(0, at)}${to}${which.slice(at + 1)}`
        let thrown: unknown
        try {
          readSigningKey(text, password)
        } catch (error) {
          thrown = error
        }
        if (thrown === undefined) return
        expect(thrown).toBeInstanceOf(RfoError)
        const said = [
          String(thrown),
          JSON.stringify(thrown),
          (thrown as RfoError).line(),
          String((thrown as RfoError).cause),
          ...(thrown as RfoError).details,
        ].join('\n')
        for (const body of bodies) {
          for (let i = 0; i + 12 <= body.length; i += 6) expect(said).not.toContain(body.slice(i, i + 12))
        }
      }),
      { numRuns: 200 },
    )
    const inner = Buffer.from('{"kdf": secretsecretsecret').toString('base64')
    const broken = failure(() =>
      readSigningKey(`-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n${inner}\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n`, password),
    )
    expect(`${broken.line()} ${String(broken.cause)}`).not.toContain('secret')
  })

  test('a key file cannot ask for more memory than 512 MiB', () => {
    const json = JSON.parse(Buffer.from(sealed.split('\n').slice(1, -2).join(''), 'base64').toString())
    for (const params of [
      { N: 1 << 20, r: 32, p: 1 },
      { N: 65_537, r: 8, p: 1 },
      { N: 2 ** 40, r: 8, p: 1 },
    ]) {
      const body = Buffer.from(JSON.stringify({ ...json, kdf: { ...json.kdf, params } })).toString('base64')
      const text = `-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n${body}\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n`
      expect(failure(() => readSigningKey(text, password)).code).toBe('RFO_SIGN_KEY')
    }
  })

  const cosigns = [
    ['cosign 2', cosign2],
    ['cosign 3', cosign3],
  ] as const

  test.skipIf(cosign2.skip || cosign3.skip).each(cosigns)('%s reads our key file', (_, cosign) => {
    const file = join(dir, 'ours.key')
    writeFileSync(file, sealed, { mode: 0o600 })
    const pem = execFileSync(cosign.path, ['public-key', '--key', file], {
      env: { COSIGN_PASSWORD: password },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    expect(pem.toString()).toBe(pair.publicPem)
  })

  test.skipIf(cosign2.skip || cosign3.skip).each(cosigns)('we read that of %s', (name, cosign) => {
    const prefix = `theirs-${name.slice(-1)}`
    execFileSync(cosign.path, ['generate-key-pair', '--output-key-prefix', prefix], {
      cwd: dir,
      env: { COSIGN_PASSWORD: 'pw' },
      stdio: 'pipe',
    })
    const key = readSigningKey(readFileSync(join(dir, `${prefix}.key`), 'utf8'), 'pw')
    expect(key.publicKey.pem).toBe(readFileSync(join(dir, `${prefix}.pub`), 'utf8'))
  })
})

describe('one spelling per signature', () => {
  const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

  test('signatures come with the lower s, and the other one is not canonical', async () => {
    const key = readSigningKey(pair.privatePem)
    for (let i = 0; i < 64; i++) {
      const { signature } = await key.sign(Buffer.from([i]))
      expect(isCanonicalSignature(signature)).toBe(true)
      const rLength = signature[3] ?? 0
      const s = BigInt(`0x${signature.subarray(6 + rLength).toString('hex')}`)
      const high = Buffer.from((order - s).toString(16).padStart(64, '0'), 'hex')
      const padded = (high[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), high]) : high
      const body = Buffer.concat([signature.subarray(2, 4 + rLength), Buffer.from([2, padded.length]), padded])
      const other = Buffer.concat([Buffer.from([0x30, body.length]), body])
      if ((high[0] ?? 0) !== 0) {
        expect(isCanonicalSignature(other)).toBe(false)
        expect(canonicalSignature(other)).toEqual(signature)
      }
    }
  })

  test('bytes that are no signature are not canonical, and nothing is thrown', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => void expect(isCanonicalSignature(bytes)).toBe(false)))
  })
})
