/** The one decision: what must be made for a release. Pure, and the same for the same words on every machine. */
import { RfoError } from '../error.ts'
import { architectures, type PlatformName, platformOf } from '../oci/platform.ts'
import type { Bundle } from './bundle.ts'
import { type Component, carriedRelease, type ReleaseFile, type UpstreamRelease } from './component.ts'
import { fillComponent } from './fill.ts'
import { gateOf } from './gate.ts'
import type { Library, LibraryPlan } from './library.ts'
import { withoutLibrary } from './link-problems.ts'
import type { Lock, LockedRelease } from './lock.ts'
import { withoutPipeline } from './pipelines.ts'
import { withProgram } from './program.ts'
import { type RecipeOf, recipes } from './recipe.ts'
import { parseImageName } from './reference.ts'
import type { ImagePlan, PlatformPlan, ReleasePlan, Repository } from './release-plan.ts'
import { fill, placeholders } from './template.ts'
import { unresolvedIn } from './unresolved.ts'
import { parseUpstreamVersion, parseVersion, spell } from './version.ts'

export interface PlanInput {
  /** `v1.24.8+rfor1` */
  readonly version: string
  readonly release: ReleaseFile
  readonly components: readonly Component[]
  /** pipelines/rfo.yaml, as it is for this version; absent in a project of images that nothing installs */
  readonly bundle?: Bundle
  readonly upstream: UpstreamRelease
  readonly libraries: readonly Library[]
  readonly lock: Lock
}

/**
 * Throws RFO_PLAN_VERSION, RFO_PLAN_PIPELINE (an image without a pipeline), RFO_PLAN_DATE, RFO_PLAN_BUNDLE. What the lock
 * lacks is no error here: it stands in `unresolved`. Images come in the order of their component names.
 */
export function planRelease(input: PlanInput): ReleasePlan {
  const version = parseVersion(input.version)
  const upstream = parseUpstreamVersion(input.upstream.version)
  const locked = input.lock.releases[spell(version)]
  const epoch = locked?.epoch ?? epochOf(input.upstream)
  const listed = listedImages(input.upstream).map(({ reference, groups }): RecipeOf => {
    const name = parseImageName(reference)
    const component = input.components.find((each) => each.upstream === name.repository)
    if (component === undefined) throw withoutPipeline(name.repository, reference, `pipelines/upstream/${input.upstream.version}.yaml`)
    const values = placeholders(name.tag, version, upstream, { epoch, date: locked?.components[component.name]?.date })
    const image = imagePlan(component, { reference, groups, release: input.release, values, locked })
    return { image, component, release: input.release, locked }
  })
  const own = input.components.flatMap((component): RecipeOf[] => {
    if (component.own === undefined) return []
    const tag = fill(component.own.tag, placeholders('', version, upstream, { epoch }), `pipelines/${component.name}.yaml`)
    const values = placeholders(tag, version, upstream, { epoch, date: locked?.components[component.name]?.date })
    const groups = [...new Set(component.own.groups)].sort()
    return [{ image: imagePlan(component, { groups, release: input.release, values, locked }), component, release: input.release, locked }]
  })
  const planned = [...listed, ...own]
  const libraries = librariesOf(
    planned.map(({ image }) => image),
    input.libraries,
    locked,
  )
  const decided = recipes(planned, libraries.libraries ?? [])
  const images = planned.map(({ image }): ImagePlan => {
    const recipe = decided.get(image.component)
    return recipe === undefined ? image : { ...image, recipe }
  })
  const twice = images.find((image, at) => images.findIndex((other) => other.component === image.component) !== at)
  if (twice !== undefined) {
    // pins are kept by component: two versions of one image need a lock and results by reference
    throw new RfoError('RFO_PLAN_PIPELINE', `the image list holds two versions of ${twice.component}`, {
      exit: 'usage',
      where: `pipelines/upstream/${input.upstream.version}.yaml`,
      next: 'keep one of them',
    })
  }
  refuseOneName(images)
  images.sort((a, b) => (a.component < b.component ? -1 : 1))
  const withOwn = withProgram(input.bundle, { release: input.release, images, version, upstream })
  refuseWithoutProgram(withOwn)
  const plan: Omit<ReleasePlan, 'unresolved'> = {
    schema: 'rfo-build.plan/1',
    version: spell(version),
    upstream: { version: spell(upstream), commit: input.upstream.commit },
    epoch,
    vendor: input.release.vendor,
    url: input.release.url,
    platforms: input.release.platforms,
    ...demandsOf(input.release),
    ...(input.release.archives.length === 1 ? {} : { archives: input.release.archives }),
    ...(input.release.gate === undefined ? {} : { gate: gateOf(input.release.gate, spell(version)) }),
    ...(input.release.gate === undefined || locked?.advisories === undefined ? {} : { advisories: locked.advisories }),
    bases: basesOf(input.release, locked),
    ...(locked?.packages === undefined ? {} : { packages: locked.packages }),
    images: withOwn,
    charts: input.upstream.charts.map(({ name, version: chartVersion, url, bootstrap }) => {
      const pin = locked?.charts[name]
      const said = bootstrap === undefined ? {} : { bootstrap }
      return { name, version: chartVersion, url, ...said, ...(pin === undefined ? {} : { locked: pin }) }
    }),
    ...librariesOf(images, input.libraries, locked),
  }
  return { ...plan, unresolved: unresolvedIn(plan, input.upstream, input.lock) }
}

function demandsOf({ demands: { conformance, ...more } }: ReleaseFile): Pick<ReleasePlan, 'demands'> {
  const said = Object.fromEntries(Object.entries(more).filter(([, list]) => list.length > 0))
  return conformance.length === 0 && Object.keys(said).length === 0 ? {} : { demands: { conformance, ...said } }
}

/** Two images under one name: the second would take the first one's place in every registry. */
function refuseOneName(images: readonly ImagePlan[]): void {
  for (const [at, { component, reference }] of images.entries()) {
    const other = images.slice(0, at).find((each) => each.reference === reference)
    if (other === undefined) continue
    throw new RfoError('RFO_PLAN_PIPELINE', `${other.component} and ${component} are both called ${reference}`, {
      exit: 'usage',
      where: `pipelines/${component}.yaml`,
      next: 'give one of them an `image` or a `tag` of its own',
    })
  }
}

/** What carries the release's own program is made where that is; a release of a few images may have none at all. */
function refuseWithoutProgram(images: readonly ImagePlan[]): void {
  const owner = images.find((image) => image.program !== undefined)
  if (owner === undefined) return
  for (const { component, build, platforms } of images) {
    if (carriedRelease(build) === undefined) continue
    const lacking = Object.entries(platforms).find(
      ([platform, { status }]) => status === 'made' && owner.platforms[platform as PlatformName]?.status !== 'made',
    )
    if (lacking !== undefined) {
      throw new RfoError(
        'RFO_PLAN_PIPELINE',
        `${owner.component}, of which ${component} carries the program, is not made for ${lacking[0]}`,
        {
          exit: 'usage',
          where: `pipelines/${component}.yaml`,
          next: 'say why under unsupported',
        },
      )
    }
  }
}

/** Seconds since 1970 of RKE2's commit: the release's time stamp until a lock says otherwise. */
export function epochOf(upstream: UpstreamRelease): number {
  const milliseconds = Date.parse(upstream.date)
  if (!/^\d{4}-\d{2}-\d{2}T.*(Z|[+-]\d{2}:\d{2})$/.test(upstream.date) || Number.isNaN(milliseconds)) {
    throw new RfoError('RFO_PLAN_DATE', `not an ISO 8601 date with an offset: ${JSON.stringify(upstream.date)}`, {
      exit: 'usage',
      where: `pipelines/upstream/${upstream.version}.yaml`,
      next: 'write it like 2022-11-14T14:25:00+01:00',
    })
  }
  return Math.floor(milliseconds / 1000)
}

/** Each image once, with all groups that list it: none for those that RKE2 only puts into others. */
export function listedImages(upstream: UpstreamRelease): readonly { readonly reference: string; readonly groups: readonly string[] }[] {
  const found = new Map<string, Set<string>>()
  for (const [group, references] of Object.entries(upstream.groups)) {
    for (const reference of references) found.set(reference, (found.get(reference) ?? new Set()).add(group))
  }
  // in no list, and in no archive: their programs are in other images
  for (const reference of upstream.unlisted) found.set(reference, found.get(reference) ?? new Set())
  return [...found].map(([reference, groups]) => ({ reference, groups: [...groups].sort() }))
}

function imagePlan(
  component: Component,
  at: {
    /** upstream's; absent for an image of RFO's own */
    readonly reference?: string
    readonly groups: readonly string[]
    readonly release: ReleaseFile
    readonly values: ReturnType<typeof placeholders>
    readonly locked: LockedRelease | undefined
  },
): Omit<ImagePlan, 'recipe'> {
  const locked = at.locked?.components[component.name]
  const filled = fillComponent(component, at.reference, at.release, at.values, locked?.pin)
  return {
    component: component.name,
    action: component.action,
    groups: at.groups,
    ...(at.reference === undefined ? {} : { upstream: at.reference }),
    reference: filled.reference,
    version: at.values.version,
    platforms: Object.fromEntries(at.release.platforms.map((platform) => [platform, platformPlan(component, platform)])),
    ...(filled.source === undefined ? {} : { source: filled.source }),
    ...(component.upstreamKey === undefined ? {} : { upstreamKey: component.upstreamKey }),
    ...(component.changes === undefined ? {} : { changes: component.changes }),
    ...(filled.build === undefined ? {} : { build: filled.build }),
    config: filled.config,
    packages: component.packages,
    ...(component.files.length === 0 ? {} : { files: component.files }),
    ...(component.base === 'scratch' ? { base: 'scratch' as const } : {}),
    ...(component.charts ? { charts: true as const } : {}),
    layers: component.layers,
    ...(filled.deviates === undefined ? {} : { deviates: filled.deviates }),
    ...(filled.smoke === undefined ? {} : { smoke: filled.smoke }),
    ...(locked === undefined ? {} : { locked }),
  }
}

/** Those that an image of the plan links, whatever its programs come from in the end. */
function librariesOf(
  images: readonly ImagePlan[],
  known: readonly Library[],
  locked: LockedRelease | undefined,
): Pick<ReleasePlan, 'libraries'> {
  const names = new Set(images.flatMap(({ build }) => (build?.kind === 'go' ? (build.libraries ?? []) : [])))
  const libraries = [...names].sort().map((name): LibraryPlan => {
    const library = known.find((each) => each.name === name)
    if (library === undefined) throw withoutLibrary(name, 'pipelines')
    const pin = locked?.libraries?.[name]
    return { ...library, ...(pin === undefined ? {} : { locked: pin }) }
  })
  return libraries.length === 0 ? {} : { libraries }
}

function platformPlan(component: Component, platform: PlatformName): PlatformPlan {
  const reason = component.unsupported[platformOf(platform).architecture]
  return reason === undefined ? { status: 'made' } : { status: 'unsupported', reason }
}

function basesOf(release: ReleaseFile, locked: LockedRelease | undefined): ReleasePlan['bases'] {
  return Object.fromEntries(
    release.platforms.map((platform) => {
      const base = release.bases[platform]
      if (base === undefined)
        throw new RfoError('RFO_PLAN_PIPELINE', `no base for ${platform}`, {
          exit: 'usage',
          where: 'pipelines/release.yaml',
          next: `add bases.${platform}`,
        })
      const pin = locked?.bases[platform]
      return [
        platform,
        {
          name: base.name,
          reference: base.reference,
          ...(base.reason === undefined ? {} : { reason: base.reason }),
          ...(base.repositories.length === 0 ? {} : { repositories: repositoriesOf(base.repositories, platform) }),
          ...(pin === undefined ? {} : { locked: pin }),
        },
      ]
    }),
  )
}

function repositoriesOf(all: readonly Repository[], platform: PlatformName): Repository[] {
  const arch = architectures[platformOf(platform).architecture].rpm
  return all.map(({ name, url }) => ({ name, url: url.replaceAll('{arch}', arch) }))
}
