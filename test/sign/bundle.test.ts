import { execFileSync } from 'node:child_process'
import { sign as signBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { predicateTypes, type Statement, statement, statementBytes, subjectOf } from '../../src/attest/statement.ts'
import { RfoError } from '../../src/error.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { canonicalJson, type Json } from '../../src/oci/json.ts'
import { bundleText, envelopeText, signBlob, signStatement } from '../../src/sign/bundle.ts'
import { simpleSigningPayload } from '../../src/sign/carriers.ts'
import { generateKey, readSigningKey } from '../../src/sign/key.ts'
import { verifyBlob, verifyBlobBundle, verifyBundle, verifyEnvelope, verifySimpleSigning } from '../../src/sign/verify.ts'
import { tool } from '../tools.ts'

const cosign3 = tool('cosign3')
const openssl = tool('openssl')
const pair = generateKey()
const key = readSigningKey(pair.privatePem)
const other = readSigningKey(generateKey().privatePem)
const keys = [key.publicKey]
const digest = digestOf('image')
const said: Statement = statement([subjectOf(digest)], predicateTypes.cyclonedx, { bomFormat: 'CycloneDX' })

let dir: string
let text: string
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'rfo-bundle-'))
  text = await signStatement(statementBytes(said), key)
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

function refusal(run: () => unknown): RfoError {
  try {
    run()
  } catch (thrown) {
    if (thrown instanceof RfoError) return thrown
    throw thrown
  }
  throw new Error('it was accepted')
}

interface Editable {
  mediaType: string
  verificationMaterial: { publicKey: { hint: string }; tlogEntries?: unknown; timestampVerificationData?: unknown }
  dsseEnvelope: { payload: string; payloadType: string; signatures: { sig: string; keyid?: string }[] }
}
function edited(change: (bundle: Editable) => void): string {
  const bundle = JSON.parse(text) as Editable
  change(bundle)
  return canonicalJson(bundle as unknown as Json)
}

describe('a bundle', () => {
  test('verifies and gives the statement back', () => {
    const verified = verifyBundle(text, { keys: [other.publicKey, ...keys], subject: { digest }, predicateType: predicateTypes.cyclonedx })
    expect(verified.statement).toEqual(said)
    expect(verified.key.fingerprint).toBe(key.publicKey.fingerprint)
    expect(verifyBundle(Buffer.from(text), { keys }).payload).toEqual(statementBytes(said))
    expect(text).not.toContain('keyid')
  })

  test('every byte, changed in any way, is noticed', () => {
    const bytes = Buffer.from(text)
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const changed = Buffer.from(bytes)
        changed[at] = (changed[at] ?? 0) ^ mask
        expect(refusal(() => verifyBundle(changed, { keys })).exit).toBe('untrusted')
      }),
      { numRuns: 2000 },
    )
  })

  test('a bit of every single byte', () => {
    const bytes = Buffer.from(text)
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8))
      expect(refusal(() => verifyBundle(changed, { keys })).exit).toBe('untrusted')
    }
  })

  test('every truncation and every added byte is noticed', () => {
    for (let length = 0; length < text.length; length += 7) refusal(() => verifyBundle(text.slice(0, length), { keys }))
    for (const extra of [' ', '\n', '\0', '}', '\u{feff}']) {
      refusal(() => verifyBundle(text + extra, { keys }))
      refusal(() => verifyBundle(extra + text, { keys }))
    }
  })

  test('another key is refused with the fingerprint that was found', () => {
    const error = refusal(() => verifyBundle(text, { keys: [other.publicKey] }))
    expect(error).toMatchObject({ code: 'RFO_SIGN_UNKNOWN', exit: 'untrusted', details: [key.publicKey.fingerprint] })
    // and claiming that key's name does not help
    const claimed = edited((bundle) => {
      bundle.verificationMaterial.publicKey.hint = other.publicKey.hint
    })
    expect(refusal(() => verifyBundle(claimed, { keys: [other.publicKey] })).code).toBe('RFO_SIGN_SIGNATURE')
  })

  test('without a key nothing is decided, and the fingerprint found is said', () => {
    const error = refusal(() => verifyBundle(text, { keys: [] }))
    expect(error).toMatchObject({ code: 'RFO_SIGN_NOKEY', exit: 'undecided' })
    expect(error.details.join()).toContain(key.publicKey.fingerprint)
  })

  test('another subject, another predicate type', () => {
    expect(refusal(() => verifyBundle(text, { keys, subject: { digest: digestOf('y') } })).code).toBe('RFO_SIGN_SUBJECT')
    expect(refusal(() => verifyBundle(text, { keys, predicateType: predicateTypes.cosignSign })).code).toBe('RFO_SIGN_PREDICATE')
  })

  test.each<[string, string, (bundle: Editable) => void]>([
    ['two signatures', 'RFO_SIGN_FORM', ({ dsseEnvelope }) => void dsseEnvelope.signatures.push(...dsseEnvelope.signatures)],
    ['no signature', 'RFO_SIGN_FORM', ({ dsseEnvelope }) => void dsseEnvelope.signatures.splice(0)],
    [
      'a keyid',
      'RFO_SIGN_FORM',
      ({ dsseEnvelope, verificationMaterial }) =>
        Object.assign(dsseEnvelope.signatures[0] ?? {}, { keyid: verificationMaterial.publicKey.hint }),
    ],
    ['an empty keyid', 'RFO_SIGN_BYTES', ({ dsseEnvelope }) => Object.assign(dsseEnvelope.signatures[0] ?? {}, { keyid: '' })],
    ['another payload type', 'RFO_SIGN_FORM', ({ dsseEnvelope }) => Object.assign(dsseEnvelope, { payloadType: 'text/plain' })],
    ['a member that nobody knows', 'RFO_SIGN_FORM', (bundle) => Object.assign(bundle, { note: 'x' })],
    [
      'a bundle of another version',
      'RFO_SIGN_FORM',
      (bundle) => Object.assign(bundle, { mediaType: 'application/vnd.dev.sigstore.bundle+json;version=0.2' }),
    ],
    ['empty log entries', 'RFO_SIGN_BYTES', ({ verificationMaterial }) => Object.assign(verificationMaterial, { tlogEntries: [] })],
    ['a log entry', 'RFO_SIGN_FORM', ({ verificationMaterial }) => Object.assign(verificationMaterial, { tlogEntries: [{}] })],
    [
      'base64 without padding',
      'RFO_SIGN_BYTES',
      ({ dsseEnvelope }) => Object.assign(dsseEnvelope, { payload: `${dsseEnvelope.payload.replace(/=*$/, '')}===` }),
    ],
    [
      'base64 with a line break',
      'RFO_SIGN_BYTES',
      ({ dsseEnvelope }) => Object.assign(dsseEnvelope, { payload: `${dsseEnvelope.payload}\n` }),
    ],
    [
      'base64 of the URL alphabet',
      'RFO_SIGN_BYTES',
      ({ dsseEnvelope }) => Object.assign(dsseEnvelope, { payload: `${dsseEnvelope.payload.slice(0, -4)}__--` }),
    ],
  ])('%s is refused', (_, code, change) => {
    expect(refusal(() => verifyBundle(edited(change), { keys })).code).toBe(code)
  })

  test('white space is refused, and accepted from other tools when asked for', () => {
    const spaced = JSON.stringify(JSON.parse(text), null, 2)
    expect(refusal(() => verifyBundle(spaced, { keys })).code).toBe('RFO_SIGN_BYTES')
    expect(verifyBundle(spaced, { keys, spelling: 'any' }).statement).toEqual(said)
  })

  test('spare bits of base64, which Node drops silently, are refused', async () => {
    let payload: Buffer = statementBytes(said)
    let count = 0
    // pad the predicate until the payload's base64 ends with =, where spare bits are
    while (payload.length % 3 === 0) payload = statementBytes({ ...said, predicate: 'x'.repeat(++count) })
    const signed = JSON.parse(await signStatement(payload, key)) as Editable
    const clean = signed.dsseEnvelope.payload
    const last = clean.replace(/=+$/, '').length - 1
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
    signed.dsseEnvelope.payload = `${clean.slice(0, last)}${alphabet[alphabet.indexOf(clean[last] ?? '') + 1]}${clean.slice(last + 1)}`
    expect(Buffer.from(signed.dsseEnvelope.payload, 'base64')).toEqual(payload)
    for (const spelling of ['canonical', 'any'] as const) {
      expect(refusal(() => verifyBundle(canonicalJson(signed as unknown as Json), { keys, spelling })).code).toBe('RFO_SIGN_BYTES')
    }
  })

  test('the other s of a signature, valid for everybody else, is refused', () => {
    const payload = statementBytes(said)
    const pae = Buffer.concat([Buffer.from(`DSSEv1 28 application/vnd.in-toto+json ${payload.length} `), payload])
    let high: string | undefined
    for (let i = 0; i < 200 && high === undefined; i++) {
      const candidate = bundleText({ payload, signature: signBytes('sha256', pae, pair.privatePem), hint: key.publicKey.hint })
      expect(verifyBundle(candidate, { keys, spelling: 'any' }).statement).toEqual(said)
      try {
        verifyBundle(candidate, { keys })
      } catch {
        high = candidate
      }
    }
    expect(refusal(() => verifyBundle(high ?? '', { keys })).code).toBe('RFO_SIGN_BYTES')
  })

  test('what is signed must be a statement', async () => {
    await expect(signStatement(Buffer.from('{}'), key)).rejects.toThrow(RfoError)
    const signature = (await key.sign(Buffer.from('DSSEv1 28 application/vnd.in-toto+json 2 {}'))).signature
    expect(
      refusal(() => verifyBundle(bundleText({ payload: Buffer.from('{}'), signature, hint: key.publicKey.hint }), { keys })).code,
    ).toBe('RFO_ATTEST_STATEMENT')
  })

  test('whatever the text, the answer is an RfoError', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.json()),
        (input) => void expect(refusal(() => verifyBundle(input, { keys }))).toBeInstanceOf(RfoError),
      ),
    )
  })

  test.skipIf(cosign3.skip)('cosign verifies it from files', () => {
    const bundle = join(dir, 'statement.sigstore.json')
    writeFileSync(bundle, text)
    writeFileSync(join(dir, 'cosign.pub'), pair.publicPem)
    const verify = (...args: string[]): string =>
      execFileSync(
        cosign3.path,
        ['verify-blob-attestation', '--key', join(dir, 'cosign.pub'), '--insecure-ignore-tlog', '--bundle', bundle, ...args],
        {
          stdio: ['ignore', 'pipe', 'pipe'],
          env: { HOME: dir },
        },
      ).toString()
    verify('--digest', digest.slice(7), '--digestAlg', 'sha256', '--type', predicateTypes.cyclonedx)
    expect(() => verify('--digest', digestOf('y').slice(7), '--digestAlg', 'sha256', '--type', predicateTypes.cyclonedx)).toThrow()
  })
})

describe('an envelope', () => {
  test('carries the bundle’s signature and verifies by itself', () => {
    const verified = verifyBundle(text, { keys })
    const envelope = envelopeText(verified)
    expect(verifyEnvelope(envelope, { keys: [other.publicKey, ...keys], subject: { digest } }).statement).toEqual(said)
    expect(refusal(() => verifyEnvelope(envelope, { keys: [other.publicKey] })).code).toBe('RFO_SIGN_UNKNOWN')
    expect(refusal(() => verifyEnvelope(envelope, { keys, subject: { digest: digestOf('y') } })).code).toBe('RFO_SIGN_SUBJECT')
    expect(refusal(() => verifyEnvelope(envelope, { keys: [] })).exit).toBe('undecided')
  })
})

describe('a signature over bytes', () => {
  const bytes = Buffer.from('0000  rfo.linux-amd64\n')

  test('verifies, as DER and as bundle; other bytes and other keys do not', async () => {
    const signed = await signBlob(bytes, key)
    expect(verifyBlob(bytes, signed.signature, [other.publicKey, ...keys]).fingerprint).toBe(key.publicKey.fingerprint)
    expect(verifyBlobBundle(signed.bundle, bytes, keys).fingerprint).toBe(key.publicKey.fingerprint)
    expect(refusal(() => verifyBlob(bytes, signed.signature, [other.publicKey])).code).toBe('RFO_SIGN_UNKNOWN')
    expect(refusal(() => verifyBlob(Buffer.from('x'), signed.signature, keys)).code).toBe('RFO_SIGN_UNKNOWN')
    expect(refusal(() => verifyBlobBundle(signed.bundle, Buffer.from('x'), keys)).code).toBe('RFO_SIGN_SUBJECT')
    expect(refusal(() => verifyBlobBundle(signed.bundle, bytes, [])).exit).toBe('undecided')
    for (const file of [signed.signature, Buffer.from(signed.bundle)]) {
      for (let at = 0; at < file.length; at++) {
        const changed = Buffer.from(file)
        changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8))
        refusal(() =>
          file === signed.signature ? verifyBlob(bytes, changed, keys) : verifyBlobBundle(changed.toString('utf8'), bytes, keys),
        )
      }
    }
    refusal(() => verifyBlob(bytes, Buffer.concat([signed.signature, Buffer.from([0])]), keys))
  })

  test.skipIf(openssl.skip)('openssl verifies it', async () => {
    const file = (name: string): string => join(dir, name)
    writeFileSync(file('sums.txt'), bytes)
    writeFileSync(file('sums.txt.sig'), (await signBlob(bytes, key)).signature)
    writeFileSync(file('key.pub'), pair.publicPem)
    const argv = ['dgst', '-sha256', '-verify', file('key.pub'), '-signature', file('sums.txt.sig')]
    expect(execFileSync(openssl.path, [...argv, file('sums.txt')]).toString()).toContain('Verified OK')
    writeFileSync(file('sums.txt'), 'other')
    expect(() => execFileSync(openssl.path, [...argv, file('sums.txt')], { stdio: 'pipe' })).toThrow()
  })

  test.skipIf(cosign3.skip)('cosign verifies it', async () => {
    const file = (name: string): string => join(dir, name)
    const signed = await signBlob(bytes, key)
    writeFileSync(file('blob'), bytes)
    writeFileSync(file('blob.sigstore.json'), signed.bundle)
    writeFileSync(file('blob.pub'), pair.publicPem)
    execFileSync(
      cosign3.path,
      ['verify-blob', '--key', file('blob.pub'), '--insecure-ignore-tlog', '--bundle', file('blob.sigstore.json'), file('blob')],
      {
        stdio: 'pipe',
        env: { HOME: dir },
      },
    )
  })
})

describe('simple signing', () => {
  const payload = Buffer.from(simpleSigningPayload('docker.io/rfolabs/x', digest))

  test('verifies for its digest and key alone', async () => {
    const signature = (await key.sign(payload)).signature.toString('base64')
    expect(verifySimpleSigning(payload, signature, digest, keys)).toMatchObject({ reference: 'docker.io/rfolabs/x' })
    expect(refusal(() => verifySimpleSigning(payload, signature, digestOf('y'), keys)).code).toBe('RFO_SIGN_SUBJECT')
    expect(refusal(() => verifySimpleSigning(payload, signature, digest, [other.publicKey])).code).toBe('RFO_SIGN_UNKNOWN')
    expect(refusal(() => verifySimpleSigning(payload, signature, digest, [])).exit).toBe('undecided')
    expect(refusal(() => verifySimpleSigning(payload, `${signature} `, digest, keys)).code).toBe('RFO_SIGN_BYTES')
    expect(refusal(() => verifySimpleSigning(Buffer.from('{}'), signature, digest, keys)).exit).toBe('untrusted')
  })
})
