/**
 * Everything that the sandbox holds for one plan: pure data, the same bytes on every machine. Its servers hand it out,
 * its lock pins it.
 */
import type { Digest } from '../oci/digest.ts'
import type { PlatformName } from '../oci/platform.ts'
import type { Source } from '../plan/component.ts'
import type { ReleasePlan } from '../plan/release-plan.ts'
import { type StandInAdvisories, standInAdvisories } from './advisories.ts'
import { putBase } from './base.ts'
import { chartIndex, type StandInChart, standInCharts } from './charts.ts'
import { type Blobs, putMirror, type StandInImage } from './images.ts'
import type { StandInKind } from './kinds.ts'
import { type StandInPackages, standInPackages } from './packages.ts'
import { type StandInSources, standInSources } from './sources.ts'
import type { TarEntry } from './tar.ts'

export interface Scope {
  readonly kinds: ReadonlySet<StandInKind>
  /** all kinds, and the sources that `git` leaves: Go modules and archives */
  readonly everything: boolean
  /** what bases hold besides, for images that must run: see userland.ts */
  readonly userland?: readonly TarEntry[]
}

export interface World {
  readonly blobs: Blobs
  /** by reference */
  readonly bases: ReadonlyMap<string, StandInImage>
  /** by component */
  readonly mirrors: ReadonlyMap<string, StandInImage>
  readonly sources: StandInSources
  /** OS packages: they stand on the bases, and stand in with them */
  readonly packages: StandInPackages
  readonly charts: readonly StandInChart[]
  /** absent = real ones, or nobody is judged by any */
  readonly advisories?: StandInAdvisories
  /** URL → index.yaml of each chart repository */
  readonly chartIndexes: ReadonlyMap<string, Buffer>
}

export function makeWorld(plan: ReleasePlan, scope: Scope): World {
  const has = (kind: StandInKind): boolean => scope.everything || scope.kinds.has(kind)
  const blobs: Blobs = new Map<Digest, { readonly mediaType: string; readonly bytes: Buffer }>()
  const bases = new Map<string, StandInImage>()
  for (const [reference, platforms] of has('bases') ? basePlatforms(plan) : [])
    bases.set(reference, putBase(blobs, reference, platforms, plan.epoch, scope.userland))
  const mirrors = new Map<string, StandInImage>()
  for (const image of has('mirrors') ? plan.images : []) {
    if (image.action === 'mirror') mirrors.set(image.component, putMirror(blobs, image, plan.epoch))
  }
  const charts = has('charts') ? standInCharts(plan) : []
  return {
    blobs,
    bases,
    mirrors,
    packages: has('bases') ? standInPackages(plan) : { files: new Map(), repositories: new Map(), rpms: new Map() },
    sources: standInSources(plan.images, sourceKinds(scope), plan.epoch),
    charts,
    ...(has('advisories') && plan.gate !== undefined ? { advisories: standInAdvisories(plan) } : {}),
    chartIndexes: indexes(charts, plan.epoch),
  }
}

function sourceKinds(scope: Scope): ReadonlySet<Source['kind']> {
  if (scope.everything) return new Set(['git', 'go-module', 'archive'])
  return new Set(scope.kinds.has('git') ? ['git'] : [])
}

function basePlatforms(plan: ReleasePlan): Map<string, PlatformName[]> {
  const found = new Map<string, PlatformName[]>()
  for (const platform of plan.platforms) {
    const reference = plan.bases[platform]?.reference
    if (reference !== undefined) found.set(reference, [...(found.get(reference) ?? []), platform])
  }
  return found
}

/** Charts of one host are one repository, whose index lies at its root. */
function indexes(charts: readonly StandInChart[], epoch: number): Map<string, Buffer> {
  const hosts = new Map<string, StandInChart[]>()
  for (const chart of charts) {
    const { origin } = new URL(chart.plan.url)
    hosts.set(origin, [...(hosts.get(origin) ?? []), chart])
  }
  return new Map([...hosts].map(([origin, held]) => [`${origin}/index.yaml`, chartIndex(held, epoch)]))
}
