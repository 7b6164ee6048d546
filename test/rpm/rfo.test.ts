import { gzipSync } from 'node:zlib'
import { pack } from 'tar-stream'
import { expect, test } from 'vitest'
import { gather } from '../../src/content/body.ts'
import { memoryStore } from '../../src/content/memory.ts'
import { pushBytes, readBytes } from '../../src/content/read.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { parseVersion } from '../../src/plan/version.ts'
import { type BundledFile, unpackBundle } from '../../src/rpm/bundle.ts'
import { rfoPackages } from '../../src/rpm/rfo.ts'
import { bundleFiles, epoch, packagesOf, tarballs } from './made.ts'

const platform = 'linux/arm64'
const known: readonly BundledFile[] = [...bundleFiles(platform)].map(([path, bytes]) => ({
  path,
  digest: digestOf(bytes),
  size: bytes.length,
}))

async function tarball(files: ReadonlyMap<string, Buffer>): Promise<Buffer> {
  const archive = pack()
  for (const [name, bytes] of files) archive.entry({ name }, bytes)
  archive.finalize()
  return gzipSync(await gather(archive as unknown as AsyncIterable<Uint8Array>))
}

test('files of the release tarball become contents, read once more or not at all', async () => {
  const store = memoryStore()
  const target = await pushBytes(store, 'application/gzip', await tarball(bundleFiles(platform)))
  const first = await unpackBundle(target, known, store)
  expect([...first.keys()]).toEqual(known.map((file) => file.path))
  for (const [path, bytes] of bundleFiles(platform)) expect(Buffer.from(await readBytes(store, first.get(path)!.content))).toEqual(bytes)
  expect(await unpackBundle(target, known, store)).toEqual(first)
})

test('a tarball that is another one is refused', async () => {
  const store = memoryStore()
  const target = await pushBytes(store, 'application/gzip', await tarball(bundleFiles(platform)))
  await expect(unpackBundle(target, known.slice(1), store)).rejects.toMatchObject({ code: 'RFO_RPM_BUNDLE' })
  const more = [...known, { path: 'bin/more', digest: digestOf(''), size: 0 }]
  await expect(unpackBundle(target, more, store)).rejects.toMatchObject({ code: 'RFO_RPM_BUNDLE' })
  const other = known.map((file) => ({ ...file, digest: digestOf('other') }))
  await expect(unpackBundle(target, other, store)).rejects.toMatchObject({ code: 'RFO_CONTENT_DIGEST' })
})

test('units and settings are where openEuler has them, and say so', async () => {
  const store = memoryStore()
  const [common, server, agent] = await packagesOf(platform, store)
  expect(common?.files.map((file) => file.path)).toContain('/usr/share/rfo/rfo-cis-sysctl.conf')
  for (const pkg of [server!, agent!]) {
    expect(pkg.requires).toEqual([{ name: 'rfo-common', is: { relation: '=', version: '1.24.8~rfor1-1' } }])
    for (const file of pkg.files)
      if (file.kind === 'file') expect(Buffer.from(await readBytes(store, file.content)).toString()).not.toContain('/usr/local')
  }
  expect(server?.files.map((file) => file.path)).toEqual(['/usr/lib/systemd/system/rfo-server.service', '/etc/sysconfig/rfo-server'])
})

test('a tarball without a unit makes no packages', async () => {
  const store = memoryStore()
  const bundle = new Map(
    [...bundleFiles(platform)].map(([path, bytes]) => [path, { content: { mediaType: 'x', digest: digestOf(bytes), size: bytes.length } }]),
  )
  bundle.delete('bin/rfo-killall.sh')
  const words = { vendor: 'v', url: 'u', packager: 'p <p@p>', release: '1', epoch, tarballs, platform } as const
  const made = rfoPackages({ ...words, version: parseVersion('v1.24.8+rfor1'), bundle }, store)
  await expect(made).rejects.toMatchObject({ code: 'RFO_RPM_BUNDLE', exit: 'build' })
})
