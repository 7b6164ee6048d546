/**
 * Can a platform's lists bring a node up? Every image that a static pod or a chart of a configuration names must be in the
 * lists that this configuration loads. Pure: what charts name was read elsewhere.
 */
import type { PlatformName } from '../oci/platform.ts'
import { parseImageName } from './reference.ts'
import type { ChartPlan, ImagePlan, ReleasePlan } from './release-plan.ts'

export interface NamedImage {
  /** `docker.io/rfolabs/hardened-coredns:v1.9.3-build20221011` */
  readonly reference: string
  /** `values.yaml: autoscaler.image` */
  readonly where: string
  /** why the chart's own values leave it out; absent = it is needed */
  readonly off?: string
}

/** By chart name. */
export type ChartImages = Readonly<Record<string, readonly NamedImage[]>>

export interface Missing {
  readonly reference: string
  /** `static-pod/etcd`, `rke2-coredns`; several are joined by commas; without blanks */
  readonly neededBy: string
  /** for people: the pipeline's reason, or that no list of this configuration holds it */
  readonly reason: string
}

export type PlatformStatus =
  | { readonly status: 'bootable' }
  /** sorted by reference, never empty */
  | { readonly status: 'partial'; readonly missing: readonly Missing[] }

/** What a choice of `rfo.yaml` installs, and the image lists that a site loads for it besides core. */
interface Choice {
  readonly charts: readonly string[]
  readonly groups: readonly string[]
}
const none: Choice = { charts: [], groups: [] }

/** https://docs.rke2.io/networking/basic_network_options: `cni`; multus goes before another one */
export const cniChoices = {
  canal: { charts: ['rke2-canal'], groups: ['canal'] },
  calico: { charts: ['rke2-calico', 'rke2-calico-crd'], groups: ['calico'] },
  cilium: { charts: ['rke2-cilium'], groups: ['cilium'] },
  flannel: { charts: ['rke2-flannel'], groups: ['flannel'] },
  multus: { charts: ['rke2-multus'], groups: ['multus'] },
  none,
} as const satisfies Record<string, Choice>
export const ingressChoices = {
  nginx: { charts: ['rke2-ingress-nginx'], groups: [] },
  traefik: { charts: ['rke2-traefik', 'rke2-traefik-crd'], groups: ['traefik'] },
  none,
} as const satisfies Record<string, Choice>
/** `cloud-provider-name` */
export const cloudChoices = {
  none,
  'rancher-vsphere': { charts: ['rancher-vsphere-cpi', 'rancher-vsphere-csi'], groups: ['vsphere'] },
  harvester: { charts: ['harvester-cloud-provider', 'harvester-csi-driver'], groups: ['harvester'] },
} as const satisfies Record<string, Choice>

/** All that are named must come up together. */
export interface Choices {
  readonly cni: readonly (keyof typeof cniChoices)[]
  readonly ingress: keyof typeof ingressChoices
  readonly cloud: keyof typeof cloudChoices
}

/** What a node runs when rfo.yaml says nothing: its images are `rfo-images.linux-<arch>`, core and canal. */
export const defaultChoices: Choices = { cni: ['canal'], ingress: 'nginx', cloud: 'none' }

/** Installed whatever is chosen. */
const always: Choice = { charts: ['rke2-coredns', 'rke2-metrics-server'], groups: ['core'] }
/** The same, by releases that have them. */
const alwaysOfSome: readonly string[] = ['rke2-runtimeclasses', 'rke2-snapshot-controller', 'rke2-snapshot-controller-crd']

/** Needed without any chart: what the node runs by itself, what holds the namespaces of every pod, and what installs the charts. */
const nodeImages: readonly { readonly upstream: string; readonly later?: string; readonly neededBy: string }[] = [
  { upstream: 'rancher/rke2-runtime', neededBy: 'node/runtime' },
  { upstream: 'rancher/pause', later: 'rancher/mirrored-pause', neededBy: 'node/pause' },
  { upstream: 'rancher/hardened-etcd', neededBy: 'static-pod/etcd' },
  ...['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kube-proxy'].map((name) => ({
    upstream: 'rancher/hardened-kubernetes',
    neededBy: `static-pod/${name}`,
  })),
  { upstream: 'rancher/rke2-cloud-provider', neededBy: 'static-pod/cloud-controller-manager' },
  { upstream: 'rancher/klipper-helm', neededBy: 'node/helm-controller' },
]

/** What of a plan decides whether its lists bring a node up. */
export interface ListedPlan extends Pick<ReleasePlan, 'version' | 'platforms'> {
  readonly images: readonly Pick<ImagePlan, 'upstream' | 'reference' | 'groups' | 'platforms'>[]
  readonly charts: readonly Pick<ChartPlan, 'name'>[]
}

export function listedPlan({ version, platforms, images, charts }: ReleasePlan): ListedPlan {
  return {
    version,
    platforms,
    images: images.map(({ upstream, reference, groups, platforms: made }) => ({
      ...(upstream === undefined ? {} : { upstream }),
      reference,
      groups,
      platforms: made,
    })),
    charts: charts.map(({ name }) => ({ name })),
  }
}

export interface ClosureInput {
  readonly plan: ListedPlan
  readonly chartImages: ChartImages
  readonly choices: Choices
}

export type Closure = Readonly<Partial<Record<PlatformName, PlatformStatus>>>

/** One status for each platform of the plan. A chart of the configuration that the release does not hold is missing, too. */
export function closure(input: ClosureInput): Closure {
  const { plan, chartImages, choices } = input
  const chosen = chosenOf(choices)
  const groups = new Set(chosenGroups(choices))
  const needs = new Map<string, Set<string>>()
  const need = (reference: string, by: string): void => {
    needs.set(reference, (needs.get(reference) ?? new Set()).add(by))
  }
  for (const { upstream, later, neededBy } of nodeImages) need(referenceOf(plan, upstream, later), neededBy)
  for (const chart of [...chosen.flatMap((choice) => choice.charts), ...alwaysOfSome.filter((name) => holds(plan, name))]) {
    if (!Object.hasOwn(chartImages, chart)) need(`chart/${chart}`, chart)
    for (const image of chartImages[chart] ?? []) if (image.off === undefined) need(image.reference, chart)
  }
  const status = (platform: PlatformName): PlatformStatus => {
    const missing = [...needs].flatMap(([reference, by]): readonly Missing[] => {
      const reason = whyMissing(plan, platform, reference, groups)
      return reason === undefined ? [] : [{ reference, neededBy: [...by].sort().join(','), reason }]
    })
    return missing.length === 0
      ? { status: 'bootable' }
      : { status: 'partial', missing: missing.sort((a, b) => (a.reference < b.reference ? -1 : 1)) }
  }
  return Object.fromEntries(plan.platforms.map((platform) => [platform, status(platform)]))
}

function chosenOf(choices: Choices): readonly Choice[] {
  return [always, ...choices.cni.map((name) => cniChoices[name]), ingressChoices[choices.ingress], cloudChoices[choices.cloud]]
}

/** The image lists that a site of these choices loads. */
export function chosenGroups(choices: Choices): readonly string[] {
  return [...new Set(chosenOf(choices).flatMap((choice) => choice.groups))].sort()
}

function holds(plan: ListedPlan, chart: string): boolean {
  return plan.charts.some(({ name }) => name === chart)
}

/** RFO's name of one of RKE2's images, whose name became `later`; as RKE2 names it, without a tag, when the plan has none. */
function referenceOf(plan: ListedPlan, upstream: string, later = upstream): string {
  const of = (repository: string): string | undefined =>
    plan.images.find((image) => image.upstream !== undefined && parseImageName(image.upstream).repository === repository)?.reference
  return of(upstream) ?? of(later) ?? `docker.io/${upstream}`
}

function whyMissing(plan: ListedPlan, platform: PlatformName, reference: string, groups: ReadonlySet<string>): string | undefined {
  if (reference.startsWith('chart/')) return 'the release holds no such chart'
  const image = plan.images.find((each) => each.reference === reference)
  if (image === undefined || image.groups.length === 0) return 'no list holds it'
  if (!image.groups.some((group) => groups.has(group))) return `only the lists of ${image.groups.join(', ')} hold it`
  const made = image.platforms[platform]
  return made?.status === 'made' ? undefined : (made?.reason ?? 'it is not made for this platform')
}

export interface SupportRow {
  readonly kind: 'cni' | 'ingress' | 'cloud'
  readonly choice: string
  readonly platforms: Closure
}

/** The default configuration with one choice changed at a time; what RKE2 did not offer yet is no row. */
export function supportMatrix(plan: ListedPlan, chartImages: ChartImages): readonly SupportRow[] {
  const row = (kind: SupportRow['kind'], choice: string, changed: Partial<Choices>): SupportRow => ({
    kind,
    choice,
    platforms: closure({ plan, chartImages, choices: { ...defaultChoices, ...changed } }),
  })
  const names = <Name extends string>(table: Readonly<Record<Name, Choice>>): readonly Name[] =>
    (Object.keys(table) as Name[]).filter(
      (name) => table[name].charts.length === 0 || table[name].charts.some((chart) => holds(plan, chart)),
    )
  return [
    // multus is there to be combined, and is so with the default
    ...names(cniChoices).map((name) => row('cni', name, { cni: name === 'multus' ? ['multus', 'canal'] : [name] })),
    ...names(ingressChoices).map((name) => row('ingress', name, { ingress: name })),
    ...names(cloudChoices).map((name) => row('cloud', name, { cloud: name })),
  ]
}
