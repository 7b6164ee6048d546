/** The closure of a configuration, over what the charts of two releases of RKE2 really name. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type ChartFacts, imageRenames, kubernetesOf, upstreamDefects } from '../../src/plan/chart-facts.ts'
import { type ChartImages, type Closure, closure, defaultChoices, supportMatrix } from '../../src/plan/closure.ts'
import { planRelease } from '../../src/plan/plan-release.ts'
import type { ReleasePlan } from '../../src/plan/release-plan.ts'
import { inputFor, ownLock } from './project.ts'

type Facts = Readonly<Record<string, ChartFacts>>
const recorded: Readonly<Record<string, Facts>> = JSON.parse(readFileSync(join(import.meta.dirname, 'fixtures/chart-facts.json'), 'utf8'))

const lock = ownLock()
const cases = ['v1.24.8', 'v1.25.4'].map((version) => {
  const plan = planRelease(inputFor(`${version}+rfor1`, lock))
  return { version, plan, facts: renamed(recorded[version] ?? {}, plan) }
})
const [{ plan, facts }] = cases as [(typeof cases)[number]]

/** As charts are once they have been repacked. */
function renamed(upstream: Facts, { images }: ReleasePlan): Facts {
  const renames = imageRenames({ images })
  const rename = (reference: string): string => {
    const [, repository, tag] = /^docker\.io\/([^:@]+):([^@]+)/.exec(reference) ?? []
    const to = renames.get(repository ?? '')
    return to === undefined ? reference : `docker.io/${to.repository}:${tag === to.tag.from ? to.tag.to : tag}`
  }
  return Object.fromEntries(
    Object.entries(upstream).map(([chart, each]) => [
      chart,
      { ...each, images: each.images.map((image) => ({ ...image, reference: rename(image.reference) })) },
    ]),
  )
}

const imagesOf = (charts: Facts): ChartImages => Object.fromEntries(Object.entries(charts).map(([chart, { images }]) => [chart, images]))

/** `missing` by platform, without reasons. */
function missing(platforms: Closure): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(platforms).map(([platform, status]) => [
      platform,
      status.status === 'bootable' ? [] : status.missing.map(({ reference, neededBy }) => `${reference} ${neededBy}`),
    ]),
  )
}

describe('the default configuration', () => {
  test.each(cases)('$version: amd64 and arm64 come up, riscv64 lacks what nobody makes', (each) => {
    const platforms = closure({ plan: each.plan, chartImages: imagesOf(each.facts), choices: defaultChoices })
    expect([platforms['linux/amd64'], platforms['linux/arm64']]).toEqual([{ status: 'bootable' }, { status: 'bootable' }])
    expect(missing(platforms)['linux/riscv64']).toEqual([
      'docker.io/rancher/mirrored-ingress-nginx-kube-webhook-certgen:v1.1.1 rke2-ingress-nginx',
      'docker.io/rfolabs/hardened-calico:v3.24.1-buildYYYYMMDD rke2-canal',
      'docker.io/rfolabs/klipper-helm:v0.7.3-buildYYYYMMDD node/helm-controller',
      'docker.io/rfolabs/nginx-ingress-controller:nginx-1.2.1-hardened9-buildYYYYMMDD rke2-ingress-nginx',
    ])
    const { missing: gaps } = platforms['linux/riscv64'] as { readonly missing: readonly { readonly reason: string }[] }
    expect(gaps.map(({ reason }) => reason).every((reason) => reason.length > 20)).toBe(true)
  })

  test('each choice of CNI, ingress and cloud', () => {
    const rows = supportMatrix(plan, imagesOf(facts))
    expect(
      rows.map(
        ({ kind, choice, platforms }) =>
          `${kind} ${choice}: ${Object.values(platforms)
            .map(({ status }) => status)
            .join(' ')}`,
      ),
    ).toEqual([
      'cni canal: bootable bootable partial',
      'cni calico: bootable bootable partial',
      'cni cilium: bootable bootable partial',
      'cni multus: bootable bootable partial',
      'cni none: bootable bootable partial',
      'ingress nginx: bootable bootable partial',
      'ingress none: bootable bootable partial',
      'cloud none: bootable bootable partial',
      'cloud rancher-vsphere: bootable partial partial',
      'cloud harvester: partial partial partial',
    ])
  })
})

describe("upstream's known defects", () => {
  test.each(cases)('$version: Multus runs on amd64 alone; charts of Harvester', (each) => {
    expect(upstreamDefects(each.plan, each.facts)).toEqual([
      { kind: 'architecture', chart: 'rke2-multus', architecture: 'amd64', where: 'values.yaml: labels.nodeSelector' },
      { kind: 'kubernetes', chart: 'harvester-cloud-provider', range: '>= 1.18.0-0 < 1.24.0-0', kubernetes: each.version.slice(1) },
      ...['attacher:v3.2.1', 'node-driver-registrar:v2.3.0', 'provisioner:v2.1.2', 'resizer:v1.2.0'].map((name) => ({
        kind: 'image',
        chart: 'harvester-csi-driver',
        reference: `docker.io/rancher/mirrored-longhornio-csi-${name}`,
        where: expect.stringContaining('values.yaml: image.csi.'),
      })),
    ])
  })

  test('a candidate is within the range of its release', () => {
    const charts: Facts = { x: { images: [], kubeVersion: '>= 1.18.0-0 < 1.26.0-0' } }
    expect(upstreamDefects({ ...plan, version: 'v1.24.8-rc2+rfor1' }, charts)).toEqual([])
    expect([kubernetesOf('v1.24.8-rc2+rfor1'), kubernetesOf('v1.24.8+rfor3')]).toEqual(['1.24.8-rc2', '1.24.8'])
  })
})

describe('what is missing is named', () => {
  const own = closure({ plan, chartImages: imagesOf(facts), choices: defaultChoices })
  const amd64 = (changed: Partial<ReleasePlan>, charts: ChartImages = imagesOf(facts)): string[] =>
    missing(closure({ plan: { ...plan, ...changed }, chartImages: charts, choices: defaultChoices }))['linux/amd64'] ?? []
  const without = (component: string): string[] => amd64({ images: plan.images.filter((image) => image.component !== component) })

  test('an image of a static pod, or of the node', () => {
    expect(without('hardened-kubernetes')).toEqual([
      'docker.io/rancher/hardened-kubernetes static-pod/kube-apiserver,static-pod/kube-controller-manager,static-pod/kube-proxy,static-pod/kube-scheduler',
    ])
    expect(without('pause')).toEqual(['docker.io/rancher/pause node/pause'])
    expect(without('rke2-runtime')).toEqual(['docker.io/rancher/rke2-runtime node/runtime'])
  })

  test('a chart that the release does not hold', () => {
    const { 'rke2-canal': _gone, ...rest } = imagesOf(facts)
    expect(amd64({}, rest)).toEqual(['chart/rke2-canal rke2-canal'])
  })

  test('an image that only another list holds: the site does not load that one', () => {
    const images = plan.images.map((image) => (image.component === 'hardened-flannel' ? { ...image, groups: ['cilium'] } : image))
    expect(amd64({ images })).toEqual(['docker.io/rfolabs/hardened-flannel:v0.19.1-build20261123 rke2-canal'])
  })

  test('another tag, another registry, a digest on top', () => {
    const flannel = 'docker.io/rfolabs/hardened-flannel:v0.19.1-build20221011'
    const other = [flannel.replace('v0.19.1', 'v0.19.2'), flannel.replace('docker.io', 'quay.io'), `${flannel}@sha256:${'a'.repeat(64)}`]
    const named = other.map((reference) => ({ reference, where: 'values.yaml: x' }))
    expect(amd64({}, { ...imagesOf(facts), 'rke2-canal': named })).toEqual(other.sort().map((reference) => `${reference} rke2-canal`))
  })

  test('of any set of images that is taken away: just those that were needed', () => {
    const needed = new Set(plan.images.map((image) => image.component).filter((component) => without(component).length > 0))
    expect(needed.size).toBeGreaterThan(10)
    fc.assert(
      fc.property(fc.subarray(plan.images.map((image) => image.component)), (gone) => {
        const images = plan.images.map((image) =>
          gone.includes(image.component)
            ? { ...image, platforms: { ...image.platforms, 'linux/amd64': { status: 'unsupported' as const, reason: 'gone' } } }
            : image,
        )
        const platforms = closure({ plan: { ...plan, images }, chartImages: imagesOf(facts), choices: defaultChoices })
        const references = new Set(
          images.filter(({ component }) => gone.includes(component) && needed.has(component)).map(({ reference }) => reference),
        )
        const found = platforms['linux/amd64']
        expect(found?.status).toBe(references.size === 0 ? 'bootable' : 'partial')
        if (found?.status === 'partial') expect(new Set(found.missing.map(({ reference }) => reference))).toEqual(references)
        expect(platforms['linux/arm64']).toEqual(own['linux/arm64'])
      }),
      { numRuns: 100, seed: 4 },
    )
  })
})
