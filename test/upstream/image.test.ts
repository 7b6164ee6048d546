import { describe, expect, test } from 'vitest'
import { memoryStore } from '../../src/content/memory.ts'
import { pushBytes } from '../../src/content/read.ts'
import { openRegistry } from '../../src/content/registry.ts'
import type { ContentReader, ContentStore } from '../../src/content/store.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/mediatype.ts'
import { resolveBase, resolveImage } from '../../src/upstream/image.ts'
import { upstreamSignature } from '../../src/upstream/signature.ts'
import { startRegistry } from '../sign/registry.ts'
import { tool } from '../tools.ts'

const reference = 'docker.io/rancher/pause:3.6'

async function manifestFor(store: ContentStore, architecture: string): Promise<Descriptor> {
  const config = await pushBytes(
    store,
    mediaTypes.config,
    JSON.stringify({ os: 'linux', architecture, rootfs: { type: 'layers', diff_ids: [] } }),
  )
  const { mediaType, digest, size } = await pushBytes(
    store,
    mediaTypes.manifest,
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers: [] }),
  )
  return { mediaType, digest, size }
}

async function indexIn(
  store: ContentStore,
  architectures: readonly string[],
): Promise<{ readonly index: Descriptor; readonly manifests: readonly Descriptor[] }> {
  const manifests = await Promise.all(architectures.map((architecture) => manifestFor(store, architecture)))
  const entries = [
    ...manifests.map((manifest, at) => ({ ...manifest, platform: { os: 'linux', architecture: architectures[at] } })),
    // what buildkit adds: an attestation
    { ...(await manifestFor(store, 'none')), platform: { os: 'unknown', architecture: 'unknown' } },
  ]
  const index = await pushBytes(
    store,
    mediaTypes.index,
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: entries }),
  )
  await store.tag(index, '3.6')
  return { index, manifests }
}

/** A reader that checks nothing: `named` is what its tag promises, `given` what it hands out. */
function serving(named: string, given: string): ContentReader {
  return {
    resolve: async () => ({ mediaType: mediaTypes.index, digest: digestOf(named), size: Buffer.byteLength(named) }),
    async *fetch() {
      yield Buffer.from(given)
    },
    exists: async () => true,
    referrers: async () => [],
  }
}

describe('an image by its tag', () => {
  test('index and platforms by digest; attestations and foreign platforms are not taken', async () => {
    const store = memoryStore()
    const { index, manifests } = await indexIn(store, ['amd64', 'arm64', 's390x'])
    const opened: string[] = []
    const open = (registry: string, repository: string): ContentStore => {
      opened.push(`${registry} ${repository}`)
      return store
    }
    expect(await resolveImage(open, reference)).toEqual({
      kind: 'image',
      reference,
      index,
      platforms: { 'linux/amd64': manifests[0], 'linux/arm64': manifests[1] },
    })
    expect(opened).toEqual(['docker.io rancher/pause'])
    expect(await resolveBase(open, { reference, platform: 'linux/arm64', name: 'openEuler' })).toEqual({
      kind: 'image',
      name: 'openEuler',
      reference,
      manifest: manifests[1],
    })
    await expect(resolveBase(open, { reference, platform: 'linux/riscv64', name: 'openEuler' })).rejects.toMatchObject({
      code: 'RFO_UPSTREAM_PLATFORM',
      exit: 'outside',
    })
  })

  test('a single manifest says in its config what it runs on', async () => {
    const store = memoryStore()
    const manifest = await manifestFor(store, 'riscv64')
    await store.tag(manifest, '3.6')
    expect(await resolveImage(() => store, reference)).toMatchObject({ index: manifest, platforms: { 'linux/riscv64': manifest } })
  })

  test('no such tag is outside; an index that is none is not to be trusted', async () => {
    const store = memoryStore()
    await expect(resolveImage(() => store, reference)).rejects.toMatchObject({ code: 'RFO_UPSTREAM_ABSENT', exit: 'outside' })
    for (const text of ['[]', '{"manifests":7}', '{"manifests":[{"digest":"sha256:x"}]}', 'nonsense']) {
      await expect(resolveImage(() => serving(text, text), reference)).rejects.toMatchObject({
        code: 'RFO_UPSTREAM_MANIFEST',
        exit: 'untrusted',
      })
    }
    // other bytes than the tag's digest names
    await expect(resolveImage(() => serving('{"manifests":[]}', '{"manifests":[1]}'), reference)).rejects.toMatchObject({
      exit: 'untrusted',
    })
  })
})

const registry = tool('docker-registry')
test.skipIf(registry.skip)('the same from a real registry', async () => {
  const running = await startRegistry(registry.path)
  try {
    const store = openRegistry(
      { registry: 'docker.io', repository: 'rancher/pause' },
      { addresses: { 'docker.io': `http://${running.host}` } },
    )
    const { index, manifests } = await indexIn(store, ['amd64'])
    const { mediaType, digest, size } = index
    const pin = { kind: 'image', reference, index: { mediaType, digest, size }, platforms: { 'linux/amd64': manifests[0] } }
    expect(await resolveImage(() => store, reference)).toEqual(pin)
  } finally {
    running.stop()
  }
})

test('upstream’s signature is seen under cosign 2’s tag and as cosign 3’s referrer, and is never called verified', async () => {
  const store = memoryStore()
  const { index } = await indexIn(store, ['amd64'])
  expect(await upstreamSignature(index, store)).toBe('none')
  const { manifests } = await indexIn(store, ['arm64'])
  await store.tag(manifests[0] ?? index, `sha256-${index.digest.slice('sha256:'.length)}.sig`)
  expect(await upstreamSignature(index, store)).toBe('unverified')
  const other = memoryStore()
  const { index: attached } = await indexIn(other, ['riscv64'])
  const empty = await pushBytes(other, 'application/vnd.oci.empty.v1+json', '{}')
  const layer = await pushBytes(other, mediaTypes.sigstoreBundle, '{"bundle":1}')
  await pushBytes(
    other,
    mediaTypes.manifest,
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      artifactType: mediaTypes.sigstoreBundle,
      config: empty,
      layers: [layer],
      subject: attached,
    }),
  )
  expect(await upstreamSignature(attached, other)).toBe('unverified')
})
