/** Which OS packages which image asks for besides its base, and what decides the pins of them. */
import { type Digest, digestOf } from '../oci/digest.ts'
import { canonicalJson } from '../oci/json.ts'
import type { PlatformName } from '../oci/platform.ts'
import type { LockedBase, LockedPackages, PinnedRpm } from './lock.ts'
import type { ImagePlan, ReleasePlan, Repository } from './release-plan.ts'

export interface PackageWish {
  /** `packages/<component>/<platform>`: how the plan's gaps, the lock and the tasks name it */
  readonly what: string
  readonly component: string
  readonly platform: PlatformName
  /** openEuler's names, sorted, each once */
  readonly names: readonly string[]
  readonly base: Extract<LockedBase, { kind: 'image' }>
  readonly repositories: readonly Repository[]
  /** A pin is valid as long as this is what the plan gives: what the repositories hold meanwhile moves no pin. */
  readonly fingerprint: Digest
}

/** By platform and then as the plan's images come; none where the base is not pinned. */
export function packageWishes(plan: Pick<ReleasePlan, 'platforms' | 'bases' | 'images'>): readonly PackageWish[] {
  return plan.platforms.flatMap((platform) => {
    const { locked: base, repositories = [] } = plan.bases[platform] ?? {}
    if (base?.kind !== 'image') return []
    return plan.images.flatMap((image): readonly PackageWish[] => {
      if (!asks(image) || image.platforms[platform]?.status !== 'made') return []
      const names = [...new Set(image.packages)].sort()
      const decides = { base: base.manifest.digest, packages: names, repositories: repositories.map(({ name, url }) => [name, url]) }
      const what = `packages/${image.component}/${platform}`
      return [{ what, component: image.component, platform, names, base, repositories, fingerprint: digestOf(canonicalJson(decides)) }]
    })
  })
}

/** A mirrored image is as it is, and on nothing nothing can be installed. */
function asks(image: ImagePlan): boolean {
  return image.action === 'rebuild' && image.base !== 'scratch' && image.packages.length > 0
}

export type NamedRpm = PinnedRpm & {
  /** `name-[epoch:]version-release.arch` */
  readonly nevra: string
}

/** The pinned RPMs of a component, sorted; undefined = nothing is pinned, or not all that is named. */
export function pinnedRpms(packages: LockedPackages | undefined, component: string): readonly NamedRpm[] | undefined {
  const locked = packages?.components[component]
  if (packages === undefined || locked?.kind !== 'rpms') return undefined
  const found = locked.rpms.flatMap((nevra) => {
    const pin = packages.rpms[nevra]
    return pin === undefined ? [] : [{ ...pin, nevra }]
  })
  return found.length === locked.rpms.length ? found : undefined
}
