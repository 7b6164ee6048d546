import { expect, test } from 'vitest'
import { assembleImage, assembleIndex } from '../../src/build/assemble.ts'
import { selectPlatforms } from '../../src/build/mirror.ts'
import { memoryStore } from '../../src/content/memory.ts'
import { pushBytes, readJson } from '../../src/content/read.ts'
import type { ContentStore } from '../../src/content/store.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { mediaTypes } from '../../src/oci/mediatype.ts'
import { epoch, oneLayer, smallBase } from './image.ts'

interface Seen {
  config: Descriptor
  layers: Descriptor[]
}
interface SeenConfig {
  config: unknown
  rootfs: { diff_ids: string[] }
  history: unknown[]
}
async function configOf(store: ContentStore, image: Descriptor): Promise<SeenConfig> {
  return (await readJson(store, ((await readJson(store, image)) as Seen).config)) as SeenConfig
}

test('base layers come first by reference, with diff_ids and history; the component changes how it runs', async () => {
  const store = memoryStore()
  const base = await smallBase(store, 'linux/riscv64')
  const layer = await oneLayer(store, [{ path: '/own', bytes: Buffer.from('own'), mode: 0o755 }], 'zstd', 'us')
  const image = await assembleImage(
    {
      base,
      layers: [layer],
      platform: 'linux/riscv64',
      config: { entrypoint: ['/own'], user: '1000', workdir: '/tmp', env: { LANG: 'C.UTF-8', MORE: '1' }, labels: { from: 'pipeline' } },
      labels: { from: 'release' },
      epoch,
      annotations: { a: 'b' },
    },
    store,
  )
  expect(image).toMatchObject({ mediaType: mediaTypes.manifest, platform: { os: 'linux', architecture: 'riscv64' } })
  const baseManifest = (await readJson(store, base)) as Seen
  const manifest = (await readJson(store, image)) as Seen
  expect(manifest.layers).toEqual([...baseManifest.layers, layer.layer])
  const config = await configOf(store, image)
  const baseConfig = await configOf(store, base)
  expect(config).toEqual({
    architecture: 'riscv64',
    os: 'linux',
    created: '2022-11-15T00:00:00Z',
    config: {
      // a new entrypoint drops the base's command
      Entrypoint: ['/own'],
      User: '1000',
      WorkingDir: '/tmp',
      Env: ['PATH=/usr/bin:/bin', 'LANG=C.UTF-8', 'MORE=1'],
      Labels: { base: 'small', from: 'release' },
    },
    rootfs: { type: 'layers', diff_ids: [...baseConfig.rootfs.diff_ids, layer.diffId] },
    history: [...baseConfig.history, { created: '2022-11-15T00:00:00Z', created_by: 'us' }],
  })
})

test("docker's media types become OCI's; what docker adds to a config is left out", async () => {
  const store = memoryStore()
  const { layer, diffId } = await oneLayer(store, [{ path: '/a', bytes: Buffer.from('a'), mode: 0o644 }], 'gzip', 'docker')
  const config = {
    architecture: 'amd64',
    os: 'linux',
    container: 'x',
    config: { Env: null, Cmd: ['sh'], Hostname: 'h', ArgsEscaped: true },
    rootfs: { type: 'layers', diff_ids: [diffId] },
    history: null,
  }
  const configBlob = await pushBytes(store, mediaTypes.dockerConfig, JSON.stringify(config))
  const layers = [{ ...layer, mediaType: mediaTypes.dockerLayerGzip }]
  const base = await pushBytes(
    store,
    mediaTypes.dockerManifest,
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.dockerManifest, config: configBlob, layers }),
  )
  const image = await assembleImage({ base, layers: [], platform: 'linux/amd64', config: {}, labels: {}, epoch }, store)
  expect(((await readJson(store, image)) as Seen).layers).toEqual([layer])
  expect((await configOf(store, image)).config).toEqual({ Cmd: ['sh'] })
  const wrong = assembleImage({ base, layers: [], platform: 'linux/arm64', config: {}, labels: {}, epoch }, store)
  await expect(wrong).rejects.toMatchObject({ code: 'RFO_BUILD_BASE', message: expect.stringContaining('linux/amd64, not linux/arm64') })
})

test('the index names platforms, and selectPlatforms finds them again', async () => {
  const store = memoryStore()
  const amd64 = await smallBase(store, 'linux/amd64')
  const arm64 = await smallBase(store, 'linux/arm64')
  const index = await assembleIndex([amd64, arm64], { v: '1' }, store)
  expect(await readJson(store, index)).toMatchObject({
    mediaType: mediaTypes.index,
    annotations: { v: '1' },
    manifests: [{ platform: { architecture: 'amd64' } }, { platform: { architecture: 'arm64' } }],
  })
  expect(await selectPlatforms(index, ['linux/arm64', 'linux/amd64'], store)).toEqual({ 'linux/arm64': arm64, 'linux/amd64': amd64 })
  await expect(selectPlatforms(index, ['linux/riscv64'], store)).rejects.toMatchObject({
    code: 'RFO_BUILD_PLATFORM',
    message: expect.stringContaining('linux/riscv64'),
  })
})

test("upstream's indexes: variants, attestations, docker lists, images of one platform", async () => {
  const store = memoryStore()
  const arm64 = await smallBase(store, 'linux/arm64')
  const list = {
    schemaVersion: 2,
    mediaType: mediaTypes.dockerManifestList,
    manifests: [
      { ...arm64, digest: `sha256:${'a'.repeat(64)}`, platform: { os: 'windows', architecture: 'arm64' } },
      { ...arm64, digest: `sha256:${'b'.repeat(64)}`, platform: { os: 'unknown', architecture: 'unknown' } },
      { ...arm64, digest: `sha256:${'c'.repeat(64)}`, platform: { os: 'linux', architecture: 'arm', variant: 'v7' } },
      { ...arm64, platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } },
    ],
  }
  const index = await pushBytes(store, mediaTypes.dockerManifestList, JSON.stringify(list))
  expect(await selectPlatforms(index, ['linux/arm64'], store)).toEqual({ 'linux/arm64': arm64 })
  const { platform: _, ...alone } = arm64
  expect(await selectPlatforms(alone, ['linux/arm64'], store)).toEqual({ 'linux/arm64': arm64 })
})

test('a layer that is not in the store makes no manifest', async () => {
  const { layer, diffId } = await oneLayer(memoryStore(), [{ path: '/a', bytes: Buffer.from('a'), mode: 0o644 }], 'zstd', 'x')
  const made = assembleImage(
    { layers: [{ layer, diffId, createdBy: 'x' }], platform: 'linux/amd64', config: {}, labels: {}, epoch },
    memoryStore(),
  )
  await expect(made).rejects.toMatchObject({ code: 'RFO_BUILD_LAYER' })
})
