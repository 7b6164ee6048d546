import { describe, expect, test } from 'vitest'
import { RfoError } from '../../src/error.ts'
import { digestOf } from '../../src/oci/digest.ts'
import type { Lock, Pin, PinnedManifest } from '../../src/plan/lock.ts'
import { emptyLock, parseLock, renderLock } from '../../src/plan/lock-text.ts'
import { type PlanInput, planRelease } from '../../src/plan/plan-release.ts'
import { type LockRequest, lockRelease, type Resolvers } from '../../src/release/lock.ts'
import { inputFor } from './project.ts'

const version = 'v1.25.4+rfor1'
const input = inputFor(version, emptyLock)

/** A world that answers everything at once and remembers what it was asked; `turn` moves every answer. */
function world(turn = 0): Resolvers & { readonly asked: string[]; busiest: number } {
  let busy = 0
  const manifest = (name: string): PinnedManifest => ({
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    digest: digestOf(`${name} ${turn}`),
    size: 7,
  })
  const answering = async <T>(what: string, answer: T): Promise<T> => {
    here.asked.push(what)
    here.busiest = Math.max(here.busiest, ++busy)
    await new Promise((done) => setImmediate(done))
    busy--
    return answer
  }
  const here: ReturnType<typeof world> = {
    asked: [],
    busiest: 0,
    source: ({ component, source }) =>
      answering<Pin>(
        component,
        source.kind === 'archive'
          ? { kind: 'archive', url: source.url, digest: digestOf(`${component} ${turn}`), size: 7 }
          : { kind: 'git', url: JSON.stringify(source), tag: 'v1', commit: digestOf(`${component} ${turn}`).slice(7, 47) },
      ),
    image: (reference) =>
      answering(reference, {
        kind: 'image',
        reference,
        index: manifest(reference),
        platforms: { 'linux/amd64': manifest('a'), 'linux/arm64': manifest('b'), 'linux/riscv64': manifest('c') },
      }),
    base: ({ reference, platform, name }) => answering(platform, { kind: 'image', name, reference, manifest: manifest(platform) }),
    packages: ({ what, names }) =>
      answering(what, {
        kind: 'rpms',
        repositories: { OS: { url: 'https://example.org/', revision: '1', repomd: digestOf(`repomd ${turn}`) } },
        rpms: names.map((name) => ({
          nevra: `${name}-1.${turn}-1.noarch`,
          url: `https://example.org/${name}.rpm`,
          digest: digestOf(`${name} ${turn}`),
          size: 1,
        })),
      }),
    chart: ({ name, version: chartVersion, url }) =>
      answering(name, { kind: 'chart', version: chartVersion, url, digest: digestOf(`${name} ${turn}`) }),
    advisories: () =>
      answering('advisories', { kind: 'advisories', digest: digestOf(`advisories ${turn}`), size: 7, taken: '2026-11-01T00:00:00Z' }),
  }
  return here
}

const request = (resolve: Resolvers, more: Partial<LockRequest> = {}): LockRequest => ({
  ...input,
  resolve,
  concurrency: 4,
  today: '20261123',
  ...more,
})
/** Packages, and the RPMs that they come to. */
const isNoPackage = (what: string): boolean => !/^(packages|rpm)\//.test(what)
const locked = async (): Promise<Lock> => (await lockRelease(request(world()))).lock

test('all that moves is pinned; what is recorded needs no question; questions go out a few at a time', async () => {
  const outside = world()
  const { lock, moved } = await lockRelease(request(outside))
  expect(planRelease({ ...input, lock }).unresolved).toEqual([])
  // 51 images, three that no list names, two of RFO's own that have a source, 3 bases, runc's C library and the advisories; the charts' digests are in
  // RKE2's index; then what stands on the bases
  expect(outside.asked.filter(isNoPackage)).toHaveLength(61)
  expect(
    outside.asked
      .filter((what) => what !== 'advisories')
      .slice(60)
      .every((what) => what.startsWith('packages/')),
  ).toBe(true)
  expect(outside.busiest).toBe(4)
  // each of those, charts, RKE2's lists, and the tags of what is rebuilt
  expect(moved.filter(({ what }) => isNoPackage(what))).toHaveLength(61 + 12 + 1 + 29)
  expect(moved).toContainEqual({
    what: 'rpm/linux/arm64/iptables',
    from: 'nothing',
    to: expect.stringMatching(/^iptables-1.0-1.noarch sha256:/),
  })
  expect(moved.every(({ from }) => from === 'nothing')).toBe(true)
})

describe('a C library', () => {
  const changed = (libraries: PlanInput['libraries']): PlanInput => ({ ...input, libraries })
  const [seccomp] = input.libraries
  if (seccomp === undefined) throw new Error('runc links one')

  test('is pinned by its archive, and its own pin alone moves with --update and with its address', async () => {
    const lock = await locked()
    expect(lock.releases[version]?.libraries?.['libseccomp']?.pin).toMatchObject({ kind: 'archive', url: seccomp.source.url })
    const updated = await lockRelease(request(world(1), { lock, update: ['libseccomp'] }))
    expect(updated.moved.map(({ what }) => what)).toEqual(['library/libseccomp'])
    const elsewhere = changed([{ ...seccomp, source: { ...seccomp.source, url: 'https://example.test/x.tar.gz' } }])
    expect(planRelease({ ...elsewhere, lock }).unresolved).toEqual([
      { what: 'library/libseccomp', reason: expect.stringContaining('stale: pipelines/libraries/libseccomp.yaml changed') },
    ])
    const outside = world(1)
    await lockRelease({ ...request(outside, { lock }), ...elsewhere, lock })
    expect(outside.asked).toEqual(['libseccomp'])
    // what is made of it is no part of where it comes from
    const otherwise = changed([{ ...seccomp, build: { ...seccomp.build, targets: [] } }])
    expect(planRelease({ ...otherwise, lock }).unresolved.map(({ what }) => what)).toEqual(['tag/hardened-runc', 'tag/rke2-runtime'])
  })

  test('that nobody gives is said to be open, with the component that links it prebuilt or not there', async () => {
    const gone: Resolvers = {
      ...world(),
      source: async (asked) => {
        if (asked.component === 'libseccomp') throw new RfoError('RFO_SOURCE_DOWNLOAD', 'HTTP 404', { exit: 'outside' })
        return await world().source(asked)
      },
    }
    const { lock } = await lockRelease(request(gone))
    const open = (now: Lock): readonly string[] =>
      planRelease({ ...input, lock: now }).unresolved.flatMap(({ what }) => (what.startsWith('tag/') ? [] : [what]))
    expect(open(lock)).toEqual(['library/libseccomp'])
    const release = lock.releases[version]
    const runc = release?.components['hardened-runc']
    if (release === undefined || runc === undefined) throw new Error('it is locked')
    const prebuilt = {
      ...runc,
      pin: { kind: 'archive', url: 'https://example.test/x.tar', digest: digestOf(''), size: 1, prebuilt: 'bin' } as const,
    }
    expect(
      open({ ...lock, releases: { [version]: { ...release, components: { ...release.components, 'hardened-runc': prebuilt } } } }),
    ).toEqual([])
  })
})

describe('a second lock', () => {
  test('asks nothing and moves nothing', async () => {
    const lock = await locked()
    const outside = world(1)
    const again = await lockRelease(request(outside, { lock }))
    expect(outside.asked).toEqual([])
    expect(again.moved).toEqual([])
    expect(renderLock(again.lock)).toBe(renderLock(lock))
  })

  test('a snapshot from before the end of the day that an old line is judged by leaves the lock open', async () => {
    const early: Resolvers = {
      ...world(),
      advisories: async () => ({ kind: 'advisories', digest: digestOf('early'), size: 7, taken: '2022-12-31T23:59:58Z' }),
    }
    const { lock } = await lockRelease(request(early))
    const reason = `the snapshot is of 2022-12-31T23:59:58Z, before the end of the day that is judged: rfo-build lock ${version} --update advisories`
    expect(planRelease({ ...input, lock }).unresolved).toEqual([{ what: 'advisories', reason }])
    const { lock: later } = await lockRelease(request(world(), { lock, update: ['advisories'] }))
    expect(planRelease({ ...input, lock: later }).unresolved).toEqual([])
  })

  test('moves what --update names, and nothing else', async () => {
    const lock = await locked()
    const outside = world(1)
    const { moved } = await lockRelease(request(outside, { lock, update: ['pause', 'linux/arm64'] }))
    expect(outside.asked.filter(isNoPackage).toSorted()).toEqual(['linux/arm64', 'pause'])
    expect(moved.map(({ what }) => what).filter(isNoPackage)).toEqual(['base/linux/arm64', 'pause'])
    // what stands on a base that moved is asked for anew, and nothing else of the kind
    expect(outside.asked.filter((what) => !isNoPackage(what)).every((what) => what.endsWith('/linux/arm64'))).toBe(true)
    expect(outside.asked).toContain('packages/hardened-kubernetes/linux/arm64')
    expect((await lockRelease(request(world(1), { lock, update: 'all' }))).moved.filter(({ what }) => isNoPackage(what))).toHaveLength(61)
  })

  test('asks anew for packages when a pipeline asks for others, and for that component alone', async () => {
    const lock = await locked()
    const components = input.components.map((each) => (each.name === 'hardened-kubernetes' ? { ...each, packages: ['iptables'] } : each))
    expect(
      planRelease({ ...input, components, lock })
        .unresolved.filter(({ what }) => !isNoPackage(what))
        .map(({ what, reason }) => `${what}: ${reason.slice(0, 5)}`),
    ).toEqual(['amd64', 'arm64', 'riscv64'].map((each) => `packages/hardened-kubernetes/linux/${each}: stale`))
    const outside = world(1)
    const { lock: after } = await lockRelease(request(outside, { lock, components }))
    expect(outside.asked).toEqual(['amd64', 'arm64', 'riscv64'].map((each) => `packages/hardened-kubernetes/linux/${each}`))
    const made = after.releases[version]?.packages?.['linux/amd64']
    expect(made?.components['hardened-kubernetes']).toMatchObject({ rpms: ['iptables-1.1-1.noarch'] })
    // nobody names the old ones any more but those who keep them
    expect(Object.keys(made?.rpms ?? {})).toContain('iptables-1.0-1.noarch')
    expect(planRelease({ ...input, components, lock: after }).unresolved).toEqual([])
  })

  test('an RPM that a component names and that the lock does not hold is stale, never left out', async () => {
    const lock = await locked()
    const text = renderLock(lock).replaceAll(/^ +ipset-1\.0-1\.noarch:\n(?: +(?:digest|size|url): .*\n)+/gm, '')
    const without = parseLock(text, 'images.lock')
    expect(text).not.toBe(renderLock(lock))
    expect(planRelease({ ...input, lock: without }).unresolved.map(({ what }) => what)).toContain(
      'packages/hardened-kubernetes/linux/amd64',
    )
  })

  test('refuses a name that nothing has, before it asks anybody', async () => {
    const outside = world()
    await expect(lockRelease(request(outside, { update: ['pawse'] }))).rejects.toMatchObject({ code: 'RFO_RELEASE_UPDATE', exit: 'usage' })
    expect(outside.asked).toEqual([])
  })

  test('resolves what its pipeline changed, and drops what the list no longer holds', async () => {
    const lock = await locked()
    const components = input.components.map((each) =>
      each.name === 'klipper-helm'
        ? { ...each, source: { kind: 'git' as const, url: 'https://example.org/klipper-helm', tag: '{tag}' } }
        : each,
    )
    const { vsphere: _, ...groups } = input.upstream.groups
    const outside = world()
    const { lock: after, moved } = await lockRelease(request(outside, { lock, components, upstream: { ...input.upstream, groups } }))
    expect(outside.asked).toEqual(['klipper-helm'])
    expect(moved.filter(({ to }) => to === 'nothing')).toHaveLength(8)
    expect(Object.keys(after.releases[version]!.components)).toHaveLength(48)
  })

  test('leaves other releases alone', async () => {
    const lock = await locked()
    const other = inputFor('v1.24.8+rfor1', lock)
    const { lock: both } = await lockRelease({ ...other, resolve: world(2), concurrency: 4, today: '20261123' })
    expect(both.releases[version]).toEqual(lock.releases[version])
    expect(Object.keys(both.releases).toSorted()).toEqual(['v1.24.8+rfor1', version])
  })
})

describe('what the outside does not give', () => {
  const down = new RfoError('RFO_SOURCE_GIT', 'could not resolve host', { exit: 'outside' })

  test('stands there with its reason, and is asked for again next time', async () => {
    const { lock } = await lockRelease(request({ ...world(), source: () => Promise.reject(down) }))
    const gaps = planRelease({ ...input, lock } satisfies PlanInput).unresolved
    expect(gaps).toHaveLength(30)
    expect(gaps.every(({ reason }) => reason === `RFO_SOURCE_GIT: could not resolve host: rfo-build lock ${version}`)).toBe(true)
    const outside = world()
    const { lock: mended } = await lockRelease(request(outside, { lock }))
    expect(outside.asked).toHaveLength(30)
    expect(planRelease({ ...input, lock: mended }).unresolved).toEqual([])
  })

  test('a pin that --update names and nobody answers for is not silently the old one', async () => {
    const lock = await locked()
    const { moved } = await lockRelease(request({ ...world(), source: () => Promise.reject(down) }, { lock, update: ['pause'] }))
    expect(moved.filter(({ what }) => what !== 'tag/pause')).toEqual([
      {
        what: 'pause',
        from: expect.stringContaining('k8s.io/kubernetes'),
        to: 'unresolved: RFO_SOURCE_GIT: could not resolve host',
      },
    ])
  })

  test('a wrong checksum is not “outside”: it ends the command', async () => {
    const wrong = new RfoError('RFO_SOURCE_SUM', 'checksum mismatch', { exit: 'untrusted' })
    await expect(lockRelease(request({ ...world(), source: () => Promise.reject(wrong) }))).rejects.toBe(wrong)
  })
})
