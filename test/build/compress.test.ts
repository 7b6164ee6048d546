import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { compressLayer } from '../../src/build/compress.ts'
import { memoryStore } from '../../src/content/memory.ts'
import { pushBytes } from '../../src/content/read.ts'
import type { ContentStore } from '../../src/content/store.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/mediatype.ts'
import { tool } from '../tools.ts'
import { noise } from './image.ts'

const zstd = tool('zstd')
const frame = 32 * 1024 * 1024
let workDir: string
beforeAll(async () => {
  workDir = await mkdtemp(join(tmpdir(), 'rfo-compress-'))
})
afterAll(async () => {
  await rm(workDir, { recursive: true, force: true })
})

async function bytesOf(store: ContentStore, target: Descriptor): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of store.fetch(target)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** The same store, giving its content in pieces of `length`. */
function crumbling(store: ContentStore, length: number): ContentStore {
  return {
    ...store,
    async *fetch(target, signal) {
      for await (const chunk of store.fetch(target, signal))
        for (let at = 0; at < chunk.length; at += length) yield chunk.subarray(at, at + length)
    },
  }
}

test.each(['zstd', 'gzip'] as const)('%s: the same bytes however the tar arrives, and they unpack to it', async (encoding) => {
  const plain = noise(5_000_000)
  const store = memoryStore()
  const tar = await pushBytes(store, mediaTypes.layerTar, plain)
  const made = await compressLayer(tar, encoding, store, { workDir })
  expect(await compressLayer(tar, encoding, crumbling(store, 777), { workDir })).toEqual(made)
  expect(made.diffId).toBe(digestOf(plain))
  const packed = await bytesOf(store, made.layer)
  expect((encoding === 'zstd' ? zstdDecompressSync(packed) : gunzipSync(packed)).equals(plain)).toBe(true)
  expect(await readdir(workDir)).toEqual([])
})

test('a store that has the layer already asks for none of it, and its file is removed unread', async () => {
  const store = memoryStore()
  const tar = await pushBytes(store, mediaTypes.layerTar, noise(1000))
  const unread: AsyncIterable<Uint8Array>[] = []
  const full: ContentStore = { ...store, push: async (_layer, body) => void unread.push(body) }
  await compressLayer(tar, 'gzip', full, { workDir })
  expect(await readdir(workDir)).toEqual([])
  // nobody had opened it: a stream that is opened on the way would end the process whenever the file is gone first
  const reading = (async () => {
    for await (const _ of unread[0] ?? []);
  })()
  await expect(reading).rejects.toMatchObject({ code: 'ENOENT' })
})

test('golden: the encoders of this Node give the bytes that every other one gave', async () => {
  const store = memoryStore()
  const tar = await pushBytes(store, mediaTypes.layerTar, noise(3_000_000))
  const zstdLayer = await compressLayer(tar, 'zstd', store, { workDir })
  const gzipLayer = await compressLayer(tar, 'gzip', store, { workDir })
  expect(zstdLayer.layer).toEqual({
    mediaType: 'application/vnd.oci.image.layer.v1.tar+zstd',
    digest: 'sha256:1b6c645c309794f5fed199ee73de47d154f553796b1727c260cd3bb2d9404ca5',
    size: 1_469_100,
  })
  expect(gzipLayer.layer).toEqual({
    mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
    digest: 'sha256:e01d4a1d288023642bd6fa96c961f8a7cc0910730c51126709fe0a25a5f0a5c8',
    size: 2_327_624,
  })
  expect((await bytesOf(store, gzipLayer.layer)).subarray(0, 10).toString('hex')).toBe('1f8b08000000000000ff')
})

test('more than one frame, no window over 32 MiB', async () => {
  const plain = noise(frame + 100_000)
  const store = memoryStore()
  const { layer } = await compressLayer(await pushBytes(store, mediaTypes.layerTar, plain), 'zstd', store, { workDir })
  const packed = await bytesOf(store, layer)
  expect(zstdDecompressSync(packed).equals(plain)).toBe(true)
  // https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1.1.2: exponent 15, mantissa 0 = 32 MiB
  expect(packed.subarray(0, 4).toString('hex')).toBe('28b52ffd')
  expect(packed[5]).toBe(15 << 3)
  if (zstd.skip) return
  const file = join(workDir, 'layer.zst')
  await writeFile(file, packed)
  const { stdout } = await promisify(execFile)(zstd.path, ['-lv', file])
  expect(stdout).toMatch(/Frames: 2\b|Zstandard Frames: 2\b/)
  await promisify(execFile)(zstd.path, ['-t', '--memory=32MB', file])
  await rm(file)
})

test('an empty tar is a layer too', async () => {
  const store = memoryStore()
  const tar = await pushBytes(store, mediaTypes.layerTar, Buffer.alloc(1024))
  const { layer } = await compressLayer(tar, 'zstd', store, { workDir })
  expect(zstdDecompressSync(await bytesOf(store, layer)).length).toBe(1024)
})

test('a tar that is not the one named makes no layer', async () => {
  const store = memoryStore()
  const tar = await pushBytes(store, mediaTypes.layerTar, noise(100_000))
  const broken: ContentStore = {
    ...store,
    async *fetch() {
      yield noise(50_000)
      throw new Error('half a blob')
    },
  }
  for (const encoding of ['zstd', 'gzip'] as const)
    await expect(compressLayer(tar, encoding, broken, { workDir })).rejects.toThrow('half a blob')
  expect(await readdir(workDir)).toEqual([])
})
