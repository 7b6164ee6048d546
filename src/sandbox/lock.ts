/** The sandbox's lock: the real one's entries, and in place of what is replaced the pins of what the sandbox holds. */
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import type { PlatformName } from '../oci/platform.ts'
import { dayOf } from '../plan/day.ts'
import { pinFingerprint } from '../plan/fingerprint.ts'
import type {
  ImagePin,
  Lock,
  LockedAdvisories,
  LockedBase,
  LockedChart,
  LockedComponent,
  LockedPackages,
  LockedRelease,
  PinnedManifest,
} from '../plan/lock.ts'
import { packageWishes } from '../plan/os-packages.ts'
import type { ImagePlan, ReleasePlan } from '../plan/release-plan.ts'
import type { StandInImage } from './images.ts'
import { commonPackage } from './packages.ts'
import type { World } from './world.ts'

/** `list` is the digest of the recorded image list; without it, the real lock must know the release. */
export function sandboxLock(plan: ReleasePlan, world: World, real: Lock, list?: Digest): LockedRelease {
  const known = real.releases[plan.version]
  const recorded = list ?? known?.upstream.list
  if (recorded === undefined) {
    throw new RfoError('RFO_SANDBOX_LOCK', `images.lock holds nothing of ${plan.version}`, {
      exit: 'lock',
      next: `rfo-build lock ${plan.version}`,
    })
  }
  const bases: Record<string, LockedBase> = { ...known?.bases }
  for (const platform of plan.platforms) {
    const base = plan.bases[platform]
    const manifest = base === undefined ? undefined : world.bases.get(base.reference)?.platforms.get(platform)
    if (base === undefined || manifest === undefined) continue
    bases[platform] = { kind: 'image', name: base.name, reference: base.reference, manifest: pinned(manifest), standIn: base.reference }
  }
  const components: Record<string, LockedComponent> = {}
  const date = dayOf(plan.epoch * 1000)
  for (const image of plan.images) {
    const replaced = componentPin(image, world)
    const own = known?.components[image.component]
    if (replaced !== undefined) components[image.component] = { fingerprint: pinFingerprint(image), date, ...replaced }
    else if (own !== undefined) components[image.component] = kept(own)
  }
  const charts: Record<string, LockedChart> = { ...known?.charts }
  for (const { plan: chart, bytes } of world.charts) {
    charts[chart.name] = { kind: 'chart', version: chart.version, url: chart.url, digest: digestOf(bytes), standIn: chart.url }
  }
  const advisories = lockedAdvisories(world) ?? known?.advisories
  const packages = lockedPackages(plan, bases, world, known?.packages)
  return {
    upstream: { ...plan.upstream, list: recorded },
    epoch: plan.epoch,
    bases,
    components,
    // nothing stands in for a C library: what would link it is prebuilt, or it is the real one
    ...(known?.libraries === undefined ? {} : { libraries: known.libraries }),
    charts,
    ...(advisories === undefined ? {} : { advisories }),
    ...(packages === undefined ? {} : { packages }),
  }
}

function lockedAdvisories({ advisories }: World): LockedAdvisories | undefined {
  if (advisories === undefined) return undefined
  const { bytes, taken, url, standIn } = advisories
  return { kind: 'advisories', digest: digestOf(bytes), size: bytes.length, taken, url, standIn }
}

/** Where the base is a stand-in, its repositories are. */
function lockedPackages(
  plan: ReleasePlan,
  bases: LockedRelease['bases'],
  { packages }: World,
  real: LockedRelease['packages'],
): LockedRelease['packages'] {
  if (packages.rpms.size === 0) return real
  const pinnedBases = Object.entries(plan.bases).map(([platform, base]) => {
    const locked = bases[platform as PlatformName]
    return [platform, locked === undefined ? base : { ...base, locked }] as const
  })
  const made: Partial<Record<PlatformName, LockedPackages>> = {}
  for (const { platform, component, names, fingerprint } of packageWishes({ ...plan, bases: Object.fromEntries(pinnedBases) })) {
    const known = packages.rpms.get(platform)
    if (known === undefined) continue
    made[platform] ??= { repositories: Object.fromEntries(packages.repositories.get(platform) ?? []), rpms: {}, components: {} }
    const own = names.flatMap((name) => known.get(name) ?? [])
    const common = known.get(commonPackage)
    const all = common === undefined || own.length === 0 ? own : [common, ...own]
    for (const { nevra, ...pin } of all) made[platform].rpms[nevra] = pin
    made[platform].components[component] = { kind: 'rpms', fingerprint, rpms: all.map(({ nevra }) => nevra).sort() }
  }
  return made
}

/** With another base its bytes are others: what it is called and made of in the real world holds for nothing here. */
function kept({ image: _, recipe: __, ...own }: LockedComponent): LockedComponent {
  return own
}

function componentPin(image: ImagePlan, world: World): Omit<LockedComponent, 'fingerprint'> | undefined {
  const mirror = world.mirrors.get(image.component)
  if (mirror !== undefined) return { pin: imagePin(mirror), standIn: mirror.reference }
  return world.sources.pins.get(image.component)
}

function imagePin(image: StandInImage): ImagePin {
  const platforms = Object.fromEntries([...image.platforms].map(([platform, manifest]) => [platform, pinned(manifest)]))
  return { kind: 'image', reference: image.reference, index: pinned(image.index), platforms }
}

function pinned({ mediaType, digest, size }: Descriptor): PinnedManifest {
  return { mediaType, digest, size }
}
