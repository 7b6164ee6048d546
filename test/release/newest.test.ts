/** The newest release that is recorded, whole, of stand-ins: RKE2 has other lists, groups and charts by now than in 2022. */
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ReleasePredicate } from '../../src/attest/release.ts'
import { openLayout } from '../../src/content/layout.ts'
import { readBytes } from '../../src/content/read.ts'
import { parseIndex, parseManifest } from '../../src/oci/manifest.ts'
import { root, run } from './project.ts'

const version = 'v1.34.10+rfor1'
let folder: string
let made: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rfo-newest-'))
  await cp(join(root, 'pipelines'), join(folder, 'pipelines'), { recursive: true })
  const { code, stderr } = await run(folder, ['release', version, '--sandbox', '--progress', 'none'])
  expect(code, stderr).toBe(0)
  made = join(folder, 'dist', version)
}, 120_000)
afterAll(() => rm(folder, { recursive: true, force: true }))

const list = async (name: string): Promise<string[]> => (await readFile(join(made, `${name}.txt`), 'utf8')).trimEnd().split('\n')

test('verifies', async () => {
  const verified = await run(folder, ['verify', version, '--key', '.rfo/sandbox/cosign.pub'])
  expect(verified.code, verified.stderr).toBe(0)
})

test('a list and an archive for each group, by platform; the legacy one is core and canal', async () => {
  const names = (await readdir(made))
    .filter((name) => name.startsWith('rfo-images') && name.endsWith('.txt'))
    .map((name) => name.slice(0, -4))
  const groups = (architecture: string): string[] =>
    names
      .filter((name) => name.endsWith(`.linux-${architecture}`))
      .map((name) => name.replace(/^rfo-images-?/, '').replace(/\.linux-.*/, ''))
      .sort()
  const all = ['', 'all', 'calico', 'canal', 'cilium', 'core', 'flannel', 'harvester', 'kube-explorer', 'multus', 'traefik', 'vsphere']
  expect(groups('amd64')).toEqual(all)
  expect(groups('arm64')).toEqual(all.filter((group) => group !== 'vsphere'))
  expect(groups('riscv64')).toEqual(['', 'all', 'canal', 'cilium', 'core', 'flannel', 'kube-explorer', 'multus', 'traefik'])
  expect(await list('rfo-images-traefik.linux-riscv64')).toEqual(['docker.io/rfolabs/hardened-traefik:v3.7.8-build20260802'])
  expect(await list('rfo-images.linux-amd64')).toEqual([
    ...(await list('rfo-images-core.linux-amd64')),
    ...(await list('rfo-images-canal.linux-amd64')),
  ])
  expect(await list('rfo-images-core.linux-arm64')).toContain('docker.io/rfolabs/pause:3.10.2-build20260802')
})

test('a node comes up of what is there, with each network and each ingress that RKE2 has by now', async () => {
  const platforms = await readFile(join(made, 'platforms.txt'), 'utf8')
  expect(platforms).toMatch(/^linux\/amd64 bootable\nlinux\/arm64 bootable\nlinux\/riscv64 partial .*hardened-calico/m)
  const notes = await readFile(join(made, 'RELEASE.md'), 'utf8')
  expect(notes).toMatch(/^\| cni: flannel \| bootable \| bootable \|/m)
  expect(notes).toMatch(/^\| ingress: traefik \| bootable \| bootable \|/m)
})

test('charts wait for the node or do not, as this release’s record says: multus waits by now', async () => {
  const layout = await openLayout(join(made, 'oci'))
  const { predicate } = JSON.parse(await readFile(join(made, 'evidence/release.json'), 'utf8')) as { predicate: ReleasePredicate }
  const runtime = predicate.images.find((image) => image.component === 'rke2-runtime')
  if (runtime === undefined) throw new Error('no runtime')
  const index = parseIndex(
    await readBytes(layout, { mediaType: 'application/vnd.oci.image.index.v1+json', digest: runtime.digest, size: runtime.size }),
  )
  const [manifest] = index.manifests
  if (manifest === undefined) throw new Error('no platform')
  const [layer] = parseManifest(await readBytes(layout, manifest)).layers
  if (layer === undefined) throw new Error('no layer')
  const tar = gunzipSync(await readBytes(layout, layer)).toString('latin1')
  const bootstrap = (chart: string): string | undefined => new RegExp(`name: "${chart}"[\\s\\S]*?bootstrap: (\\w+)`).exec(tar)?.[1]
  expect(['rke2-multus', 'rke2-flannel', 'rke2-traefik', 'rke2-coredns'].map(bootstrap)).toEqual(['false', 'true', 'false', 'true'])
  for (const gone of ['containerd-shim', 'containerd-shim-runc-v1']) expect(tar).not.toContain(`bin/${gone}\0`)
})
