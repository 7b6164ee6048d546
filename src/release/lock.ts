/**
 * Everything that moves → images.lock. A pin whose fingerprint still fits stays; only what is new, stale, unresolved or
 * named by --update is asked for. What the outside does not give stands there as `unresolved` with the reason. An image whose
 * pin or recipe moved gets the day on which that happened: the end of its tag.
 */
import pLimit from 'p-limit'
import { RfoError, toRfoError } from '../error.ts'
import { isDigest } from '../oci/digest.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import type { PlatformName } from '../oci/platform.ts'
import type { GoBuild, Source, UpstreamRelease } from '../plan/component.ts'
import { dateComponents } from '../plan/dated.ts'
import { compiledByGo, libraryFingerprint, listDigest, pinFingerprint, takesPin } from '../plan/fingerprint.ts'
import { type LibraryPlan, librariesOf } from '../plan/library.ts'
import type {
  Lock,
  LockedAdvisories,
  LockedBase,
  LockedChart,
  LockedComponent,
  LockedLibrary,
  LockedPackages,
  LockedRelease,
  Pin,
} from '../plan/lock.ts'
import { type NamedRpm, type PackageWish, packageWishes, pinnedRpms } from '../plan/os-packages.ts'
import { pinText } from '../plan/pin-text.ts'
import { epochOf, type PlanInput, planRelease } from '../plan/plan-release.ts'
import { type BasePlan, type ImagePlan, type ReleasePlan, upstreamOf } from '../plan/release-plan.ts'
import type { SourceChanges } from '../plan/source-changes.ts'

type Unresolved = Extract<Pin, { kind: 'unresolved' }>

/** Each asks one part of the world. An error whose exit is `outside` becomes `unresolved`; any other ends the command. */
export interface Resolvers {
  source(request: {
    readonly component: string
    /** placeholders filled */
    readonly source: Source
    /** upstream version of the component */
    readonly version: string
    /** what Go makes of it, if it makes something */
    readonly compiled?: GoBuild
    /** files beside the pipelines that change it */
    readonly changes?: SourceChanges
  }): Promise<Pin>
  /** `upstreamKey` (PEM): whoever must have signed it */
  image(reference: string, upstreamKey?: string): Promise<Pin>
  base(base: { readonly reference: string; readonly platform: PlatformName; readonly name: string }): Promise<LockedBase>
  /** What an image's packages and all that they need are, besides what its base has. */
  packages(wish: PackageWish): Promise<ResolvedPackages>
  /** The snapshot that images are judged by; absent where nobody has one. */
  advisories?(): Promise<LockedAdvisories>
  /** Asked only for a chart whose digest RKE2's index does not give. */
  chart(chart: UpstreamRelease['charts'][number]): Promise<LockedChart>
}

/** Closed over what the packages need; `repositories` as they were read. */
export interface ResolvedPackages {
  readonly kind: 'rpms'
  readonly rpms: readonly NamedRpm[]
  readonly repositories: LockedPackages['repositories']
}

export interface LockRequest extends PlanInput {
  /** component, chart and library names, `linux/amd64` for a base; `all` moves every pin */
  readonly update?: 'all' | readonly string[]
  /** components that are rebuilt and get a new day whatever moved; nobody is asked for that */
  readonly rebuild?: readonly string[]
  /** UTC, `20261123` */
  readonly today: string
  readonly resolve: Resolvers
  /** how many questions at once */
  readonly concurrency: number
  /** each answer as it comes, for progress */
  readonly answered?: (what: string, pin: string) => void
}

export interface Moved {
  readonly what: string
  /** a pin in one line, or `nothing` */
  readonly from: string
  readonly to: string
}

export interface LockResult {
  readonly lock: Lock
  readonly moved: readonly Moved[]
}

/** Throws what planRelease throws; RFO_RELEASE_UPDATE (usage) for a name in `update` or `rebuild` that nothing has; what a resolver throws. */
export async function lockRelease(request: LockRequest): Promise<LockResult> {
  const plan = planRelease(request)
  const before = request.lock.releases[plan.version]
  const charts = request.upstream.charts
  const linked = new Set(plan.images.flatMap(librariesOf))
  const libraries = (plan.libraries ?? []).filter(({ name }) => linked.has(name))
  const known = [
    ...plan.images.map((image) => image.component),
    ...charts.map((chart) => chart.name),
    ...plan.platforms,
    ...libraries.map(({ name }) => name),
    ...(plan.gate === undefined ? [] : ['advisories']),
  ]
  if (request.update !== 'all') refuseUnknown(request.update ?? [], known, `${plan.version} has nothing called`, plan.version)
  const rebuilt = plan.images.filter((image) => image.action === 'rebuild').map((image) => image.component)
  refuseUnknown(request.rebuild ?? [], rebuilt, `${plan.version} rebuilds nothing called`, plan.version)
  const again = (name: string): boolean => request.update === 'all' || (request.update?.includes(name) ?? false)
  const limit = pLimit(Math.max(1, request.concurrency))
  // one failure of ours ends it: what has not begun is not asked for
  const ask = async <T extends { readonly kind: string }>(what: string, question: () => Promise<T>): Promise<T | Unresolved> => {
    const answer = await limit(() => orUnresolved(question))
    request.answered?.(what, pinText(answer))
    return answer
  }
  try {
    const [components, bases, lockedCharts, lockedLibraries] = await Promise.all([
      Promise.all(
        plan.images
          .filter(takesPin)
          .map(
            async (image) =>
              [
                image.component,
                await lockImage(image, before?.components[image.component], again(image.component), request.resolve, ask),
              ] as const,
          ),
      ),
      Promise.all(
        plan.platforms.map(async (platform) => {
          const base = plan.bases[platform]
          if (base === undefined) throw new Error('planRelease gives a base for every platform')
          const old = before?.bases[platform]
          const kept =
            old?.kind === 'image' && old.reference === base.reference && !again(platform) ? { ...old, name: base.name } : undefined
          return [
            platform,
            kept ?? (await ask(`base/${platform}`, () => request.resolve.base({ reference: base.reference, platform, name: base.name }))),
          ] as const
        }),
      ),
      Promise.all(
        charts.map(
          async (chart) =>
            [chart.name, await lockChart(chart, before?.charts[chart.name], again(chart.name), request.resolve, ask)] as const,
        ),
      ),
      Promise.all(
        libraries.map(async (library) => [library.name, await lockLibrary(library, again(library.name), request.resolve, ask)] as const),
      ),
    ])
    const lockedBases = Object.fromEntries(bases)
    const advisories = await lockAdvisories(plan, before?.advisories, again('advisories'), request.resolve, ask)
    const packages = await lockPackages(plan, lockedBases, before, again, request.resolve, ask)
    const asked: LockedRelease = {
      upstream: { version: plan.upstream.version, commit: plan.upstream.commit, list: listDigest(request.upstream) },
      // the time stamp belongs to the upstream commit; a relock of the same commit keeps it
      epoch: before !== undefined && before.upstream.commit === plan.upstream.commit ? before.epoch : epochOf(request.upstream),
      bases: lockedBases,
      components: Object.fromEntries(components),
      ...(lockedLibraries.length === 0 ? {} : { libraries: Object.fromEntries(lockedLibraries) }),
      charts: Object.fromEntries(lockedCharts),
      ...(advisories === undefined ? {} : { advisories }),
      ...(Object.keys(packages).length === 0 ? {} : { packages }),
    }
    const dating = { today: request.today, rebuild: new Set(request.rebuild) }
    const release = dateComponents({ ...request, version: plan.version }, asked, dating)
    return {
      lock: { ...request.lock, releases: { ...request.lock.releases, [plan.version]: release } },
      moved: movedBetween(before, release),
    }
  } finally {
    limit.clearQueue()
  }
}

type Ask = <T extends { readonly kind: string }>(what: string, question: () => Promise<T>) => Promise<T | Unresolved>

async function lockImage(
  image: ImagePlan,
  old: LockedComponent | undefined,
  again: boolean,
  resolve: Resolvers,
  ask: Ask,
): Promise<LockedComponent> {
  const fingerprint = pinFingerprint(image)
  if (old !== undefined && old.fingerprint === fingerprint && old.pin.kind !== 'unresolved' && !again) return old
  const { source } = image
  const compiled = compiledByGo(image)
  const pin = await ask<Pin>(image.component, () =>
    source === undefined
      ? resolve.image(upstreamOf(image), image.upstreamKey)
      : resolve.source({
          component: image.component,
          source,
          version: image.version,
          ...(compiled === undefined ? {} : { compiled }),
          ...(image.changes === undefined ? {} : { changes: image.changes }),
        }),
  )
  const same = old !== undefined && canonicalJson(old.pin as unknown as Json) === canonicalJson(pin as unknown as Json)
  // what is found where it was keeps its day
  return same ? { ...old, fingerprint } : { fingerprint, pin }
}

/** After the bases: what a package needs depends on what its base has. */
async function lockPackages(
  plan: ReleasePlan,
  bases: LockedRelease['bases'],
  before: LockedRelease | undefined,
  again: (name: string) => boolean,
  resolve: Resolvers,
  ask: Ask,
): Promise<NonNullable<LockedRelease['packages']>> {
  const on = (platform: PlatformName): BasePlan | undefined => {
    const base = plan.bases[platform]
    const locked = bases[platform]
    return base === undefined || locked === undefined ? base : { ...base, locked }
  }
  const wishes = packageWishes({ ...plan, bases: Object.fromEntries(plan.platforms.map((platform) => [platform, on(platform)])) })
  const answers = await Promise.all(
    wishes.map(async (wish) => {
      const old = before?.packages?.[wish.platform]
      const known = old?.components[wish.component]
      const rpms = pinnedRpms(old, wish.component)
      const fits = known?.kind === 'rpms' && known.fingerprint === wish.fingerprint && !again(wish.component) && !again(wish.platform)
      if (fits && rpms !== undefined) return { wish, answer: { kind: 'rpms' as const, rpms, repositories: {} } }
      return { wish, answer: await ask<ResolvedPackages>(wish.what, () => resolve.packages(wish)) }
    }),
  )
  const locked: Partial<Record<PlatformName, LockedPackages>> = {}
  for (const { wish, answer } of answers) {
    const { platform, component, fingerprint } = wish
    locked[platform] ??= { repositories: { ...before?.packages?.[platform]?.repositories }, rpms: {}, components: {} }
    const at = locked[platform]
    if (answer.kind === 'unresolved') {
      at.components[component] = answer
      continue
    }
    Object.assign(at.repositories, answer.repositories)
    for (const { nevra, ...pin } of answer.rpms) at.rpms[nevra] = pin
    at.components[component] = { kind: 'rpms', fingerprint, rpms: answer.rpms.map(({ nevra }) => nevra).sort() }
  }
  return locked
}

const noSnapshot = { kind: 'unresolved', reason: 'nobody gives a snapshot of advisories' } as const

/** A pin stays until it is asked for again: a newer snapshot is another verdict. */
async function lockAdvisories(
  { gate }: ReleasePlan,
  old: LockedAdvisories | undefined,
  again: boolean,
  resolve: Resolvers,
  ask: Ask,
): Promise<LockedAdvisories | undefined> {
  if (gate === undefined) return undefined
  return old?.kind === 'advisories' && !again
    ? old
    : await ask<LockedAdvisories>('advisories', async () => (await resolve.advisories?.()) ?? noSnapshot)
}

async function lockLibrary(library: LibraryPlan, again: boolean, resolve: Resolvers, ask: Ask): Promise<LockedLibrary> {
  const { name, version, source, locked } = library
  const fingerprint = libraryFingerprint(library)
  if (locked !== undefined && locked.fingerprint === fingerprint && locked.pin.kind !== 'unresolved' && !again) return locked
  const pin = await ask<Pin>(`library/${name}`, () => resolve.source({ component: name, source, version }))
  if (pin.kind !== 'archive' && pin.kind !== 'unresolved') throw new Error('an archive is pinned as an archive')
  return { fingerprint, pin }
}

async function lockChart(
  chart: UpstreamRelease['charts'][number],
  old: LockedChart | undefined,
  again: boolean,
  resolve: Resolvers,
  ask: Ask,
): Promise<LockedChart> {
  const { name, version, url, digest } = chart
  // what was recorded from RKE2's chart index is a pin already
  if (digest !== null && isDigest(digest)) return { kind: 'chart', version, url, digest }
  if (old?.kind === 'chart' && old.version === version && old.url === url && !again) return old
  return ask<LockedChart>(`chart/${name}`, () => resolve.chart(chart))
}

async function orUnresolved<T>(question: () => Promise<T>): Promise<T | Unresolved> {
  try {
    return await question()
  } catch (thrown) {
    const error = toRfoError(thrown)
    if (error.exit !== 'outside') throw thrown
    return { kind: 'unresolved', reason: `${error.code}: ${error.message}` }
  }
}

function refuseUnknown(asked: readonly string[], names: readonly string[], what: string, version: string): void {
  const unknown = asked.find((name) => !names.includes(name))
  if (unknown !== undefined) {
    throw new RfoError('RFO_RELEASE_UPDATE', `${what} ${JSON.stringify(unknown.slice(0, 100))}`, {
      exit: 'usage',
      next: `rfo-build plan ${version}`,
    })
  }
}

/** What differs, sorted by name. */
export function movedBetween(before: LockedRelease | undefined, after: LockedRelease): readonly Moved[] {
  const old = lines(before)
  const now = lines(after)
  return [...new Set([...old.keys(), ...now.keys()])]
    .sort()
    .map((what) => ({ what, from: old.get(what) ?? 'nothing', to: now.get(what) ?? 'nothing' }))
    .filter(({ from, to }) => from !== to)
}

function lines(release: LockedRelease | undefined): ReadonlyMap<string, string> {
  if (release === undefined) return new Map()
  return new Map<string, string>([
    ['upstream', `${release.upstream.version} ${release.upstream.commit} ${release.upstream.list}`],
    ...Object.entries(release.bases).map(([platform, base]): [string, string] => [`base/${platform}`, pinText(base)]),
    ...Object.entries(release.components).map(([name, { pin }]): [string, string] => [name, pinText(pin)]),
    ...Object.entries(release.components).flatMap(([name, { image, recipe }]): [string, string][] =>
      image === undefined || recipe === undefined ? [] : [[`tag/${name}`, image]],
    ),
    ...Object.entries(release.libraries ?? {}).map(([name, library]): [string, string] => [`library/${name}`, pinText(library.pin)]),
    ...Object.entries(release.charts).map(([name, chart]): [string, string] => [`chart/${name}`, pinText(chart)]),
    ...(release.advisories === undefined ? [] : [['advisories', pinText(release.advisories)] as [string, string]]),
    ...Object.entries(release.packages ?? {}).flatMap(([platform, packages]) => packageLines(platform, packages)),
  ])
}

/** A line for each RPM by its name, so that a move says from which version to which, and one for each component. */
function packageLines(platform: string, { rpms, components }: LockedPackages): [string, string][] {
  return [
    ...Object.entries(rpms).map(([nevra, { digest }]): [string, string] => [
      `rpm/${platform}/${nevra.replace(/-[^-]+-[^-]+$/, '')}`,
      `${nevra} ${digest}`,
    ]),
    ...Object.entries(components).map(([component, locked]): [string, string] => [`packages/${component}/${platform}`, pinText(locked)]),
  ]
}
