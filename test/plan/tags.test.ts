/** The day at the end of an image's tag: what moves it, what keeps it, and that one tag stays one image. */
import { describe, expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import type { Component } from '../../src/plan/component.ts'
import { dayAfter, dayOf, epochOfDay, imageEpoch } from '../../src/plan/day.ts'
import { lintPipelines } from '../../src/plan/lint.ts'
import type { Lock, LockedComponent } from '../../src/plan/lock.ts'
import { emptyLock, parseLock, renderLock } from '../../src/plan/lock-text.ts'
import { type PlanInput, planRelease } from '../../src/plan/plan-release.ts'
import type { ReleasePlan } from '../../src/plan/release-plan.ts'
import { type LockRequest, type LockResult, lockRelease, type Resolvers } from '../../src/release/lock.ts'
import { beside, componentFiles, fileText, inputFor, libraryFiles, thrownBy } from './project.ts'

const version = 'v1.25.4+rfor1'
const input = inputFor(version, emptyLock)

/** Everything has an answer; `turn` makes it another one for what `moved` names. */
function world(turn = 0, ...moved: readonly string[]): Resolvers {
  const digest = (name: string) => digestOf(`${name} ${moved.some((each) => name.includes(each)) ? turn : 0}`)
  const manifest = (name: string) => ({ mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: digest(name), size: 7 })
  return {
    source: async ({ component, source, version: upstream }) =>
      source.kind === 'archive'
        ? { kind: 'archive', url: source.url, digest: digest(component), size: 7 }
        : { kind: 'git', url: `https://example.org/${component}`, tag: upstream, commit: digest(component).slice(7, 47) },
    image: async (reference) => ({
      kind: 'image',
      reference,
      index: manifest(reference),
      platforms: { 'linux/amd64': manifest('a'), 'linux/arm64': manifest('b'), 'linux/riscv64': manifest('c') },
    }),
    base: async ({ reference, platform, name }) => ({ kind: 'image', name, reference, manifest: manifest(platform) }),
    packages: async ({ names }) => ({
      kind: 'rpms',
      repositories: {},
      rpms: names.map((name) => ({ nevra: `${name}-1-1.noarch`, url: `https://example.org/${name}.rpm`, digest: digest(name), size: 1 })),
    }),
    chart: async ({ name, version: chartVersion, url }) => ({ kind: 'chart', version: chartVersion, url, digest: digest(name) }),
    advisories: async () => ({ kind: 'advisories', digest: digest('advisories'), size: 7, taken: '2026-11-01T00:00:00Z' }),
  }
}

const lockAt = (today: string, more: Partial<LockRequest> = {}): Promise<LockResult> =>
  lockRelease({ ...input, resolve: world(), concurrency: 8, today, ...more })
const first = (await lockAt('20261101')).lock

/** The pipelines with one of them changed. */
function withChange(name: string, change: (component: Component) => Partial<Component>): PlanInput['components'] {
  return input.components.map((each) => (each.name === name ? { ...each, ...change(each) } : each))
}
const quicker = withChange('hardened-coredns', () => ({ config: { entrypoint: ['/coredns', '-quiet'] } }))

function entry(lock: Lock, component: string, release = version): LockedComponent {
  const found = lock.releases[release]?.components[component]
  if (found === undefined) throw new Error(`${release} has no ${component}`)
  return found
}

/** Components whose day is another one. */
function movedDays(before: Lock, after: Lock): string[] {
  return Object.keys(after.releases[version]?.components ?? {}).filter((name) => entry(before, name).date !== entry(after, name).date)
}

const gaps = (lock: Lock, more: Partial<PlanInput> = {}): ReleasePlan['unresolved'] => planRelease({ ...input, lock, ...more }).unresolved

describe('a tag', () => {
  const references = new Map(planRelease({ ...input, lock: first }).images.map((image) => [image.component, image.reference]))

  test('of a rebuilt image is upstream’s version and the day of its lock entry', () => {
    expect(references.get('hardened-coredns')).toBe('docker.io/rfolabs/hardened-coredns:v1.9.3-build20261101')
    expect(references.get('hardened-etcd')).toBe('docker.io/rfolabs/hardened-etcd:v3.5.4-k3s1-build20261101')
    expect(references.get('nginx-ingress-controller')).toBe(
      'docker.io/rfolabs/nginx-ingress-controller:nginx-1.2.1-hardened9-build20261101',
    )
    expect(references.get('pause')).toBe('docker.io/rfolabs/pause:3.6-build20261101')
  })

  test('of Kubernetes holds RFO’s version, that of the runtime is nothing else; a mirrored image keeps upstream’s', () => {
    expect(references.get('hardened-kubernetes')).toBe('docker.io/rfolabs/hardened-kubernetes:v1.25.4-rfor1-build20261101')
    expect(references.get('rke2-runtime')).toBe('docker.io/rfolabs/rfo-runtime:v1.25.4-rfor1')
    expect(references.get('mirrored-calico-typha')).toBe('docker.io/rancher/mirrored-calico-typha:v3.24.1')
  })

  test('without a pin shows where the day will stand', () => {
    const plan = planRelease(input)
    expect(plan.images.find((image) => image.component === 'hardened-coredns')?.reference).toBe(
      'docker.io/rfolabs/hardened-coredns:v1.9.3-buildYYYYMMDD',
    )
  })

  test('every time stamp in the image is that day’s first second, whatever the release’s', () => {
    const plan = planRelease({ ...input, lock: first })
    const image = plan.images.find((each) => each.component === 'hardened-coredns')
    expect(new Date(imageEpoch(plan, image ?? {}) * 1000).toISOString()).toBe('2026-11-01T00:00:00.000Z')
    expect(imageEpoch(plan, {})).toBe(plan.epoch)
  })

  test('two pipelines cannot give one name', () => {
    const components = withChange('hardened-coredns', () => ({ image: 'rfolabs/x', tag: 'v1' })).map((each) =>
      each.name === 'hardened-etcd' ? { ...each, image: 'rfolabs/x', tag: 'v1' } : each,
    )
    expect(thrownBy(() => planRelease({ ...input, components }))).toMatchObject({
      code: 'RFO_PLAN_PIPELINE',
      where: expect.stringMatching(/^pipelines\/hardened-(coredns|etcd)\.yaml$/),
      message: expect.stringContaining('are both called docker.io/rfolabs/x:v1'),
    })
  })
})

describe('the day', () => {
  test('stays when nothing moved, whenever it is asked', async () => {
    const { lock, moved } = await lockAt('20261201', { lock: first })
    expect(moved).toEqual([])
    expect(renderLock(lock)).toBe(renderLock(first))
  })

  test('moves with the pin: --update of all that finds one thing moved gives one new day', async () => {
    const { lock, moved } = await lockAt('20261201', { lock: first, update: 'all', resolve: world(1, 'hardened-coredns') })
    expect(movedDays(first, lock)).toEqual(['hardened-coredns'])
    const name = 'docker.io/rfolabs/hardened-coredns:v1.9.3-build'
    expect(moved.map(({ what }) => what)).toEqual(['hardened-coredns', 'tag/hardened-coredns'])
    expect(moved[1]).toEqual({ what: 'tag/hardened-coredns', from: `${name}20261101`, to: `${name}20261201` })
  })

  test('moves with the recipe, without asking anybody', async () => {
    const refuse = () => Promise.reject(new Error('asked'))
    const { lock, moved } = await lockAt('20261201', {
      lock: first,
      components: quicker,
      resolve: { source: refuse, image: refuse, base: refuse, packages: refuse, chart: refuse, advisories: refuse },
    })
    expect(movedDays(first, lock)).toEqual(['hardened-coredns'])
    expect(moved.map(({ what }) => what)).toEqual(['tag/hardened-coredns'])
    expect(entry(lock, 'hardened-coredns').pin).toEqual(entry(first, 'hardened-coredns').pin)
    expect(gaps(lock, { components: quicker })).toEqual([])
  })

  test.each([
    ['ldflags', (each: Component) => ({ build: { ...each.build, ldflags: ['-s'] } as Component['build'] })],
    ['a package', () => ({ packages: ['which'] })],
    ['a file', () => ({ files: [{ path: '/etc/x', mode: '0644', text: 'x' }] })],
    ['a label', () => ({ config: { labels: { a: 'b' } } })],
    ['the base', () => ({ base: 'scratch' as const })],
    ['an architecture less', () => ({ unsupported: { riscv64: 'no' } })],
  ])('moves with %s', async (_what, change) => {
    const { lock } = await lockAt('20261201', { lock: first, components: withChange('hardened-coredns', change) })
    expect(movedDays(first, lock)).toEqual(['hardened-coredns'])
  })

  test.each([
    ['a smoke test', () => ({ smoke: { argv: ['/coredns'], expect: 'x' } })],
    ['why it deviates', () => ({ deviates: { from: 'x', reason: 'y' } })],
    ['what is empty', () => ({ packages: [], files: [] })],
  ])('stays with %s', async (_what, change) => {
    const { lock } = await lockAt('20261201', { lock: first, components: withChange('hardened-coredns', change) })
    expect(movedDays(first, lock)).toEqual([])
  })

  test('moves with a base for all that stand on it, and for nothing else', async () => {
    const { lock } = await lockAt('20261201', { lock: first, update: ['linux/riscv64'], resolve: world(1, 'linux/riscv64') })
    const moved = movedDays(first, lock)
    expect(moved).toContain('hardened-coredns')
    // no riscv64, no base, not ours
    for (const other of ['hardened-calico', 'pause', 'rke2-runtime', 'mirrored-calico-typha']) expect(moved).not.toContain(other)
  })

  test('moves with a C library, pin or build, for what links it and for who collects that', async () => {
    const pin = await lockAt('20261201', { lock: first, update: ['libseccomp'], resolve: world(1, 'libseccomp') })
    expect(movedDays(first, pin.lock)).toEqual(['hardened-runc', 'rke2-runtime'])
    const libraries = input.libraries.map((each) => ({ ...each, build: { ...each.build, configure: ['--with-x'] } }))
    expect(movedDays(first, (await lockAt('20261201', { lock: first, libraries })).lock)).toEqual(['hardened-runc', 'rke2-runtime'])
  })

  test('moves for whoever collects what moved', async () => {
    const { lock } = await lockAt('20261201', { lock: first, update: ['hardened-runc'], resolve: world(1, 'hardened-runc') })
    expect(movedDays(first, lock)).toEqual(['hardened-runc', 'rke2-runtime'])
  })

  test('does not depend on the platforms that are asked for', () => {
    const release = { ...input.release, platforms: ['linux/amd64' as const] }
    expect(gaps(first, { release })).toEqual([])
  })

  test('moves by --rebuild alone, and past today when it is today’s already', async () => {
    const { lock } = await lockAt('20261201', { lock: first, rebuild: ['hardened-coredns'] })
    expect(movedDays(first, lock)).toEqual(['hardened-coredns'])
    expect(entry(lock, 'hardened-coredns').date).toBe('20261201')
    const again = await lockAt('20261201', { lock, rebuild: ['hardened-coredns'] })
    expect(entry(again.lock, 'hardened-coredns').image).toBe('docker.io/rfolabs/hardened-coredns:v1.9.3-build20261202')
    await expect(lockAt('20261201', { lock, rebuild: ['mirrored-calico-typha'] })).rejects.toMatchObject({
      code: 'RFO_RELEASE_UPDATE',
      message: 'v1.25.4+rfor1 rebuilds nothing called "mirrored-calico-typha"',
    })
  })

  test('a lock of before has none: the release waits for `lock`, which asks nobody for it', async () => {
    const old = JSON.parse(JSON.stringify(first, (key, value) => (['date', 'image', 'recipe'].includes(key) ? undefined : value))) as Lock
    expect(parseLock(renderLock(old), 'images.lock')).toEqual(old)
    expect(gaps(old).filter(({ what }) => what === 'tag/hardened-coredns')).toEqual([
      { what: 'tag/hardened-coredns', reason: 'it has no date: rfo-build lock v1.25.4+rfor1' },
    ])
    expect(renderLock((await lockAt('20261101', { lock: old })).lock)).toBe(renderLock(first))
  })

  test('days are UTC’s, over the end of a year and a leap day', () => {
    expect(dayOf(Date.UTC(2026, 11, 31, 23, 59, 59))).toBe('20261231')
    expect([dayAfter('20261231'), dayAfter('20280228')]).toEqual(['20270101', '20280229'])
    expect(epochOfDay('19700102')).toBe(86_400)
  })
})

describe('one tag, one image', () => {
  const later = 'v1.25.4+rfor2'
  const locked = (components: PlanInput['components'], today: string): Promise<LockResult> =>
    lockAt(today, { version: later, lock: first, components })

  test('a second release that is made alike on the same day has the same names', async () => {
    const { lock } = await locked(input.components, '20261101')
    expect(entry(lock, 'hardened-coredns', later)).toEqual(entry(first, 'hardened-coredns'))
    expect(gaps(lock, { version: later })).toEqual([])
  })

  test('one that is made otherwise on the same day gets the next day', async () => {
    const { lock } = await locked(quicker, '20261101')
    expect(entry(lock, 'hardened-coredns', later).image).toBe('docker.io/rfolabs/hardened-coredns:v1.9.3-build20261102')
    expect(entry(lock, 'hardened-etcd', later).date).toBe('20261101')
    expect(gaps(lock, { version: later, components: quicker })).toEqual([])
  })

  /** As a merge of two branches would leave it. */
  const merged = async (): Promise<Lock> => {
    const { lock } = await locked(quicker, '20261101')
    const { date, image } = entry(first, 'hardened-coredns')
    const release = lock.releases[later]
    if (release === undefined) throw new Error('not locked')
    const changed = { ...entry(lock, 'hardened-coredns', later), date, image }
    return {
      ...lock,
      releases: { ...lock.releases, [later]: { ...release, components: { ...release.components, 'hardened-coredns': changed } } },
    }
  }

  test('two entries with one name and two recipes: the plan says so with the command that mends it, which does', async () => {
    const lock = await merged()
    const found = gaps(lock, { version: later, components: quicker })
    expect(found).toEqual([
      {
        what: 'tag/hardened-coredns',
        reason:
          'docker.io/rfolabs/hardened-coredns:v1.9.3-build20261101 is another image in v1.25.4+rfor1: rfo-build lock v1.25.4+rfor2 --rebuild hardened-coredns',
      },
    ])
    const { lock: mended } = await lockAt('20261101', { version: later, lock, components: quicker, rebuild: ['hardened-coredns'] })
    expect(gaps(mended, { version: later, components: quicker })).toEqual([])
  })

  test('lint says so at its line', async () => {
    const text = renderLock(await merged())
    const findings = lintPipelines({
      release: fileText('pipelines/release.yaml'),
      bundle: fileText('pipelines/rfo.yaml'),
      beside,
      components: componentFiles,
      libraries: libraryFiles,
      upstreams: [],
      lock: { file: 'images.lock', text },
    }).filter(({ file }) => file === 'images.lock')
    const lines = text.split('\n')
    expect(findings).toMatchObject([
      {
        code: 'RFO_PLAN_PIPELINE',
        message: 'docker.io/rfolabs/hardened-coredns:v1.9.3-build20261101 is another image in v1.25.4+rfor1',
        line: lines.lastIndexOf('        image: docker.io/rfolabs/hardened-coredns:v1.9.3-build20261101') + 1,
      },
    ])
  })

  test('a mirrored image that upstream moved between two releases', async () => {
    const { lock } = await lockAt('20261101', { version: later, lock: first, resolve: world(1, 'mirrored-calico-typha') })
    expect(gaps(lock, { version: later })).toEqual([
      {
        what: 'tag/mirrored-calico-typha',
        reason:
          'docker.io/rancher/mirrored-calico-typha:v3.24.1 is another image in v1.25.4+rfor1: lock both alike with --update mirrored-calico-typha, or say `tag:` in pipelines/mirrored-calico-typha.yaml',
      },
    ])
  })

  test('a pipeline that changed since it was locked: the release waits, a build of it does not', () => {
    expect(gaps(first, { components: quicker })).toEqual([
      {
        what: 'tag/hardened-coredns',
        reason: 'stale: what hardened-coredns is made of changed since it was locked, so its tag must move: rfo-build lock v1.25.4+rfor1',
      },
    ])
    const renamed = withChange('hardened-coredns', () => ({ tag: '{version}-x' }))
    expect(gaps(first, { components: renamed })).toEqual([
      {
        what: 'tag/hardened-coredns',
        reason: expect.stringMatching(/^it was locked as .*-build20261101, and is called .*:v1\.9\.3-x now: /),
      },
    ])
  })
})
