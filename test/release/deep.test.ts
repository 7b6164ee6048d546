/** `--deep`: what lies inside files whose digests hold, made wrong. */
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ReleasePredicate } from '../../src/attest/release.ts'
import { bytesBody } from '../../src/content/body.ts'
import { memoryStore } from '../../src/content/memory.ts'
import { pushBytes } from '../../src/content/read.ts'
import { checkLayer } from '../../src/inspect/layers.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { blockSize, headerBlocks, padding, type TarHeader } from '../../src/oci/tar-header.ts'
import { readChartArchive, writeChartArchive } from '../../src/pack/chart-archive.ts'
import { verifyDeep } from '../../src/release/verify/deep.ts'
import { hashFiles } from '../../src/release/verify/hash.ts'
import { checkTarball } from '../../src/release/verify/tarball.ts'
import { readPredicate } from './form.ts'
import { copyFolder, madeProject, type Project, run, version } from './project.ts'

let project: Project
let made: string
let predicate: ReleasePredicate
let scratch: string
beforeAll(async () => {
  project = await madeProject('amd64')
  made = join(project.folder, 'dist', version)
  predicate = await readPredicate(made)
  scratch = await mkdtemp(join(tmpdir(), 'rfo-deep-'))
})
afterAll(async () => {
  await project.remove()
  await rm(scratch, { recursive: true, force: true })
})

async function told(folder: string, of = predicate): Promise<{ codes: string[]; claims: string[] }> {
  const { findings, claims } = await verifyDeep(folder, of)
  return { codes: findings.map(({ exit, code, where }) => `${exit} ${code} ${where}`), claims: claims.map(({ name }) => name) }
}

async function changed(change: (folder: string) => Promise<unknown>): Promise<string> {
  const folder = await mkdtemp(join(scratch, 'r'))
  await copyFolder(made, folder)
  await change(folder)
  return folder
}

test('a release that nobody touched holds what it says', async () => {
  expect(await told(made)).toEqual({ codes: [], claims: ['archives', 'layers', 'contents'] })
  const ran = await run(project.folder, ['verify', version, '--key', '.rfo/sandbox/cosign.pub', '--deep'])
  expect(ran.code).toBe(0)
  expect(ran.stdout).toContain('blob by blob')
})

test('an archive of other images than its name says is found', async () => {
  const archives = (await readdir(made)).filter((name) => /^rfo-images-.*\.tar\.zst$/.test(name)).sort()
  const [one = '', two = ''] = archives
  const swapped = await changed((folder) => cp(join(made, one), join(folder, two), { force: true }))
  expect(await told(swapped)).toEqual({ codes: [`untrusted RFO_VERIFY_ARCHIVE ${two}`], claims: ['layers', 'contents'] })
  // an image that was signed and is not in its archive
  const more = structuredClone(predicate)
  for (const image of more.images) image.groups = image.groups.map(() => 'core')
  expect((await told(made, more)).codes).toContain('untrusted RFO_VERIFY_ARCHIVE rfo-images-core.linux-amd64.tar.zst')
})

test('a flipped byte in an archive is found', async () => {
  const path = 'rfo-images-core.linux-amd64.tar.zst'
  const folder = await changed(async (copy) => {
    const bytes = await readFile(join(copy, path))
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1
    await writeFile(join(copy, path), bytes)
  })
  const { codes, claims } = await told(folder)
  expect(codes).toEqual([expect.stringMatching(/^untrusted RFO_(CONTENT_DIGEST|PACK_\w+) rfo-images-core/)])
  expect(claims).not.toContain('archives')
})

function tarOf(entries: readonly (Pick<TarHeader, 'name' | 'type' | 'link'> & { readonly body?: Buffer })[]): Buffer {
  const parts = entries.flatMap(({ body = Buffer.alloc(0), ...entry }) => [
    headerBlocks({ ...entry, mode: 0o644, size: body.length, mtime: 0 }),
    body,
    Buffer.alloc(padding(body.length)),
  ])
  return Buffer.concat([...parts, Buffer.alloc(2 * blockSize)])
}

async function layerCode(tar: Buffer, diffId: Digest = digestOf(tar), packing: 'gzip' | 'zstd' = 'gzip'): Promise<string> {
  const store = memoryStore()
  const packed = packing === 'gzip' ? gzipSync(tar) : zstdCompressSync(tar)
  const layer = await pushBytes(store, `application/vnd.oci.image.layer.v1.tar+${packing}`, packed as unknown as string)
  return await checkLayer({ layer, diffId }, store).then(
    () => 'held',
    ({ exit, code }) => `${exit} ${code}`,
  )
}

test('a layer that is not its diff_id, grows without bound or leaves the root is found', async () => {
  const plain = tarOf([{ name: 'a', type: 'file', link: '', body: Buffer.from('a') }])
  expect(await layerCode(plain)).toBe('held')
  expect(await layerCode(plain, digestOf('other'))).toBe('untrusted RFO_INSPECT_DIFFID')
  // deflate never packs more than a thousandth away, so only zstd makes bombs
  const zeros = tarOf([{ name: 'zeros', type: 'file', link: '', body: Buffer.alloc(80 << 20) }])
  expect(await layerCode(zeros, digestOf(zeros), 'zstd')).toBe('untrusted RFO_INSPECT_BOMB')
  expect(await layerCode(zeros)).toBe('held')
  expect(await layerCode(tarOf([{ name: '../a', type: 'file', link: '' }]))).toBe('untrusted RFO_INSPECT_PATH')
  expect(await layerCode(tarOf([{ name: 'a', type: 'hardlink', link: '../../etc/shadow' }]))).toBe('untrusted RFO_INSPECT_PATH')
})

test('a tarball with another program, a package or chart with other files is found', async () => {
  const program = predicate.files.find(({ path }) => path === 'rfo.linux-amd64')
  const tarball = await readFile(join(made, 'rfo.linux-amd64.tar.gz'))
  const code = (bytes: Buffer, signed = program): Promise<string> =>
    checkTarball(bytesBody(bytes), signed).then(
      () => 'held',
      (thrown) => `${thrown.exit} ${thrown.code}`,
    )
  expect(await code(tarball)).toBe('held')
  expect(await code(tarball, program && { ...program, digest: digestOf('another') })).toBe('untrusted RFO_VERIFY_TARBALL')
  const body = await readFile(join(made, 'rfo.linux-amd64'))
  const file = { name: 'bin/rfo', type: 'file', link: '', body } as const
  expect(await code(gzipSync(tarOf([file])))).toBe('held')
  expect(await code(gzipSync(tarOf([file, file])))).toBe('untrusted RFO_VERIFY_TARBALL')
  expect(await code(gzipSync(tarOf([file, { name: 'bin/x', type: 'symlink', link: '/etc/shadow' }])))).toBe('untrusted RFO_VERIFY_TARBALL')
  expect(await code(gzipSync(tarOf([file, { name: '../x', type: 'file', link: '' }])))).toBe('untrusted RFO_INSPECT_PATH')
  expect(await code(gzipSync(tarOf([file, { name: 'zeros', type: 'file', link: '', body: Buffer.alloc(70 << 20) }])))).toBe(
    'untrusted RFO_VERIFY_TARBALL',
  )

  const rpms = ['.x86_64.rpm', '.src.rpm'].map((end) => predicate.files.find(({ path }) => path.endsWith(end))?.path ?? '')
  const chart = predicate.files.find(({ path }) => path.endsWith('.tgz'))?.path ?? ''
  const folder = await changed(async (copy) => {
    for (const rpm of rpms) {
      const bytes = await readFile(join(copy, rpm))
      bytes[bytes.length - 40] = (bytes[bytes.length - 40] ?? 0) ^ 1
      await writeFile(join(copy, rpm), bytes)
    }
    const name = /([^/]+)-\d+\.\d+\.\d+.*\.tgz$/.exec(chart)?.[1] ?? ''
    await writeFile(join(copy, chart), writeChartArchive('other', await readChartArchive(await readFile(join(copy, chart)), name), 0))
  })
  const { codes, claims } = await told(folder)
  expect(codes).toEqual([
    `untrusted RFO_PACK_CHART ${chart}`,
    ...rpms
      .toSorted()
      .map((rpm) => expect.stringMatching(new RegExp(`^untrusted RFO_RPM_\\w+ ${rpm.replaceAll('.', '\\.').replaceAll('+', '\\+')}`))),
  ])
  expect(claims).toEqual(['archives', 'layers'])
})

test('threads give the digests that one thread gives', async () => {
  // a size that a caller believes is what decides; the bytes are small
  const files = predicate.files.map(({ path }) => ({ path, sm3: true, size: 1 << 28 }))
  const [one, many] = [await hashFiles(made, files, 1), await hashFiles(made, files, 2)]
  expect([...many].sort()).toEqual([...one].sort())
  for (const { path, digest, sm3, size } of predicate.files) expect(many.get(path)).toEqual({ digest, sm3, size })
  await expect(hashFiles(made, [...files, { path: 'gone', sm3: false, size: 0 }], 2)).rejects.toThrow(/ENOENT/)
})
