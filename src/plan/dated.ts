/**
 * Which entries of a lock get a new day, and with it a new tag: those whose pin or recipe moved, and those that somebody asks
 * for. The others keep theirs, so that an image that stays the same keeps its name.
 */
import { dayAfter, laterDay } from './day.ts'
import type { Lock, LockedComponent, LockedRelease } from './lock.ts'
import { type PlanInput, planRelease } from './plan-release.ts'
import type { ImagePlan } from './release-plan.ts'
import { takenBy } from './tag-clashes.ts'

export interface Dating {
  /** UTC, `20261123` */
  readonly today: string
  /** components that get a new day though nothing of them moved */
  readonly rebuild: ReadonlySet<string>
}

/**
 * `release` as it will be locked: entries whose pin moved come without date and recipe, the others with those that they had. A
 * day on which another release has that tag for something else is passed over; so is the present one of what is rebuilt.
 */
export function dateComponents(input: PlanInput, release: LockedRelease, dating: Dating): LockedRelease {
  const moved = new Map<string, string>()
  // an image may name others, so that a tag that moves can move a second one; none moves back, so this ends
  for (;;) {
    const components = withDays(release.components, moved)
    const lock: Lock = { ...input.lock, releases: { ...input.lock.releases, [input.version]: { ...release, components } } }
    const { images } = planRelease({ ...input, lock })
    const days = images.flatMap((image) => {
      const day = dayFor(image, release.components[image.component], moved.get(image.component), dating, lock, input.version)
      return day === undefined || day === moved.get(image.component) ? [] : [[image.component, day] as const]
    })
    if (days.length === 0) return { ...release, components: withNames(components, images) }
    for (const [component, day] of days) moved.set(component, day)
  }
}

/** undefined = it keeps its own. `given` is what an earlier round gave. */
function dayFor(
  image: ImagePlan,
  entry: LockedComponent | undefined,
  given: string | undefined,
  { today, rebuild }: Dating,
  lock: Lock,
  version: string,
): string | undefined {
  if (entry === undefined || entry.pin.kind === 'unresolved') return undefined
  if (given !== undefined) {
    const named = nameOf(image, { ...entry, date: given })
    return image.reference.endsWith(given) && takenBy(lock, version, named) !== undefined ? dayAfter(given) : given
  }
  if (entry.date === undefined) return today
  if (rebuild.has(image.component)) return laterDay(today, dayAfter(entry.date))
  return entry.recipe === image.recipe ? undefined : laterDay(today, entry.date)
}

function withDays(entries: LockedRelease['components'], days: ReadonlyMap<string, string>): Record<string, LockedComponent> {
  return Object.fromEntries(
    Object.entries(entries).map(([component, entry]) => {
      const date = days.get(component)
      return [component, date === undefined ? entry : { ...entry, date }]
    }),
  )
}

function withNames(entries: LockedRelease['components'], images: readonly ImagePlan[]): Record<string, LockedComponent> {
  const byName = new Map(images.map((image) => [image.component, image]))
  return Object.fromEntries(
    Object.entries(entries).map(([component, entry]) => {
      const image = byName.get(component)
      return [component, image === undefined || entry.date === undefined ? entry : nameOf(image, entry)]
    }),
  )
}

function nameOf({ reference, recipe }: ImagePlan, entry: LockedComponent): LockedComponent {
  return { ...entry, image: reference, ...(recipe === undefined ? {} : { recipe }) }
}
