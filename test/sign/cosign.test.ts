/** The real cosign, version 2 and version 3, judges our signatures in a real registry, and we judge theirs. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { provenance } from '../../src/attest/provenance.ts'
import { predicateTypes, type Statement, statement, subjectOf } from '../../src/attest/statement.ts'
import type { ContentStore } from '../../src/content/store.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { verifyUpstream } from '../../src/release/verify-upstream.ts'
import { type RunningRegistry as ModernRegistry, startRegistry as startModernRegistry } from '../../src/sandbox/registry.ts'
import { attest, signImage } from '../../src/sign/attach.ts'
import { verifyAttached } from '../../src/sign/attached.ts'
import { findAttached } from '../../src/sign/find.ts'
import { generateKey, readSigningKey, writeCosignKey } from '../../src/sign/key.ts'
import { verifyBundle, verifyEnvelope, verifySimpleSigning } from '../../src/sign/verify.ts'
import { tool } from '../tools.ts'
import { type TinyImage, tinyImage } from './images.ts'
import { type RunningRegistry, repositoryStore, startRegistry } from './registry.ts'

const cosign2 = tool('cosign2')
const cosign3 = tool('cosign3')
const dockerRegistry = tool('docker-registry')
const skip = cosign2.skip || cosign3.skip || dockerRegistry.skip

const pair = generateKey()
const key = readSigningKey(pair.privatePem)
const keys = [key.publicKey]
const epoch = 1_668_000_000
const emptyRoot = {
  mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
  tlogs: [],
  certificateAuthorities: [],
  ctlogs: [],
  timestampAuthorities: [],
}
const noServices = { mediaType: 'application/vnd.dev.sigstore.signingconfig.v0.2+json', rekorTlogConfig: {}, tsaConfig: {} }

let dir: string
let registry: RunningRegistry
let modern: ModernRegistry
const file = (name: string): string => join(dir, name)

beforeAll(async () => {
  if (skip) return
  dir = mkdtempSync(join(tmpdir(), 'rfo-cosign-'))
  registry = await startRegistry(dockerRegistry.path)
  modern = await startModernRegistry()
  writeFileSync(file('key.pub'), pair.publicPem)
  writeFileSync(file('other.pub'), generateKey().publicPem)
  writeFileSync(file('key.key'), writeCosignKey(pair.privatePem, 'pw'), { mode: 0o600 })
  writeFileSync(file('root.json'), JSON.stringify(emptyRoot))
  writeFileSync(file('services.json'), JSON.stringify(noServices))
})
afterAll(async () => {
  if (skip) return
  await modern.close()
  registry.stop()
  rmSync(dir, { recursive: true, force: true })
})

interface Ran {
  readonly ok: boolean
  readonly said: string
  readonly stdout: string
}
/** Never spawnSync here: the registry writes its log into a pipe of ours, and stops when nobody reads it. */
function run(path: string, args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(path, args, { env: { HOME: dir, COSIGN_PASSWORD: 'pw' }, timeout: 30_000 }, (error, stdout, said) => {
      resolve({ ok: error === null, said, stdout })
    })
  })
}
const verify3 = (ref: string, pub = 'key.pub') => run(cosign3.path, ['verify', '--key', file(pub), '--insecure-ignore-tlog', ref])
const verify2 = (ref: string, pub = 'key.pub') =>
  run(cosign2.path, ['verify', '--key', file(pub), '--insecure-ignore-tlog=true', '--trusted-root', file('root.json'), ref])
const attestation = (path: string, type: string, ref: string, pub = 'key.pub') =>
  run(path, [
    'verify-attestation',
    '--key',
    file(pub),
    '--insecure-ignore-tlog=true',
    '--trusted-root',
    file('root.json'),
    '--type',
    type,
    ref,
  ])

async function pushed(
  repository: string,
  host = registry.host,
): Promise<{ image: TinyImage; store: ContentStore; ref: (target: Descriptor) => string }> {
  const store = repositoryStore(host, repository)
  return { image: await tinyImage(store, repository), store, ref: (target) => `${host}/${repository}@${target.digest}` }
}

/** Only cosign 2's tags, as an older registry or mirror would keep them. */
function legacyOnly(store: ContentStore): ContentStore {
  return {
    ...store,
    push: async (expected, body) => {
      const chunks: Uint8Array[] = []
      for await (const chunk of body) chunks.push(chunk)
      const bytes = Buffer.concat(chunks)
      if (expected.mediaType.includes('manifest') && bytes.includes('"subject"')) return
      await store.push(expected, once(bytes))
    },
  }
}
async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

function about(target: Descriptor): Statement[] {
  const built = provenance({
    buildType: 'compiled',
    component: 'coredns',
    version: 'v1.9.3',
    platform: 'linux/amd64',
    release: 'v1.24.8+rfor1',
    source: { uri: 'pkg:golang/github.com/coredns/coredns@v1.9.3', digest: { dirHash: 'aa'.repeat(32) } },
    materials: [],
    parameters: {},
    builderId: 'https://github.com/rfolabs/rfo-build',
    builderVersion: '0.1.0',
  })
  const predicates: [string, Statement['predicate']][] = [
    [predicateTypes.slsaProvenance, built],
    [predicateTypes.cyclonedx, { bomFormat: 'CycloneDX', specVersion: '1.6', version: 1, components: [] }],
    [predicateTypes.testResult, { result: 'PASSED', configuration: [{ name: 'x', digest: { sha256: '0'.repeat(64) } }] }],
  ]
  return predicates.map(([type, predicate]) => statement([subjectOf(target.digest)], type, predicate))
}
/** cosign's own names for the types above. */
const cosignTypes = ['slsaprovenance1', 'cyclonedx', predicateTypes.testResult]

describe('cosign 2 and 3 verify ours', () => {
  test.skipIf(skip).each([
    ['Debian’s registry, tags for referrers', () => registry.host],
    ['a registry with the referrers API', () => modern.host],
  ])('in %s: signatures and attestations, on the index and on every platform manifest', async (_, host) => {
    const { image, store, ref } = await pushed('ours/both', host())
    for (const target of [image.index, ...image.platforms]) {
      await signImage(target, `${host()}/ours/both`, key, store, epoch)
      await attest(target, about(target), key, store, epoch)
      for (const result of await Promise.all([verify3(ref(target)), verify2(ref(target))])) expect(result.ok, result.said).toBe(true)
      for (const path of [cosign3.path, cosign2.path]) {
        for (const type of cosignTypes) {
          const result = await attestation(path, type, ref(target))
          expect(result.ok, result.said).toBe(true)
          const payload = Buffer.from(JSON.parse(result.stdout.split('\n')[0] ?? '').payload, 'base64')
          expect(JSON.parse(payload.toString()).subject[0].digest.sha256).toBe(target.digest.slice(7))
        }
      }
      expect(verifyAttached(target, await findAttached(target, store), { keys, epoch }).statements).toHaveLength(4)
    }
    expect((await verify3(ref(image.index), 'other.pub')).ok).toBe(false)
    expect((await verify2(ref(image.index), 'other.pub')).ok).toBe(false)
    expect((await attestation(cosign3.path, 'cyclonedx', ref(image.index), 'other.pub')).ok).toBe(false)
    expect((await attestation(cosign3.path, 'openvex', ref(image.index))).ok).toBe(false)
  })

  test.skipIf(skip)('by cosign 2’s tags alone', async () => {
    const { image, store, ref } = await pushed('ours/legacy')
    const target = image.index
    await signImage(target, `${registry.host}/ours/legacy`, key, legacyOnly(store), epoch)
    await attest(target, about(target), key, legacyOnly(store), epoch)
    expect((await findAttached(target, store)).referrers).toEqual([])
    for (const result of await Promise.all([verify3(ref(target)), verify2(ref(target))])) expect(result.ok, result.said).toBe(true)
    for (const path of [cosign3.path, cosign2.path]) {
      for (const type of cosignTypes) {
        const result = await attestation(path, type, ref(target))
        expect(result.ok, result.said).toBe(true)
      }
    }
    expect((await verify2(ref(target), 'other.pub')).ok).toBe(false)
    expect((await verify3(ref(target), 'other.pub')).ok).toBe(false)
    expect((await verify3(ref(image.platforms[0] as Descriptor))).ok).toBe(false)
  })
})

describe('we verify cosign’s', () => {
  test.skipIf(skip)('cosign 3: bundle referrers of sign and attest', async () => {
    const { image, store, ref } = await pushed('theirs/v3')
    writeFileSync(file('predicate.json'), JSON.stringify({ bomFormat: 'CycloneDX', specVersion: '1.6', version: 1 }))
    const common = ['--key', file('key.key'), '--signing-config', file('services.json'), '--trusted-root', file('root.json'), '-y']
    const signed = await run(cosign3.path, ['sign', ...common, ref(image.index)])
    expect(signed.ok, signed.said).toBe(true)
    const attest = async (target: Descriptor): Promise<void> => {
      const { ok, said } = await run(cosign3.path, [
        'attest',
        ...common,
        '--type',
        'cyclonedx',
        '--predicate',
        file('predicate.json'),
        ref(target),
      ])
      expect(ok, said).toBe(true)
    }
    await attest(image.index)
    await verifyUpstream(image.index, key.publicKey, store, 'upstream')
    // an attestation is no signature
    const [, attestedOnly] = image.platforms
    if (attestedOnly === undefined) throw new Error('two platforms')
    await attest(attestedOnly)
    await expect(verifyUpstream(attestedOnly, key.publicKey, store, 'upstream')).rejects.toThrow(/none of upstream’s 1 signatures/)
    const { referrers } = await findAttached(image.index, store)
    const types = referrers.map(({ layers }) => {
      const bytes = layers[0]?.bytes ?? Buffer.alloc(0)
      expect(() => verifyBundle(bytes, { keys, spelling: 'any', subject: image.platforms[0] as Descriptor })).toThrow()
      return verifyBundle(bytes, { keys, spelling: 'any', subject: image.index }).statement.predicateType
    })
    expect(types.sort()).toEqual([predicateTypes.cosignSign, predicateTypes.cyclonedx].sort())
  })

  test.skipIf(skip)('cosign 2: `.sig` and `.att`', async () => {
    const { image, store, ref } = await pushed('theirs/v2')
    writeFileSync(file('predicate2.json'), readFileSync(file('root.json')))
    const common = ['--key', file('key.key'), '--tlog-upload=false', '-y']
    const signed = await run(cosign2.path, ['sign', ...common, ref(image.index)])
    expect(signed.ok, signed.said).toBe(true)
    const attested = await run(cosign2.path, [
      'attest',
      ...common,
      '--type',
      'https://example.org/x',
      '--predicate',
      file('predicate2.json'),
      ref(image.index),
    ])
    expect(attested.ok, attested.said).toBe(true)
    await verifyUpstream(image.index, key.publicKey, store, 'upstream')
    const { signature, attestation: att } = await findAttached(image.index, store)
    const layer = signature?.layers[0]
    const b64 = layer?.descriptor.annotations?.['dev.cosignproject.cosign/signature'] ?? ''
    const payload = layer?.bytes ?? Buffer.alloc(0)
    expect(verifySimpleSigning(payload, b64, image.index.digest, keys).reference).toBe(`${registry.host}/theirs/v2`)
    const envelope = att?.layers[0]?.bytes.toString() ?? ''
    expect(verifyEnvelope(envelope, { keys, subject: image.index }).statement.predicateType).toBe('https://example.org/x')
  })
})
