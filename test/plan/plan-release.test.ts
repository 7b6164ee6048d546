import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalJson, type Json } from '../../src/oci/json.ts'
import { pinFingerprint } from '../../src/plan/fingerprint.ts'
import { emptyLock } from '../../src/plan/lock-text.ts'
import { type PlanInput, planRelease } from '../../src/plan/plan-release.ts'
import { ReleasePlanSchema } from '../../src/plan/plan-schema.ts'
import { type ReleasePlan, upstreamOf } from '../../src/plan/release-plan.ts'
import { planDot, planText } from '../../src/report/plan.ts'
import { componentFiles, inputFor, ownLock, releases } from './project.ts'

const lock = ownLock()
const planOf = (version: string): ReleasePlan => planRelease(inputFor(version, lock))
const canonical = (plan: ReleasePlan): string => canonicalJson(JSON.parse(JSON.stringify(plan)) as Json)

describe.each(releases)('$version', (known) => {
  const { version, upstream, commit, epoch } = known
  const plan = planOf(version)
  const named = (component: string): ReleasePlan['images'][number] => plan.images.find((image) => image.component === component)!
  const folder = join(import.meta.dirname, 'fixtures', upstream)
  const listed = readdirSync(folder)
    .filter((name) => name.startsWith('images-'))
    .flatMap((name) => readFileSync(join(folder, name), 'utf8').trimEnd().split('\n'))

  test('is the golden plan', async () => {
    await expect(`${JSON.stringify(plan, null, 2)}\n`).toMatchFileSnapshot(`golden/${version}.plan.json`)
    await expect(planText(plan, 'en')).toMatchFileSnapshot(`golden/${version}.plan.en.txt`)
    await expect(planText(plan, 'zh')).toMatchFileSnapshot(`golden/${version}.plan.zh.txt`)
    expect(ReleasePlanSchema.parse(JSON.parse(JSON.stringify(plan)))).toEqual(plan)
  })

  test('holds every entry of the recorded lists, each image once with all its groups; and three that no list names', () => {
    const [entries, images] = known.listed
    expect(listed).toHaveLength(entries)
    const upstreams = plan.images.filter((image) => image.upstream !== undefined)
    expect(new Set(upstreams.filter((image) => image.groups.length > 0).map((image) => image.upstream))).toEqual(new Set(listed))
    expect(new Set(listed).size).toBe(images)
    const unlisted = upstreams.filter((image) => image.groups.length === 0).map((image) => image.component)
    expect(unlisted).toEqual(['hardened-containerd', 'hardened-crictl', 'hardened-runc'])
    expect(upstreams.flatMap((image) => image.groups)).toHaveLength(entries)
    expect(named('hardened-cni-plugins').groups).toEqual(known.cniPlugins)
    expect(plan.upstream).toEqual({ version: upstream, commit })
    expect(plan.epoch).toBe(epoch)
    expect(plan.charts).toHaveLength(known.charts)
  })

  test('holds RFO’s own images beside them: under RFO’s name and their own tag, one in a group of its own', () => {
    const own = plan.images.filter((image) => image.upstream === undefined)
    // the day of a lock entry ends the tags of those that have one
    expect(own.map(({ reference, groups }) => [reference.replace(/-build(\d{8}|YYYYMMDD)$/, '-build'), ...groups])).toEqual([
      [`docker.io/rfolabs/helm-controller:${known.helmController}-build`],
      [`docker.io/rfolabs/kube-explorer:${known.kubeExplorer}-build`, 'kube-explorer'],
      [`docker.io/rfolabs/rfo-upgrade:${version.replace('+', '-')}`],
      [`docker.io/rfolabs/system-agent-installer-rfo:${version.replace('+', '-')}`],
    ])
    expect(own.every((image) => image.action === 'rebuild' && image.platforms['linux/riscv64']?.status === 'made')).toBe(true)
  })

  test('rebuilds the hardened images, what the runtime carries, runtime, pause and all else that RKE2 rebuilds; mirrors the rest', () => {
    const rebuilt = plan.images.filter((image) => image.action === 'rebuild').map((image) => image.component)
    expect(rebuilt.filter((name) => name.startsWith('hardened-'))).toHaveLength(known.hardened)
    expect(rebuilt.filter((name) => !name.startsWith('hardened-'))).toEqual(known.others)
    const mirrored = plan.images.filter((image) => image.action === 'mirror')
    expect(mirrored).toHaveLength(known.mirrored)
    expect(mirrored.every((image) => image.reference === image.upstream && image.source === undefined)).toBe(true)
  })

  test('names rebuilt images as RFO’s, the runtime by RFO’s version; what old readers open has gzip layers', () => {
    expect(named('hardened-coredns').reference).toMatch(`docker.io/rfolabs/hardened-coredns:${known.coredns}-build2`)
    expect(named('hardened-kubernetes').reference).toMatch(`docker.io/rfolabs/hardened-kubernetes:${version.replace('+', '-')}-build`)
    // RKE2 gave it another name; RFO's own stays
    expect(named('pause').reference).toMatch(/^docker\.io\/rfolabs\/pause:3\.[0-9.]+-build\d{8}$/)
    expect(named('rke2-runtime')).toMatchObject({
      reference: `docker.io/rfolabs/rfo-runtime:${version.replace('+', '-')}`,
      layers: 'gzip',
      base: 'scratch',
      source: { tag: upstream },
    })
    expect(plan.images.filter((image) => image.layers === 'gzip').map((image) => image.component)).toEqual([
      'rke2-runtime',
      'system-agent-installer-rfo',
    ])
  })

  test('fills what the pipelines leave open', () => {
    const core = known.etcd.replace('-k3s1', '')
    expect(named('hardened-etcd')).toMatchObject({
      version: known.etcd,
      source: { version: core, edit: { require: { 'go.etcd.io/etcd/etcdctl/v3': core } } },
      deviates: { from: `https://github.com/k3s-io/etcd ${known.etcd}` },
      smoke: { expect: `etcd Version: ${core.slice(1)}` },
    })
    const kubernetes = upstream.replace('+rke2r1', '')
    expect(named('hardened-kubernetes').source).toMatchObject(
      known.kubernetesModule
        ? { module: 'k8s.io/kubernetes', version: kubernetes, edit: { localReplaces: kubernetes.replace('v1.', 'v0.') } }
        : { tag: kubernetes },
    )
    expect(named('hardened-cluster-autoscaler').source).toMatchObject({ tag: known.autoscaler })
    expect(JSON.stringify(plan.images.map(({ files: _, ...image }) => image))).not.toMatch(/\{(?!commit\})[A-Za-z]+\}/)
  })

  test('leaves nothing out in silence: each image says for each platform made or why not', () => {
    for (const image of plan.images) expect(Object.keys(image.platforms)).toEqual([...plan.platforms])
    const unsupported = plan.images.filter((image) => image.platforms['linux/arm64']?.status === 'unsupported')
    expect(unsupported.every((image) => image.groups.includes('vsphere'))).toBe(true)
    expect(unsupported).toHaveLength(known.amd64Only)
    expect(plan.images.every((image) => image.platforms['linux/amd64']?.status === 'made')).toBe(true)
  })

  test('has real pins of what Go’s module proxy serves and of all charts; what could not be reached is named with a reason and a command', () => {
    const pinned = plan.images.filter((image) => image.locked?.pin.kind === 'go-module').map((image) => image.component)
    expect(pinned).toEqual(
      [
        'hardened-cni-plugins',
        'hardened-containerd',
        'hardened-coredns',
        'hardened-etcd',
        'hardened-k8s-metrics-server',
        'hardened-runc',
        'pause',
        ...(known.kubernetesModule ? ['hardened-kubernetes'] : []),
        ...known.alsoPinned,
      ].sort(),
    )
    expect(plan.charts.every((chart) => chart.locked?.kind === 'chart')).toBe(true)
    const gaps = new Set(plan.unresolved.map((gap) => gap.what))
    for (const image of plan.images) expect(gaps.has(image.component)).toBe(image.locked?.pin.kind === 'unresolved')
    for (const gap of plan.unresolved) expect(gap.reason).toContain(`rfo-build lock ${version}`)
  })

  test('does not depend on the order of files', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([...componentFiles], { minLength: componentFiles.length }), (files) => {
        expect(canonical(planRelease(inputFor(version, lock, files)))).toBe(canonical(plan))
      }),
      { numRuns: 4 },
    )
  })

  test('can be drawn', () => {
    const dot = planDot(plan)
    expect(dot).toContain(`"github.com/coredns/coredns@${known.coredns}"`)
    expect(dot.match(/\{/g)).toHaveLength(1)
  })
})

describe('what the lock lacks', () => {
  const version = 'v1.25.4+rfor1'
  const input = inputFor(version, lock)

  test('everything: one line', () => {
    expect(planRelease({ ...input, lock: emptyLock }).unresolved).toEqual([
      { what: 'images.lock', reason: `it holds nothing of ${version}: rfo-build lock ${version}` },
    ])
  })

  test('a pipeline that changed what decides its pin is stale; one that changed something else is not', () => {
    const change = (what: object): readonly { readonly what: string; readonly reason: string }[] =>
      planRelease({
        ...input,
        components: input.components.map((each) => (each.name === 'hardened-coredns' ? { ...each, ...what } : each)),
      }).unresolved.filter((gap) => gap.what === 'hardened-coredns')
    expect(change({ packages: ['which'] })).toEqual([])
    expect(change({ source: { kind: 'go-module', module: 'github.com/coredns/coredns', version: 'v1.9.4' } })).toEqual([
      { what: 'hardened-coredns', reason: expect.stringMatching(/^stale: .*rfo-build lock v1\.25\.4\+rfor1$/) },
    ])
  })

  test('a mirrored image without a platform that is promised', () => {
    const release = lock.releases[version]!
    const typha = upstreamOf(planOf(version).images.find((image) => image.component === 'mirrored-calico-typha')!)
    const manifest = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: `sha256:${'0'.repeat(64)}` as never, size: 1 }
    const plan = planRelease({
      ...input,
      lock: {
        ...lock,
        releases: {
          [version]: {
            ...release,
            components: {
              ...release.components,
              'mirrored-calico-typha': {
                ...release.components['mirrored-calico-typha']!,
                pin: { kind: 'image', reference: typha, index: manifest, platforms: { 'linux/amd64': manifest } },
              },
            },
          },
        },
      },
    })
    expect(plan.unresolved.filter((gap) => gap.what.startsWith('mirrored-calico-typha'))).toEqual([
      {
        what: 'mirrored-calico-typha/linux/arm64',
        reason:
          'docker.io/rancher/mirrored-calico-typha:v3.24.1 has no manifest for linux/arm64: say why under unsupported.arm64 in pipelines/mirrored-calico-typha.yaml',
      },
    ])
  })

  test('another image list than the one that was locked', () => {
    const { core } = input.upstream.groups
    expect(planRelease({ ...input, upstream: { ...input.upstream, groups: { core: core! } } }).unresolved[0]).toMatchObject({
      what: 'upstream',
      reason: expect.stringContaining('image list'),
    })
  })
})

describe('the commit of a source', () => {
  const kubernetes = (version: string, changed: PlanInput = inputFor(version, emptyLock)): ReleasePlan['images'][number] =>
    planRelease(changed).images.find((image) => image.component === 'hardened-kubernetes')!
  const stamps = ({ build }: ReleasePlan['images'][number]): readonly string[] =>
    build?.kind === 'go' ? build.ldflags.flatMap((flag) => /gitCommit=(.*)/.exec(flag)?.[1] ?? []) : []

  test('is compiled in as the pipeline says it of that version, and empty where it says nothing', () => {
    const commit = '872a965c6c6526caa949f0c6ac028ef7aff3fb78'
    const image = kubernetes('v1.25.4+rfor1')
    expect(stamps(image)).toEqual([commit, commit])
    expect(image.source).toMatchObject({ commits: { 'v1.25.4': commit } })
    const input = inputFor('v1.25.4+rfor1', emptyLock)
    const saying = (commits: Record<string, string> | undefined): ReleasePlan['images'][number] =>
      kubernetes('v1.25.4+rfor1', {
        ...input,
        components: input.components.map((each) =>
          each.source?.kind === 'go-module' && each.name === 'hardened-kubernetes'
            ? { ...each, source: { ...each.source, commits } }
            : each,
        ),
      })
    expect(stamps(saying({ 'v1.25.5': commit }))).toEqual(['', ''])
    // what is said of other versions makes no pin stale
    expect(pinFingerprint(saying({ 'v1.25.5': 'c'.repeat(40), 'v1.25.4': commit }))).toBe(pinFingerprint(image))
    expect(pinFingerprint(saying({ 'v1.25.4': 'c'.repeat(40) }))).not.toBe(pinFingerprint(image))
  })

  test('of git is the one that is pinned, and stays open until then', () => {
    const input = inputFor('v1.24.8+rfor1', emptyLock)
    const image = kubernetes('v1.24.8+rfor1', input)
    expect(stamps(image)).toEqual(['{commit}', '{commit}'])
    const commit = 'fdc77503e954d1ee641c0e350481f7528e8d068b'
    const pin = { kind: 'git' as const, url: 'https://github.com/kubernetes/kubernetes', tag: 'v1.24.8', commit }
    const release = ownLock().releases['v1.24.8+rfor1']!
    const components = { ...release.components, 'hardened-kubernetes': { fingerprint: pinFingerprint(image), pin } }
    const locked = { ...emptyLock, releases: { 'v1.24.8+rfor1': { ...release, components } } }
    expect(stamps(kubernetes('v1.24.8+rfor1', { ...input, lock: locked }))).toEqual([commit, commit])
  })
})
