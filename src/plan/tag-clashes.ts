/** One tag, one image, in all releases of images.lock: who pulled one by its tag must not get another. */
import { canonicalJson, type Json } from '../oci/json.ts'
import type { Lock, LockedComponent } from './lock.ts'

export interface TagClash {
  readonly component: string
  /** `docker.io/rfolabs/hardened-coredns:v1.9.3-build20261123` */
  readonly reference: string
  /** releases that have it for different things, in the lock's order */
  readonly releases: readonly [string, string]
}

/** Each reference once for two releases; in the order of releases and components. */
export function tagClashes(lock: Lock): TagClash[] {
  const first = new Map<string, { readonly release: string; readonly entry: LockedComponent }>()
  const clashes: TagClash[] = []
  for (const [release, { components }] of Object.entries(lock.releases)) {
    for (const [component, entry] of Object.entries(components)) {
      if (entry.image === undefined) continue
      const known = first.get(entry.image)
      if (known === undefined) first.set(entry.image, { release, entry })
      else if (known.release !== release && !alike(known.entry, entry))
        clashes.push({ component, reference: entry.image, releases: [known.release, release] })
    }
  }
  return clashes
}

/** The release that has this reference for something else. */
export function takenBy(lock: Lock, version: string, entry: LockedComponent): string | undefined {
  return Object.entries(lock.releases).find(
    ([release, { components }]) =>
      release !== version && Object.values(components).some((other) => other.image === entry.image && !alike(other, entry)),
  )?.[0]
}

/** The same bytes come of both, as far as the project's files decide it. */
function alike(one: LockedComponent, other: LockedComponent): boolean {
  const said = ({ pin, recipe, date }: LockedComponent): string =>
    // a mirrored image has no recipe, and its date is in none of its bytes
    canonicalJson(recipe === undefined ? { pin: pin as unknown as Json } : { pin: pin as unknown as Json, recipe, date: date ?? null })
  return said(one) === said(other)
}
