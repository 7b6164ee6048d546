/** The real cosign 3 verifies our keyless signatures without a network, and we verify those that it makes with the same services. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { predicateTypes, statement, statementBytes, subjectOf } from '../../src/attest/statement.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { type RunningRegistry, startRegistry } from '../../src/sandbox/registry.ts'
import { signImage, signKeyless } from '../../src/sign/attach.ts'
import { findAttached } from '../../src/sign/find.ts'
import { type TrustedIdentity, trustedIdentity, verifyIdentityBundle } from '../../src/sign/identity.ts'
import { generateKey, readSigningKey } from '../../src/sign/key.ts'
import { type KeylessSigner, keylessSigner } from '../../src/sign/keyless.ts'
import { isKeylessBundle } from '../../src/sign/keyless-bundle.ts'
import { readSigningConfig } from '../../src/sign/signing-config.ts'
import { readTrustedRoot } from '../../src/sign/trusted-root.ts'
import { tool } from '../tools.ts'
import { tinyImage } from './images.ts'
import { repositoryStore } from './registry.ts'
import { builder, type Sigstore, startSigstore } from './sigstore-services.ts'

const cosign3 = tool('cosign3')
const epoch = 1_668_000_000
const pair = generateKey()

let dir: string
let services: Sigstore
let registry: RunningRegistry
let trusted: TrustedIdentity
const file = (name: string): string => join(dir, name)

beforeAll(async () => {
  if (cosign3.skip) return
  dir = mkdtempSync(join(tmpdir(), 'rfo-keyless-'))
  services = await startSigstore()
  registry = await startRegistry()
  trusted = trustedIdentity(builder, services.issuer, readTrustedRoot(JSON.stringify(services.root)))
  writeFileSync(file('root.json'), JSON.stringify(services.root))
  writeFileSync(file('services.json'), services.config(1, false))
  writeFileSync(file('key.pub'), pair.publicPem)
})
afterAll(async () => {
  if (cosign3.skip) return
  await services.close()
  await registry.close()
  rmSync(dir, { recursive: true, force: true })
})

function signer(version: 1 | 2 = 1): KeylessSigner {
  return keylessSigner({
    trusted,
    services: readSigningConfig(services.config(version), Date.now()),
    token: () => Promise.resolve(services.token()),
    now: Date.now,
  })
}

function run(args: readonly string[]): Promise<{ readonly ok: boolean; readonly said: string }> {
  return new Promise((resolve) => {
    // a proxy that nobody listens at: whatever is no loopback fails
    const env = { HOME: dir, HTTPS_PROXY: 'http://127.0.0.1:9', HTTP_PROXY: 'http://127.0.0.1:9', NO_PROXY: '127.0.0.1' }
    execFile(cosign3.path, args, { env, timeout: 60_000 }, (error, stdout, stderr) =>
      resolve({ ok: error === null, said: stdout + stderr }),
    )
  })
}
const by = (identity = builder, issuer = services.issuer) => [
  '--certificate-identity',
  identity,
  '--certificate-oidc-issuer',
  issuer,
  '--trusted-root',
  file('root.json'),
  '--use-signed-timestamps',
]

describe('cosign 3 verifies ours', () => {
  test.skipIf(cosign3.skip)('an image signed with a key and without one: each finds its own signature', async () => {
    const store = repositoryStore(registry.host, 'ours/keyless')
    const { index, platforms } = await tinyImage(store, 'ours/keyless')
    for (const target of [index, ...platforms.slice(0, 1)]) {
      const ref = `${registry.host}/ours/keyless@${target.digest}`
      await signImage(target, `${registry.host}/ours/keyless`, readSigningKey(pair.privatePem), store, epoch)
      await signKeyless(target, signer(), store, epoch)
      const [keyless, key] = [
        await run(['verify', ...by(), ref]),
        await run(['verify', '--key', file('key.pub'), '--insecure-ignore-tlog', ref]),
      ]
      expect(keyless.ok, keyless.said).toBe(true)
      expect(key.ok, key.said).toBe(true)
    }
    const ref = `${registry.host}/ours/keyless@${index.digest}`
    expect((await run(['verify', ...by('another@rfo.test'), ref])).ok).toBe(false)
    expect((await run(['verify', ...by(builder, 'https://another.test'), ref])).ok).toBe(false)
    expect((await run(['verify', ...by(), `${registry.host}/ours/keyless@${platforms[1]?.digest}`])).ok).toBe(false)
  })

  test.skipIf(cosign3.skip).each([1, 2] as const)('a statement about a file, with Rekor %d', async (version) => {
    const bytes = Buffer.from(`a file, ${version}`)
    const said = statementBytes(statement([subjectOf(digestOf(bytes), 'file')], predicateTypes.release, { version }))
    writeFileSync(file('file'), bytes)
    writeFileSync(file('bundle.json'), await signer(version).sign(said))
    const check = (...more: string[]) =>
      run(['verify-blob-attestation', ...more, '--bundle', file('bundle.json'), '--type', predicateTypes.release, file('file')])
    const found = await check(...by())
    expect(found.ok, found.said).toBe(true)
    expect((await check(...by('another@rfo.test'))).ok).toBe(false)
  })
})

test.skipIf(cosign3.skip)('we verify what cosign 3 signs with the same services', async () => {
  const store = repositoryStore(registry.host, 'theirs/keyless')
  const { index, platforms } = await tinyImage(store, 'theirs/keyless')
  const ref = `${registry.host}/theirs/keyless@${index.digest}`
  writeFileSync(file('token'), services.token())
  const signed = await run([
    'sign',
    '--signing-config',
    file('services.json'),
    '--trusted-root',
    file('root.json'),
    '--identity-token',
    file('token'),
    '-y',
    ref,
  ])
  expect(signed.ok, signed.said).toBe(true)
  const [referrer] = (await findAttached(index, store)).referrers
  const text = referrer?.layers[0]?.bytes.toString('utf8') ?? ''
  expect(isKeylessBundle(text)).toBe(true)
  // cosign asked for no time stamp: the log's time is what there is
  const options = {
    spelling: 'any',
    thresholds: { log: 1, stamps: 0, certificateLog: 1 },
    predicateType: predicateTypes.cosignSign,
  } as const
  expect(verifyIdentityBundle(text, trusted, { ...options, subject: index }).statement.predicateType).toBe(predicateTypes.cosignSign)
  expect(() => verifyIdentityBundle(text, trusted, { ...options, subject: platforms[0] as never })).toThrow(
    expect.objectContaining({ code: 'RFO_SIGN_SUBJECT' }),
  )
  expect(() => verifyIdentityBundle(text, { ...trusted, identity: 'another@rfo.test' }, options)).toThrow(
    expect.objectContaining({ code: 'RFO_SIGN_IDENTITY' }),
  )
  expect(() => verifyIdentityBundle(text, trusted, { ...options, thresholds: { log: 1, stamps: 1, certificateLog: 1 } })).toThrow(
    expect.objectContaining({ code: 'RFO_SIGN_TIME' }),
  )
})
