import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { type Digest, digestOf, hex } from '../../src/oci/digest.ts'
import { canonicalJson } from '../../src/oci/json.ts'
import { platformNames } from '../../src/oci/platform.ts'
import { pinFingerprint } from '../../src/plan/fingerprint.ts'
import { Lock } from '../../src/plan/lock.ts'
import type { ReleasePlan } from '../../src/plan/release-plan.ts'
import { chartIndex } from '../../src/sandbox/charts.ts'
import { type StandInKind, standInKinds } from '../../src/sandbox/kinds.ts'
import { sandboxLock } from '../../src/sandbox/lock.ts'
import { makeWorld, type Scope } from '../../src/sandbox/world.ts'
import { tool } from '../tools.ts'
import { images, plan, realLock } from './plan.ts'

const everything: Scope = { kinds: new Set(standInKinds), everything: true }
const only = (...kinds: StandInKind[]): Scope => ({ kinds: new Set(kinds), everything: false })
const lockText = (scope: Scope): string => JSON.stringify(sandboxLock(plan, makeWorld(plan, scope), realLock))

test('is the same bytes each time, and on every machine', () => {
  const [a, b] = [makeWorld(plan, everything), makeWorld(plan, everything)]
  expect([...a.blobs.keys()]).toEqual([...b.blobs.keys()])
  expect(lockText(everything)).toBe(lockText(everything))
  // these change only with a change of what is generated; the sandbox's releases then have other digests
  const golden = {
    base: a.bases.get('docker.io/openeuler/openeuler:22.03-lts')?.index.digest,
    mirror: a.mirrors.get('klipper-lb')?.index.digest,
    chart: digestOf(a.charts[0]?.bytes ?? Buffer.alloc(0)),
    commit: a.sources.repositories[1]?.refs.get('refs/heads/main'),
    archives: digestOf(canonicalJson([...a.sources.archives].map(([url, bytes]) => [url, digestOf(bytes)]))),
  }
  expect(golden).toEqual({
    archives: 'sha256:1bd52e0f9b2de309632171093ed9fbcac72be04b284a06c1bf5e8c1b5f8bb66e',
    base: 'sha256:b406eea711959bb3e967b36b58bf5975606934cd2ba8a6990c1fec82d1b783a7',
    chart: 'sha256:f9adbaabcc42a43c1ea0b33ab52db096cdc6e6e6d62092fe5aef07cbdb1fa9c4',
    commit: 'c706a717cd1fb66783a60f1f5dd98da9b899454a',
    mirror: 'sha256:9da7117937d3dae8bf2117603e22160dd444036e2944622b84b7b9d2ec232ff7',
  })
})

describe('the lock', () => {
  const release = sandboxLock(plan, makeWorld(plan, everything), realLock)

  test('is a lock', () => {
    expect(() => Lock.parse({ schema: 'rfo-build.lock/1', releases: { [plan.version]: release } })).not.toThrow()
  })

  test('covers every planned image and platform, base and chart', () => {
    for (const image of images) {
      const locked = release.components[image.component]
      expect(locked?.fingerprint, image.component).toBe(pinFingerprint(image))
      expect(locked?.standIn, image.component).toBeTruthy()
      expect(locked?.pin.kind, image.component).not.toBe('unresolved')
      if (locked?.pin.kind === 'image') {
        const made = platformNames.filter((platform) => image.platforms[platform]?.status === 'made')
        expect(Object.keys(locked.pin.platforms)).toEqual(made)
      }
    }
    for (const platform of platformNames) {
      const reference = plan.bases[platform]?.reference
      expect(release.bases[platform]).toMatchObject({ kind: 'image', reference, standIn: reference })
    }
    for (const chart of plan.charts) expect(release.charts[chart.name]).toMatchObject({ kind: 'chart', url: chart.url, standIn: chart.url })
  })

  test('names public URLs alone', () => {
    expect(JSON.stringify(release)).not.toMatch(/127\.0\.0\.1|localhost|http:\/\//)
  })

  test.each(standInKinds)('%s replaces only what it names', (kind) => {
    const replaced = sandboxLock(plan, makeWorld(plan, only(kind)), realLock)
    const real = realLock.releases[plan.version]
    const changed = (now: object, before: object | undefined): string[] =>
      Object.entries(now).flatMap(([key, value]) =>
        JSON.stringify(value) === JSON.stringify((before as Record<string, unknown>)[key]) ? [] : [key],
      )
    expect(changed(replaced.bases, real?.bases)).toEqual(kind === 'bases' ? [...platformNames] : [])
    expect(changed(replaced.charts, real?.charts)).toEqual(kind === 'charts' ? ['rke2-canal', 'rke2-coredns'] : [])
    const components = {
      git: ['hardened-calico', 'hardened-calico-extra', 'hardened-kubernetes'],
      mirrors: ['klipper-lb', 'mirrored-cilium-cilium'],
      bases: [],
      charts: [],
      advisories: [],
    }
    expect(changed(replaced.components, real?.components)).toEqual(components[kind])
  })

  test('without a recorded list is refused, and with one is made', () => {
    const none = { schema: 'rfo-build.lock/1' as const, releases: {} }
    const world = makeWorld(plan, everything)
    expect(() => sandboxLock(plan, world, none)).toThrow(expect.objectContaining({ code: 'RFO_SANDBOX_LOCK', exit: 'lock' }))
    expect(sandboxLock(plan, world, none, digestOf('list')).components).toEqual(release.components)
  })
})

describe('charts', () => {
  const { charts, chartIndexes } = makeWorld(plan, only('charts'))

  test.skipIf(tool('tar').skip)('name their version and their images', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'rfo-chart-'))
    try {
      for (const { plan: chart, bytes } of charts) {
        const file = join(folder, 'chart.tgz')
        await writeFile(file, bytes)
        const read = async (path: string): Promise<string> =>
          (await promisify(execFile)('tar', ['-xzOf', file, `${chart.name}/${path}`])).stdout
        expect(parse(await read('Chart.yaml'))).toMatchObject({ apiVersion: 'v2', name: chart.name, version: chart.version })
        expect(parse(await read('values.yaml')).images).toContainEqual(
          chart.name === 'rke2-canal'
            ? { repository: 'rancher/hardened-calico', tag: 'v3.24.1-build20221011' }
            : { repository: 'rancher/hardened-coredns', tag: 'v1.9.3-build20221011' },
        )
        expect(await read('templates/images.yaml')).toContain('.Values.images')
      }
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  test('are in an index with their digests', () => {
    const index = parse(chartIndexes.get('https://rke2-charts.rancher.io/index.yaml')?.toString() ?? '')
    for (const { plan: chart, bytes } of charts) {
      expect(index.entries[chart.name]).toEqual([
        expect.objectContaining({ version: chart.version, digest: hex(digestOf(bytes)), urls: [chart.url] }),
      ])
    }
    expect(chartIndex(charts, plan.epoch).equals(chartIndex(charts, plan.epoch))).toBe(true)
  })
})

describe('a base image', () => {
  const { blobs, bases } = makeWorld(plan, only('bases'))
  const json = (digest: Digest): Record<string, unknown> & { manifests: never[] } => JSON.parse(blobs.get(digest)?.bytes.toString() ?? '')

  test('is an index of its platforms, each manifest marked', () => {
    expect([...bases].map(([reference, base]) => [reference, [...base.platforms.keys()]])).toEqual([
      ['docker.io/openeuler/openeuler:22.03-lts', ['linux/amd64', 'linux/arm64']],
      ['docker.io/openeuler/openeuler:24.03-lts', ['linux/riscv64']],
    ])
    for (const [reference, base] of bases) {
      expect(json(base.index.digest)).toMatchObject({
        schemaVersion: 2,
        manifests: [...base.platforms.values()].map((manifest) => ({ digest: manifest.digest })),
      })
      for (const [platform, descriptor] of base.platforms) {
        const manifest = json(descriptor.digest) as unknown as { config: { digest: Digest }; layers: { digest: Digest }[] }
        const config = json(manifest.config.digest)
        expect(config).toMatchObject({
          os: 'linux',
          architecture: platform.slice(6),
          config: { Labels: { 'io.rfolabs.stand-in': reference } },
        })
        const layer = gunzipSync(blobs.get(manifest.layers[0]?.digest as Digest)?.bytes ?? Buffer.alloc(0))
        expect(config).toMatchObject({ rootfs: { type: 'layers', diff_ids: [digestOf(layer)] } })
        const text = layer.toString('latin1')
        expect(text).toContain('PRETTY_NAME="openEuler 2')
        expect(text).toContain('usr/share/rfo/STAND-IN')
        expect(text).toContain('RpmP')
        expect(text).toContain(platform === 'linux/riscv64' ? '.oe2403' : '.oe2203')
      }
    }
  })
})

test('51 images on three platforms are generated within two seconds', () => {
  const many: ReleasePlan = {
    ...plan,
    images: Array.from({ length: 51 }, (_, number) => {
      const like = images[number % images.length]
      if (like === undefined) throw new Error('no images')
      const component = `${like.component}-${number}`
      const source = like.source?.kind === 'git' ? { ...like.source, url: `${like.source.url}-${number}` } : like.source
      return { ...like, component, upstream: `docker.io/rancher/${component}:v1.0.0`, ...(source === undefined ? {} : { source }) }
    }),
  }
  const start = performance.now()
  const world = makeWorld(many, everything)
  sandboxLock(many, world, realLock)
  const milliseconds = performance.now() - start
  const bytes = [...world.blobs.values(), ...[...world.sources.archives.values()].map((held) => ({ bytes: held }))].reduce(
    (sum, held) => sum + held.bytes.length,
    0,
  )
  console.log(`the whole sandbox for 51 images on three platforms: ${milliseconds.toFixed(0)} ms, ${(bytes / 1e6).toFixed(1)} MB`)
  expect(milliseconds).toBeLessThan(2000)
})
