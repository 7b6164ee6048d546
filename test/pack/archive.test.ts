import { execFile, spawn } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { zstdDecompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { assembleIndex } from '../../src/build/assemble.ts'
import { type DirectoryStore, openDirectoryStore } from '../../src/content/directory.ts'
import { memoryStore } from '../../src/content/memory.ts'
import { readBytes } from '../../src/content/read.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { digestOf, parseDigest } from '../../src/oci/digest.ts'
import { parseManifest } from '../../src/oci/manifest.ts'
import { annotationKeys } from '../../src/oci/mediatype.ts'
import { platformOf } from '../../src/oci/platform.ts'
import { writeGroupArchive } from '../../src/pack/archive.ts'
import type { GroupImage } from '../../src/pack/contents.ts'
import { checkGroupArchive, openGroupArchive } from '../../src/pack/read.ts'
import { mounts } from '../mounts.ts'
import { epoch, smallGroup } from './group.ts'

const child = join(import.meta.dirname, 'large-child.ts')
let dir: string
let store: DirectoryStore
let images: GroupImage[]

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rfo-archive-'))
  store = await openDirectoryStore(join(dir, 'store'))
  images = await smallGroup(store, 'linux/arm64', 20_000_000)
})
afterAll(async () => {
  await rm(dir, { recursive: true, force: true })
})

const write = (list: readonly GroupImage[]): Promise<Descriptor> =>
  writeGroupArchive({ platform: 'linux/arm64', images: list, epoch }, store, store)

test('the same images give the same bytes, whatever their order, spelling and the chunks that they come in', async () => {
  const first = await write(images)
  const spelt = images.map((image) => ({ ...image, reference: image.reference.replace(/^docker\.io\//, '') }))
  expect(await write(spelt.toReversed())).toEqual(first)
  const crumbs = {
    ...store,
    async *fetch(target: Descriptor) {
      for await (const bytes of store.fetch(target)) for (let at = 0; at < bytes.length; at += 70_001) yield bytes.subarray(at, at + 70_001)
    },
  }
  const other = await openDirectoryStore(join(dir, 'other'))
  expect(await writeGroupArchive({ platform: 'linux/arm64', images, epoch, file: 'a.tar.zst' }, crumbs, other)).toEqual({
    ...first,
    annotations: { [annotationKeys.title]: 'a.tar.zst' },
  })
})

test('read back: every blob once, shared layers first, and nothing else', async () => {
  const { digest } = await write(images)
  const archive = await openGroupArchive(createReadStream(store.blobPath(digest)))
  const full = images.map(({ reference }) => `docker.io/${reference.replace(/^docker\.io\//, '')}`)
  expect(archive.platform).toBe('linux/arm64')
  expect(archive.epoch).toBe(epoch)
  expect(archive.images.map(({ reference }) => reference)).toEqual(full.toSorted())
  const found: string[] = []
  for await (const { blob, body } of archive.blobs()) {
    const chunks: Uint8Array[] = []
    for await (const bytes of body) chunks.push(bytes)
    expect(digestOf(Buffer.concat(chunks))).toBe(blob.digest)
    found.push(blob.digest)
  }
  const parsed = await Promise.all(images.map(async ({ manifest }) => parseManifest(await readBytes(store, manifest))))
  const wanted = parsed.flatMap(({ config, layers }) => [config.digest, ...layers.map((layer) => layer.digest)])
  expect(found.toSorted()).toEqual([...new Set([...images.map(({ manifest }) => manifest.digest), ...wanted])].toSorted())
  // the base of all three
  expect(found[2 * images.length]).toBe(parsed[0]?.layers[0]?.digest)
})

test('two names of one image are two names, not two images', async () => {
  const [one] = images as [GroupImage]
  const archive = await write([one, { ...one, reference: 'rancher/other:v1' }])
  const tar = zstdDecompressSync(await readFile(store.blobPath(archive.digest)))
  const size = Number.parseInt(tar.toString('latin1', 124, 135), 8)
  const manifest = JSON.parse(tar.toString('utf8', 512, 512 + size))
  expect(manifest.map((entry: { RepoTags: string[] }) => entry.RepoTags)).toEqual([
    ['docker.io/rancher/other:v1', 'docker.io/rfolabs/rfo-coredns:v1.9.3'],
  ])
  expect((await checkGroupArchive(createReadStream(store.blobPath(archive.digest)))).images).toHaveLength(2)
})

describe('refused before anything is written', () => {
  const cases: [string, (list: GroupImage[]) => Promise<GroupImage[]> | GroupImage[], string][] = [
    ['no image', () => [], 'RFO_PACK_IMAGES'],
    ['one reference twice', (list) => [...list, { ...list[1], reference: 'rfolabs/rfo-coredns:v1.9.3' } as GroupImage], 'RFO_PACK_IMAGES'],
    ['no tag', ([one]) => [{ ...one, reference: 'rfolabs/x' } as GroupImage], 'RFO_PACK_REFERENCE'],
    ['a digest', ([one]) => [{ ...one, reference: `rfolabs/x:v1@${one?.manifest.digest}` } as GroupImage], 'RFO_PACK_REFERENCE'],
    [
      'an index',
      async ([one]) => {
        const platform = platformOf('linux/arm64')
        return [{ reference: 'rfolabs/x:v1', manifest: await assembleIndex([{ ...(one as GroupImage).manifest, platform }], {}, store) }]
      },
      'RFO_PACK_PLATFORM',
    ],
    ['an image of another platform', () => smallGroup(store, 'linux/riscv64'), 'RFO_PACK_PLATFORM'],
    [
      'a manifest that is not there',
      ([one]) => [{ reference: 'a/b:c', manifest: { ...(one as GroupImage).manifest, digest: parseDigest(`sha256:${'0'.repeat(64)}`) } }],
      'RFO_CONTENT_ABSENT',
    ],
  ]
  test.each(cases)('%s', async (_, change, code) => {
    await expect(write(await change([...images]))).rejects.toMatchObject({ code })
    expect(await readdir(join(dir, 'store', 'tmp'))).toEqual([])
  })
})

test('a blob that is not what its name says stops the archive, and nothing is left of it', async () => {
  const to = await openDirectoryStore(join(dir, 'spoiled'))
  const layer = parseManifest(await readBytes(store, (images[0] as GroupImage).manifest)).layers[1]
  const spoiled = {
    ...memoryStore(),
    async *fetch(target: Descriptor) {
      for await (const bytes of store.fetch(target)) {
        if (target.digest !== layer?.digest) yield bytes
        else yield Buffer.from(bytes).fill(0, 5, 6)
      }
    },
  }
  await expect(writeGroupArchive({ platform: 'linux/arm64', images, epoch }, spoiled, to)).rejects.toMatchObject({
    code: 'RFO_CONTENT_DIGEST',
  })
  expect([...(await readdir(join(dir, 'spoiled/tmp'))), ...(await readdir(join(dir, 'spoiled/blobs/sha256')))]).toEqual([])
})

test('an archive of 300 MB is written and read back within 150 MB', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [child, join(dir, 'large'), '300'])
  const { archive, rss, tmp } = JSON.parse(stdout.slice(stdout.indexOf('\n')))
  expect(archive.size).toBeGreaterThan(300 << 20)
  expect(tmp).toEqual([])
  // the peak of the whole process, Node's own 45 MB with it
  expect(rss).toBeLessThan(150 << 20)
})

test('kill -9 at any moment leaves no half archive, and the next run makes the same one', async () => {
  const target = join(dir, 'killed')
  const blobs = join(target, 'blobs/sha256')
  for (const delay of [0, 40, 120]) {
    const killed = spawn(process.execPath, [child, target, '150'], { stdio: ['ignore', 'pipe', 'inherit'] })
    await new Promise((resolve) => killed.stdout.once('data', resolve))
    await new Promise((resolve) => setTimeout(resolve, delay))
    const ended = new Promise((resolve) => killed.once('close', resolve))
    killed.kill('SIGKILL')
    await ended
    // a fast machine may have ended before
    for (const name of await readdir(blobs)) expect(digestOf(await readFile(join(blobs, name)))).toBe(`sha256:${name}`)
  }
  const run = async (place: string) => (await promisify(execFile)(process.execPath, [child, place, '150'])).stdout
  const [again, fresh] = [await run(target), await run(join(dir, 'fresh'))].map((out) => JSON.parse(out.slice(out.indexOf('\n'))))
  expect(again.archive).toEqual(fresh.archive)
  expect(again.blobs).toEqual(fresh.blobs)
})

const root = process.getuid?.() === 0
test.skipIf(!root || mounts().skip)('a full disk is said to be full, and nothing is left on it', async () => {
  const place = await mkdtemp(join(dir, 'full-'))
  const script = 'mount -t tmpfs -o size=8m tmpfs "$1" && exec "$2" "$3" "$1/store" 30'
  const { stdout } = await promisify(execFile)('unshare', ['-m', 'sh', '-c', script, 'sh', place, process.execPath, child])
  expect(JSON.parse(stdout.slice(stdout.indexOf('\n')))).toEqual({ code: 'RFO_CONTENT_DISK', exit: 'machine', blobs: [], tmp: [] })
})
