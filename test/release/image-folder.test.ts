/** Folders of images as RKE2 would read them: ours, those of other tools, and each thing that goes wrong at a site. */
import { execFileSync } from 'node:child_process'
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { constants, gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { bytesBody, gather } from '../../src/content/body.ts'
import { type DirectoryStore, openDirectoryStore } from '../../src/content/directory.ts'
import { unzstd } from '../../src/content/zstd.ts'
import { digestOf, hex } from '../../src/oci/digest.ts'
import { headerBlocks, padding } from '../../src/oci/tar-header.ts'
import { writeGroupArchive } from '../../src/pack/archive.ts'
import { lintFolder } from '../../src/release/image-folder/lint.ts'
import { folderReader } from '../../src/release/image-folder/reader.ts'
import { run } from '../cli/ports.ts'
import { epoch, smallGroup } from '../pack/group.ts'
import { tool } from '../tools.ts'

const skopeo = tool('skopeo')
let scratch: string
let store: DirectoryStore
/** a group archive of three images, the runtime among them */
let group: Buffer
let references: string[]
let folder: string

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'rfo-folder-'))
  store = await openDirectoryStore(join(scratch, 'store'))
  const images = await smallGroup(store, 'linux/amd64')
  references = images.map(({ reference }) => `docker.io/${reference.replace(/^docker\.io\//, '')}`)
  const { digest } = await writeGroupArchive({ platform: 'linux/amd64', images, epoch }, store, store)
  group = await readFile(store.blobPath(digest))
  plainTar = await gather(unzstd(bytesBody(group)))
})
afterAll(() => rm(scratch, { recursive: true }))
beforeEach(async () => {
  folder = await mkdtemp(join(scratch, 'images-'))
})

const old = 'rke2@v1.24.8'
const put = (name: string, bytes: string | Uint8Array): Promise<void> => writeFile(join(folder, name), bytes)
const found = async (reader = old): Promise<string[]> =>
  (await lintFolder(folder, folderReader(reader))).map(({ file, code, level }) => `${file} ${code} ${level}`)
const said = async (code: string, reader = old): Promise<string[]> =>
  (await lintFolder(folder, folderReader(reader))).filter((one) => one.code === code).map(({ file, message }) => `${file}: ${message}`)

/** The entries of a tar of ours, and a tar of entries. */
function entriesOf(tar: Buffer): Map<string, Buffer> {
  const entries = new Map<string, Buffer>()
  for (let at = 0; at < tar.length && tar[at] !== 0; ) {
    const size = Number.parseInt(tar.toString('latin1', at + 124, at + 135), 8)
    entries.set(tar.toString('latin1', at, at + 100).replace(/\0.*$/s, ''), tar.subarray(at + 512, at + 512 + size))
    at += 512 + size + padding(size)
  }
  return entries
}
function tarOf(entries: Iterable<readonly [string, Buffer]>): Buffer {
  const parts = [...entries].flatMap(([name, bytes]) => [
    headerBlocks({ name, type: 'file', mode: 0o644, size: bytes.length, mtime: 0, link: '' }),
    bytes,
    Buffer.alloc(padding(bytes.length)),
  ])
  return Buffer.concat([...parts, Buffer.alloc(1024)])
}
let plainTar: Buffer
const plain = (): Map<string, Buffer> => entriesOf(plainTar)
const zstd = (bytes: Buffer): Buffer => zstdCompressSync(bytes)

test('what a release has: nothing to find, for the oldest and the newest reader, on a node and in a release', async () => {
  await put('rfo-images-core.linux-amd64.tar.zst', group)
  expect(await found()).toEqual([])
  expect(await found('rke2@newest')).toEqual([])
  const list = references.map((reference) => `${reference}\n`).join('')
  await put('rfo-images-core.linux-amd64.txt', list)
  await put('rfo.linux-amd64.tar.gz', gzipSync(tarOf([['bin/rfo', Buffer.from('rfo')]])))
  const sums = await Promise.all(
    ['rfo-images-core.linux-amd64.tar.zst', 'rfo-images-core.linux-amd64.txt', 'rfo.linux-amd64.tar.gz'].map(
      async (name) => `${hex(digestOf(await readFile(join(folder, name))))}  ${name}\n`,
    ),
  )
  await put('sha256sum-amd64.txt', sums.join(''))
  expect(await found()).toEqual([])
})

test('an empty folder, a list without its archive, no runtime', async () => {
  expect(await found()).toEqual(['. RFO_LINT_EMPTY error'])
  await put('images.txt', '# for later\ndocker.io/rancher/pause:3.6\n')
  await put('a.tar', tarOf([...plain()].filter(([name]) => name !== 'manifest.json')))
  expect(await said('RFO_LINT_LIST')).toEqual(['images.txt: docker.io/rancher/pause:3.6 is in no archive here: RKE2 pulls it'])
  expect(await said('RFO_LINT_RUNTIME')).toEqual(['a.tar: the runtime image is in index.json alone: RKE2 looks for it in manifest.json'])
})

test.each([
  [25, []],
  [26, ["wide.tar.zst: a decoder needs a window of 67108864 bytes, RKE2's has 33554432: zstd without --ultra, --long at most 25"]],
])('a window of 2^%i bytes', async (log, expected) => {
  const big = tarOf([...plain(), ['zeros', Buffer.alloc(70 << 20)]])
  const params = { [constants.ZSTD_c_windowLog]: log, [constants.ZSTD_c_enableLongDistanceMatching]: 1 }
  await put('wide.tar.zst', zstdCompressSync(big, { params, pledgedSrcSize: big.length }))
  expect(await said('RFO_LINT_WINDOW')).toEqual(expected)
})

test('an index that names platforms which are not there: fatal for readers before June 2024', async () => {
  const entries = plain()
  const index = JSON.parse(String(entries.get('index.json'))) as { manifests: { digest: string; platform: object }[] }
  const [first] = index.manifests
  const child = { ...first, annotations: undefined }
  const absent = { ...child, digest: `sha256:${'0'.repeat(64)}`, platform: { os: 'linux', architecture: 'arm64' } }
  const both = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [child, absent] }),
  )
  Object.assign(first as object, { mediaType: 'application/vnd.oci.image.index.v1+json', digest: digestOf(both), size: both.length })
  entries.set('index.json', Buffer.from(JSON.stringify(index)))
  await put('a.linux-amd64.tar.zst', zstd(tarOf([...entries, [`blobs/sha256/${hex(digestOf(both))}`, both]])))
  expect(await said('RFO_LINT_PLATFORM')).toEqual([
    expect.stringMatching(/^a\.linux-amd64\.tar\.zst: docker\.io\/\S+ linux\/arm64 is in an index and not in the archive: RKE2 v1\.24\.8 /),
  ])
  for (const reader of ['rke2@v1.27.15', 'rke2@v1.30.2+rke2r1', 'rke2@v1.31.0', 'rke2@newest']) expect(await found(reader)).toEqual([])
  expect(await found('rke2@v1.30.1')).toEqual(['a.linux-amd64.tar.zst RFO_LINT_PLATFORM error'])
})

test('damage: a cut file, a changed byte, a blob that is missing, something else', async () => {
  await put('cut.tar.zst', group.subarray(0, group.length - 5000))
  const entries = plain()
  // blobs end with layers
  const layer = [...entries].at(-1) as [string, Buffer]
  const changed = Buffer.from(layer[1])
  changed[changed.length >> 1] = (changed[changed.length >> 1] as number) ^ 1
  await put('changed.tar.gz', gzipSync(tarOf(new Map(entries).set(layer[0], changed))))
  const less = new Map(entries)
  less.delete(layer[0])
  await put('less.tar', tarOf(less))
  await put('text.tar.zst', 'not zstd')
  const broken = await said('RFO_LINT_BROKEN')
  expect(broken.map((line) => line.split(':')[0])).toEqual(
    expect.arrayContaining(['changed.tar.gz', 'cut.tar.zst', 'less.tar', 'text.tar.zst']),
  )
  expect(broken.join('\n')).toContain(`changed.tar.gz: ${layer[0]} is sha256:${hex(digestOf(changed))}`)
  expect(broken.join('\n')).toContain('which is not there')
})

test('what lies beside: files that nothing reads, both compressions, an image for another machine, a name twice', async () => {
  await put('a.linux-amd64.tar.zst', group)
  await put('a.linux-amd64.tar', plainTar)
  await put('README.md', 'hello')
  await put('.cache.json', '{}')
  expect(await found()).toEqual([
    '.cache.json RFO_LINT_FORMAT error',
    'README.md RFO_LINT_FORMAT error',
    'a.linux-amd64.tar.zst RFO_LINT_TWICE error',
  ])
  expect(await found('rke2@v1.33.1')).toEqual(['README.md RFO_LINT_FORMAT error', 'a.linux-amd64.tar.zst RFO_LINT_TWICE error'])
  await rm(join(folder, 'README.md'))
  await rm(join(folder, '.cache.json'))
  await rm(join(folder, 'a.linux-amd64.tar'))
  await copyFile(join(folder, 'a.linux-amd64.tar.zst'), join(folder, 'b.linux-arm64.tar.zst'))
  expect(await found()).toEqual(['b.linux-arm64.tar.zst RFO_LINT_PLATFORM error'])
  await rm(join(folder, 'b.linux-arm64.tar.zst'))
  const other = JSON.parse(String(plain().get('manifest.json'))) as { RepoTags: string[] }[]
  const tags = other.map(({ RepoTags }) => RepoTags)
  for (const [i, one] of other.entries()) one.RepoTags = tags[(i + 1) % tags.length] as string[]
  await put('c.linux-amd64.tar', tarOf(new Map(plain()).set('manifest.json', Buffer.from(JSON.stringify(other)))))
  expect(await said('RFO_LINT_CONFLICT')).toHaveLength(3)
})

test('sums: another file than summed, one that is not, none at all; a group without the archive that upstream’s installer asks for', async () => {
  await put('rke2-images-core.linux-amd64.tar.zst', group)
  await put('sha256sum-amd64.txt', `${'0'.repeat(64)}  rke2-images-core.linux-amd64.tar.zst\n`)
  await put('rke2.linux-amd64.tar.gz', gzipSync(Buffer.alloc(1024)))
  await put('rke2-images-core.linux-arm64.txt', 'docker.io/rancher/pause:3.6\n')
  expect(await found()).toEqual([
    'rke2-images-core.linux-amd64.tar.zst RFO_LINT_LEGACY error',
    'rke2-images-core.linux-amd64.tar.zst RFO_LINT_SUM error',
    'rke2-images-core.linux-arm64.txt RFO_LINT_LIST error',
    'rke2-images-core.linux-arm64.txt RFO_LINT_UNSUMMED error',
    'rke2.linux-amd64.tar.gz RFO_LINT_UNSUMMED error',
  ])
})

test('a manifest.json at the end is a note, and no failure', async () => {
  const entries = plain()
  const manifest = entries.get('manifest.json') as Buffer
  entries.delete('manifest.json')
  await put('a.tar.gz', gzipSync(tarOf([...entries, ['manifest.json', manifest]])))
  const { exit, stdout } = await run(['lint', '--for', old, folder], {})
  expect(exit).toBe(0)
  expect(stdout).toBe('a.tar.gz: RFO_LINT_ORDER manifest.json comes after oci-layout: the whole archive is read to find one image (note)\n')
})

test.skipIf(skopeo.skip)('a docker-archive of another tool', async () => {
  const archive = join(scratch, 'layout.tar')
  await writeFile(archive, plainTar)
  const runtime = references.find((reference) => reference.includes('runtime')) as string
  execFileSync(skopeo.path, ['copy', '--quiet', `oci-archive:${archive}:${runtime}`, `docker-archive:${join(folder, 'a.tar')}:${runtime}`])
  // it names its blobs by their content and puts manifest.json last
  expect(await found()).toEqual(['a.tar RFO_LINT_ORDER note'])
})

test('the command: exit 4 with findings, 2 for a reader that nobody knows, a folder without one, no folder', async () => {
  await put('a.tar', gunzipSync(gzipSync('no tar')))
  expect(await run(['lint', '--for', old, folder], {})).toMatchObject({ exit: 4, lastLine: expect.stringContaining('RFO_LINT_FINDINGS') })
  expect(JSON.parse((await run(['lint', '--json', '--for', old, folder], {})).stdout)).toMatchObject({
    ok: false,
    findings: expect.arrayContaining([expect.objectContaining({ file: 'a.tar', code: 'RFO_LINT_BROKEN', level: 'error' })]),
  })
  expect(await run(['lint', '--for', 'k3s@v1.24.8', folder], {})).toMatchObject({
    exit: 2,
    lastLine: expect.stringContaining('RFO_LINT_READER'),
  })
  expect(await run(['lint', folder], {})).toMatchObject({ exit: 2 })
  expect(await run(['lint', '--for', old, join(folder, 'none')], {})).toMatchObject({
    exit: 2,
    lastLine: expect.stringContaining('RFO_LINT_FOLDER'),
  })
})
