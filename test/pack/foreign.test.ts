/** The programs that read group archives: containerd, RKE2's own archive reader, skopeo, zstd and tar. */
import { execFile } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type DirectoryStore, openDirectoryStore } from '../../src/content/directory.ts'
import { gzipped } from '../../src/content/gzip.ts'
import { readBytes } from '../../src/content/read.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { parseImageConfig, parseManifest } from '../../src/oci/manifest.ts'
import { writeGroupArchive } from '../../src/pack/archive.ts'
import type { GroupImage } from '../../src/pack/contents.ts'
import { unzstdFrames } from '../../src/pack/unframe.ts'
import { startContainerd } from '../build/containerd.ts'
import { tool } from '../tools.ts'
import { epoch, runtimeReference, smallGroup } from './group.ts'

const run = promisify(execFile)
const containerd = tool('containerd')
const ctr = tool('ctr')
const runc = tool('runc')
const go = tool('go')
const skopeo = tool('skopeo')
const zstd = tool('zstd')
const gnuTar = tool('tar')
const root = process.getuid?.() === 0
/** Several frames. */
const ballast = 40 * 1024 * 1024

let dir: string
let store: DirectoryStore
let images: GroupImage[]
let archive: Descriptor
let file: string
let plain: string

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rfo-pack-'))
  store = await openDirectoryStore(join(dir, 'store'))
  images = await smallGroup(store, 'linux/amd64', ballast)
  archive = await writeGroupArchive({ platform: 'linux/amd64', images, epoch }, store, store)
  file = join(dir, 'images', 'rfo-images.linux-amd64.tar.zst')
  await mkdir(join(dir, 'images'))
  await copyFile(store.blobPath(archive.digest), file)
  plain = join(dir, 'plain.tar')
  if (!zstd.skip) await run(zstd.path, ['-q', '-d', file, '-o', plain])
})
afterAll(async () => {
  await rm(dir, { recursive: true, force: true })
})

const full = (reference: string): string => (reference.startsWith('docker.io/') ? reference : `docker.io/${reference}`)

describe.skipIf(containerd.skip || ctr.skip || runc.skip || zstd.skip || !root)('containerd', () => {
  test('imports all images under their names and as the digests that were given, and runs them', async () => {
    const daemon = await startContainerd(join(dir, 'containerd'), { containerd, ctr, runc })
    try {
      // ctr takes a tar; RKE2 hands containerd what its own decoder made of the file
      await daemon.ctr('images', 'import', '--all-platforms', '--no-unpack', plain)
      const listed = (await daemon.ctr('images', 'ls')).split('\n').map((line) => line.split(/\s+/).slice(0, 3))
      for (const { reference, manifest } of images) {
        expect(listed).toContainEqual([full(reference), manifest.mediaType, manifest.digest])
      }
      expect(listed.length).toBe(images.length + 2) // a heading, and an empty line
      expect((await daemon.ctr('images', 'check')).match(/complete/g)?.length).toBe(images.length)
      expect(await daemon.run(full(images[0]?.reference ?? ''), 'coredns')).toBe('coredns\n')
      expect(await daemon.run(runtimeReference, 'runtime')).toBe('runtime\n')
    } finally {
      await daemon.stop()
    }
  })
})

describe.skipIf(go.skip)('the reader of RKE2 v1.24.8', () => {
  let reader: string
  beforeAll(async () => {
    reader = join(dir, 'reader')
    await run(go.path, ['build', '-buildvcs=false', '-o', reader, '.'], { cwd: join(import.meta.dirname, 'reader') })
  }, 180_000)

  const call = async (...argv: string[]) => JSON.parse((await run(reader, argv)).stdout)

  test.skipIf(zstd.skip)('decodes to the same bytes within its 32 MiB', async () => {
    expect(`sha256:${(await call('unzstd', file)).sha256}`).toBe(digestOf(await readFile(plain)))
  })

  test('finds rfo-runtime by its tag, down to the bytes of its gzip layers', async () => {
    const manifest = parseManifest(await readBytes(store, images[2]?.manifest as Descriptor))
    const config = parseImageConfig(await readBytes(store, manifest.config))
    const found = await call('find', join(dir, 'images'), 'rfolabs/rfo-runtime:v1.24.8-rfor1')
    expect(found).toEqual({ config: manifest.config.digest, layers: config.rootfs.diff_ids })
    await expect(call('find', join(dir, 'images'), 'rfolabs/rfo-runtime:v1.24.9-rfor1')).rejects.toThrow(/not found/)
  })

  test('finds it in the archive in gzip, too', async () => {
    const gzip = join(dir, 'gzip')
    await mkdir(gzip)
    const tar = unzstdFrames(createReadStream(file))
    await writeFile(join(gzip, 'rfo-images.linux-amd64.tar.gz'), gzipped(tar))
    const runtime = 'rfolabs/rfo-runtime:v1.24.8-rfor1'
    expect(await call('find', gzip, runtime)).toEqual(await call('find', join(dir, 'images'), runtime))
  })

  test('refuses zstd layers: why rfo-runtime has gzip ones', async () => {
    await expect(call('find', join(dir, 'images'), 'rfolabs/rfo-etcd:v3.5.4')).rejects.toThrow(/gzip: invalid header/)
  })
})

describe.skipIf(skopeo.skip || zstd.skip)('skopeo', () => {
  test.each([0, 1, 2])('reads image %i as oci-archive with its digest, and as docker-archive', async (i) => {
    const { reference, manifest } = images[i] as GroupImage
    const oci = await run(skopeo.path, ['inspect', '--raw', `oci-archive:${plain}:${full(reference)}`])
    expect(digestOf(oci.stdout)).toBe(manifest.digest)
    for (const transport of ['oci-archive', 'docker-archive']) {
      await run(skopeo.path, ['copy', '-q', `${transport}:${plain}:${full(reference)}`, `dir:${join(dir, `${transport}-${i}`)}`])
    }
  })
})

test.skipIf(zstd.skip || gnuTar.skip)('zstd tests it, tar lists it', async () => {
  await run(zstd.path, ['-q', '-t', file])
  const names = (await run(gnuTar.path, ['--zstd', '-tf', file])).stdout.trim().split('\n')
  expect(names.slice(0, 3)).toEqual(['manifest.json', 'oci-layout', 'index.json'])
  expect(new Set(names).size).toBe(names.length)
  expect(names.slice(3).every((name) => /^blobs\/sha256\/[0-9a-f]{64}$/.test(name))).toBe(true)
})
