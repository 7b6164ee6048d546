/** What `lock` says of upstream's signature on a mirrored image, asked as `lock` asks: of a registry, by the pipeline's key. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { pinFingerprint } from '../../src/plan/fingerprint.ts'
import { resolvers } from '../../src/release/resolvers.ts'
import { type RunningRegistry, startRegistry } from '../../src/sandbox/registry.ts'
import { signImage } from '../../src/sign/attach.ts'
import { generateKey, readSigningKey } from '../../src/sign/key.ts'
import { tinyImage } from '../sign/images.ts'
import { repositoryStore } from '../sign/registry.ts'

const pair = generateKey()
const stranger = generateKey()
let registry: RunningRegistry
let index: Descriptor
const lockImage = (name: string, upstreamKey?: string) =>
  resolvers({
    env: {},
    addresses: { 'docker.io': `http://${registry.host}` },
    credentials: async () => undefined,
    workDir: '/nowhere',
    signal: new AbortController().signal,
    line: () => {},
  }).image(`docker.io/rancher/${name}`, upstreamKey)

beforeAll(async () => {
  registry = await startRegistry()
  const store = repositoryStore(registry.host, 'rancher/signed')
  ;({ index } = await tinyImage(store, 'signed'))
  await store.tag(index, 'v1')
  await signImage(index, 'docker.io/rancher/signed:v1', readSigningKey(stranger.privatePem), store, 0)
  await signImage(index, 'docker.io/rancher/signed:v1', readSigningKey(pair.privatePem), store, 0)
  const bare = repositoryStore(registry.host, 'rancher/bare')
  await bare.tag((await tinyImage(bare, 'bare')).index, 'v1')
})
afterAll(() => registry.close())

test('a signature by upstream’s key is verified, beside another’s', async () => {
  expect(await lockImage('signed:v1', pair.publicPem)).toMatchObject({ upstreamSignature: 'verified', index: { digest: index.digest } })
})

test('without a key nothing is called verified', async () => {
  expect(await lockImage('signed:v1')).toMatchObject({ upstreamSignature: 'unverified' })
  expect(await lockImage('bare:v1')).toMatchObject({ upstreamSignature: 'none' })
})

test('an image that upstream’s key has not signed is not locked', async () => {
  await expect(lockImage('signed:v1', generateKey().publicPem)).rejects.toMatchObject({ code: 'RFO_SIGN_UPSTREAM', exit: 'untrusted' })
  await expect(lockImage('bare:v1', pair.publicPem)).rejects.toMatchObject({ message: 'upstream shows no signature' })
})

test('another key asks again', () => {
  const mirrored = { component: 'x', action: 'mirror', upstream: 'docker.io/rancher/x:v1' } as const
  const prints = [undefined, pair.publicPem, stranger.publicPem].map((upstreamKey) =>
    pinFingerprint(upstreamKey === undefined ? mirrored : { ...mirrored, upstreamKey }),
  )
  expect(new Set(prints).size).toBe(3)
})
