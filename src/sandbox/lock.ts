/** The sandbox's lock: the real one's entries, and in place of what is replaced the pins of what the sandbox holds. */
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import { dayOf } from '../plan/day.ts'
import { pinFingerprint } from '../plan/fingerprint.ts'
import type { ImagePin, Lock, LockedBase, LockedChart, LockedComponent, LockedRelease, PinnedManifest } from '../plan/lock.ts'
import type { ImagePlan, ReleasePlan } from '../plan/release-plan.ts'
import type { StandInImage } from './images.ts'
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
  return { upstream: { ...plan.upstream, list: recorded }, epoch: plan.epoch, bases, components, charts }
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
