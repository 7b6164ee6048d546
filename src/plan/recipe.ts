/**
 * All that the project's files say of a rebuilt image's bytes besides its pin, as one digest: when it moves, the image's tag
 * must move. The fingerprint beside it is narrower: it says whether a pin must be asked for anew.
 */
import { type Digest, digestOf } from '../oci/digest.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { type PlatformName, platformOf } from '../oci/platform.ts'
import { type Component, collectedComponents, type ReleaseFile } from './component.ts'
import type { LibraryPlan } from './library.ts'
import type { LockedBase, LockedPackages, LockedRelease } from './lock.ts'
import { pinnedRpms } from './os-packages.ts'
import type { ImagePlan } from './release-plan.ts'

export interface RecipeOf {
  readonly image: Omit<ImagePlan, 'recipe'>
  readonly component: Component
  readonly release: ReleaseFile
  readonly locked: LockedRelease | undefined
}

/** By component. */
export function recipes(images: readonly RecipeOf[], libraries: readonly LibraryPlan[]): ReadonlyMap<string, Digest> {
  const rebuilt = images.filter(({ image }) => image.action === 'rebuild')
  return new Map(
    rebuilt.map((one) => {
      // programs are taken out of others before they stand on a base
      const from = rebuilt.filter(({ image }) => collectedComponents(one.image.build).has(image.component))
      const collected = from.map(({ image }) => ({
        name: image.component,
        pin: image.locked?.pin,
        ...programsOf(image),
        libraries: linkedBy(image, libraries),
      }))
      return [one.image.component, recipeOf(one, linkedBy(one.image, libraries), collected)]
    }),
  )
}

/** What of a C library decides the bytes of what links it. */
function linkedBy({ build }: Pick<ImagePlan, 'build'>, libraries: readonly LibraryPlan[]): readonly object[] {
  const names = build?.kind === 'go' ? (build.libraries ?? []) : []
  return libraries
    .filter(({ name }) => names.includes(name))
    .map(({ name, build: made, locked }) => ({ name, build: made, pin: locked?.pin }))
}

function recipeOf({ image, component, release, locked }: RecipeOf, libraries: readonly object[], collected: readonly object[]): Digest {
  // whatever platforms are asked for, the tag is that of all of them
  const made = (Object.keys(release.bases) as PlatformName[]).filter(
    (platform) => component.unsupported[platformOf(platform).architecture] === undefined,
  )
  const base = (platform: PlatformName): object => ({
    platform,
    manifest: image.base === 'scratch' ? undefined : baseOf(locked?.bases[platform]),
    rpms: image.base === 'scratch' ? undefined : rpmsOf(image.component, locked?.packages?.[platform]),
  })
  const said = { ...bytesOf(image), vendor: release.vendor, url: release.url, platforms: made.sort().map(base), libraries, collected }
  return digestOf(canonicalJson(withoutEmpty(JSON.parse(JSON.stringify(said)) as Json)))
}

type BytesOf = Omit<ImagePlan, 'recipe' | 'component' | 'groups' | 'upstream' | 'reference' | 'locked' | 'platforms' | 'deviates' | 'smoke'>

/** All that is not named here takes part: what a plan will say one day is a reason to move, until somebody says it is not. */
function bytesOf(image: Omit<ImagePlan, 'recipe'>): BytesOf {
  const { component: _, groups, upstream, reference, locked, platforms, deviates, smoke, ...bytes } = image
  return bytes
}

/** Whoever takes programs out of an image gets nothing of what surrounds them there. */
function programsOf(image: Omit<ImagePlan, 'recipe'>): object {
  const { config, packages, base, charts, layers, ...programs } = bytesOf(image)
  return programs
}

/** Where an RPM is fetched is in no byte of it. */
function rpmsOf(component: string, packages: LockedPackages | undefined): readonly string[] | undefined {
  return pinnedRpms(packages, component)?.map(({ digest }) => digest)
}

function baseOf(locked: LockedBase | undefined): string | undefined {
  return locked?.kind === 'image' ? locked.manifest.digest : undefined
}

/** Lists and maps that hold nothing say nothing: a setting that pipelines may have from now on moves no tag of those that lack it. */
function withoutEmpty(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutEmpty)
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value).map(([key, member]) => [key, withoutEmpty(member as Json)] as const)
  return Object.fromEntries(members.filter(([, member]) => typeof member !== 'object' || member === null || Object.keys(member).length > 0))
}
