/** Which published releases the advisories of openEuler hit by now: what of critical or high severity is inside and not answered. */
import type { HeldSnapshot } from '../advisory/snapshot.ts'
import type { ReleasePredicate } from '../attest/release.ts'
import { RfoError } from '../error.ts'
import { type FoundNow, foundNow } from './verify/newest.ts'
import type { ReleasePlace } from './verify/place.ts'

export interface HitRelease {
  readonly version: string
  /** of the snapshot that the release was judged by */
  readonly judgedBy: string
  /** most images first, then by name */
  readonly advisories: readonly HitAdvisory[]
}

export interface HitAdvisory {
  readonly advisory: string
  readonly severity: 'critical' | 'high'
  readonly published: string
  readonly aliases: readonly string[]
  /** `openssl-libs 1:3.0.12-5 → 3.0.12-10`, sorted */
  readonly packages: readonly string[]
  /** `hardened-coredns linux/amd64`, sorted */
  readonly images: readonly string[]
  /** false = it was reported when the release was judged, and let pass */
  readonly unseen: boolean
}

/** Of a release that verified. Throws RFO_RELEASE_TRACK (undecided) for one that nobody judged: it holds no inventories of that kind. */
export async function hitsOf(place: ReleasePlace, predicate: ReleasePredicate, snapshot: HeldSnapshot): Promise<HitRelease> {
  const { version, gate } = predicate
  if (gate === undefined)
    throw new RfoError('RFO_RELEASE_TRACK', `${version} was made without a gate, and says nothing of vulnerabilities`, {
      exit: 'undecided',
      where: place.where,
      next: `rfo-build scan ${version}`,
    })
  const found = (await foundNow(place, predicate, snapshot)).filter(
    ({ kind, severity, judged }) => kind === 'openeuler' && (severity === 'critical' || severity === 'high') && judged !== 'suppressed',
  )
  const advisories = [...Map.groupBy(found, ({ advisory }) => advisory).values()].map(hitOf)
  return {
    version,
    judgedBy: gate.advisories.taken,
    advisories: advisories.sort((a, b) => b.images.length - a.images.length || (a.advisory < b.advisory ? -1 : 1)),
  }
}

function hitOf(found: readonly FoundNow[]): HitAdvisory {
  const [first] = found
  if (first === undefined) throw new Error('a group without members')
  const { advisory, severity, published, aliases } = first
  return {
    advisory,
    severity: severity === 'critical' ? 'critical' : 'high',
    published,
    aliases,
    packages: each(found.map(({ component, installed, fixed }) => `${component} ${installed}${fixed === undefined ? '' : ` → ${fixed}`}`)),
    images: each(found.map(({ image, platform }) => `${image} ${platform}`)),
    unseen: found.some(({ judged }) => judged === undefined),
  }
}

function each(texts: readonly string[]): string[] {
  return [...new Set(texts)].sort()
}
