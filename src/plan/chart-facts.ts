/** What a plan tells the charts, and what charts tell of the plan. Pure. */
import { satisfies } from 'semver'
import type { ListedPlan, NamedImage } from './closure.ts'
import { parseImageName } from './reference.ts'
import type { ReleasePlan } from './release-plan.ts'
import { parseVersion } from './version.ts'

export interface ImageRename {
  /** `rfolabs/hardened-coredns` */
  readonly repository: string
  /** the tag that RKE2's list has, and RFO's in its place; a chart that names another one keeps it */
  readonly tag: { readonly from: string; readonly to: string }
}

/** By upstream's repository, for the images that RFO names anew: what charts must be told. */
export function imageRenames(plan: Pick<ReleasePlan, 'images'>): ReadonlyMap<string, ImageRename> {
  const pairs = plan.images.flatMap(({ upstream, reference }) =>
    upstream === undefined ? [] : [[parseImageName(upstream), parseImageName(reference)] as const],
  )
  return new Map(
    pairs
      .filter(([from, to]) => from.repository !== to.repository || from.tag !== to.tag)
      .map(([from, to]) => [from.repository, { repository: to.repository, tag: { from: from.tag, to: to.tag } }]),
  )
}

/** `1.24.8`, or `1.24.8-rc1` for a candidate: Kubernetes' version of a release of RFO. */
export function kubernetesOf(version: string): string {
  const { major, minor, patch, pre } = parseVersion(version)
  return `${major}.${minor}.${patch}${pre === undefined ? '' : `-${pre.kind}${pre.number}`}`
}

/** What upstream itself got wrong, for people: nothing here changes what a platform is. */
export type UpstreamDefect =
  | { readonly kind: 'image'; readonly chart: string; readonly reference: string; readonly where: string }
  | { readonly kind: 'architecture'; readonly chart: string; readonly architecture: string; readonly where: string }
  | { readonly kind: 'kubernetes'; readonly chart: string; readonly range: string; readonly kubernetes: string }

export interface ChartFacts {
  readonly images: readonly NamedImage[]
  /** Chart.yaml's annotation catalog.cattle.io/kube-version, a range; Rancher offers the chart within it alone */
  readonly kubeVersion?: string
  /** architectures that its values pin: on another one its pods wait for ever */
  readonly pinned?: readonly { readonly architecture: string; readonly where: string }[]
}

/** An image that a chart needs and no list holds for any platform; a chart that says it is not for this Kubernetes, or runs on one architecture alone. */
export function upstreamDefects(plan: ListedPlan, charts: Readonly<Record<string, ChartFacts>>): readonly UpstreamDefect[] {
  const held = new Set(plan.images.map((image) => image.reference))
  const kubernetes = kubernetesOf(plan.version)
  return Object.entries(charts).flatMap(([chart, { images, kubeVersion: range, pinned = [] }]): readonly UpstreamDefect[] => [
    ...images
      .filter((image) => image.off === undefined && !held.has(image.reference))
      .map(({ reference, where }) => ({ kind: 'image' as const, chart, reference, where })),
    ...pinned
      .filter(({ architecture }) => plan.platforms.some((platform) => platform !== `linux/${architecture}`))
      .map(({ architecture, where }) => ({ kind: 'architecture' as const, chart, architecture, where })),
    ...(range === undefined || satisfies(kubernetes, range.replaceAll(',', ' '), { includePrerelease: true })
      ? []
      : [{ kind: 'kubernetes' as const, chart, range, kubernetes }]),
  ])
}
