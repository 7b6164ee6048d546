/** What the lock could not reach, lacks, or holds for an older pipeline: each with its reason and the command that mends it. */
import type { PlatformName } from '../oci/platform.ts'
import { platformOf } from '../oci/platform.ts'
import type { UpstreamRelease } from './component.ts'
import { endsWithDay } from './day.ts'
import { libraryFingerprint, listDigest, pinFingerprint, takesPin } from './fingerprint.ts'
import { gateTime } from './gate.ts'
import { librariesOf } from './library.ts'
import type { Lock, LockedRelease } from './lock.ts'
import { packageWishes, pinnedRpms } from './os-packages.ts'
import type { ImagePlan, ReleasePlan } from './release-plan.ts'
import { changedFiles } from './source-changes.ts'
import { takenBy } from './tag-clashes.ts'

export type Gap = ReleasePlan['unresolved'][number]

/** In the order of the plan: the lock itself, bases, images, OS packages, tags, charts, C libraries, advisories. */
export function unresolvedIn(plan: Omit<ReleasePlan, 'unresolved'>, upstream: UpstreamRelease, lock: Lock): readonly Gap[] {
  const command = `rfo-build lock ${plan.version}`
  const locked = lock.releases[plan.version]
  if (locked === undefined) return [{ what: 'images.lock', reason: `it holds nothing of ${plan.version}: ${command}` }]
  return [
    ...headGaps(plan, upstream, locked, command),
    ...baseGaps(plan, command),
    ...plan.images.flatMap((image) => imageGaps(image, command)),
    ...packageGaps(plan, command),
    ...plan.images.flatMap((image) => tagGaps(image, plan.version, lock, command)),
    ...chartGaps(plan, command),
    ...libraryGaps(plan, command),
    ...advisoryGaps(plan, command),
  ]
}

/** Without a snapshot the gate can't judge, and an image that nobody judged is not shipped. */
function advisoryGaps({ gate, advisories }: Omit<ReleasePlan, 'unresolved'>, command: string): readonly Gap[] {
  if (gate === undefined) return []
  if (advisories?.kind !== 'advisories') return [{ what: 'advisories', reason: `${advisories?.reason ?? 'not locked yet'}: ${command}` }]
  const { taken } = advisories
  if (gateTime(gate.mode, taken) <= Date.parse(taken)) return []
  return [
    { what: 'advisories', reason: `the snapshot is of ${taken}, before the end of the day that is judged: ${command} --update advisories` },
  ]
}

function headGaps(
  plan: Omit<ReleasePlan, 'unresolved'>,
  upstream: UpstreamRelease,
  locked: LockedRelease,
  command: string,
): readonly Gap[] {
  const { version, commit, list } = locked.upstream
  if (version !== plan.upstream.version)
    return [
      {
        what: 'upstream',
        reason: `locked for ${version}, planned for ${plan.upstream.version}: ${command} --upstream ${plan.upstream.version}`,
      },
    ]
  if (commit !== plan.upstream.commit)
    return [
      { what: 'upstream', reason: `${version} was commit ${commit} when it was locked, and is ${plan.upstream.commit} now: ${command}` },
    ]
  if (list !== listDigest(upstream))
    return [{ what: 'upstream', reason: `the image list of ${version} changed since it was locked: ${command}` }]
  return []
}

function baseGaps(plan: Omit<ReleasePlan, 'unresolved'>, command: string): readonly Gap[] {
  return plan.platforms.flatMap((platform): readonly Gap[] => {
    const base = plan.bases[platform]
    const what = `base/${platform}`
    if (base?.locked === undefined) return [{ what, reason: `not locked yet: ${command}` }]
    if (base.locked.kind === 'unresolved') return [{ what, reason: `${base.locked.reason}: ${command}` }]
    if (base.locked.reference !== base.reference)
      return [{ what, reason: `pipelines/release.yaml names ${base.reference}, locked is ${base.locked.reference}: ${command}` }]
    return []
  })
}

function imageGaps(image: ImagePlan, command: string): readonly Gap[] {
  if (!takesPin(image)) return []
  const { component, locked } = image
  if (locked === undefined) return [{ what: component, reason: `not locked yet: ${command}` }]
  if (locked.fingerprint !== pinFingerprint(image))
    return [{ what: component, reason: `stale: ${decidedBy(image)} or the image list changed since it was locked: ${command}` }]
  if (locked.pin.kind === 'unresolved') return [{ what: component, reason: `${locked.pin.reason}: ${command}` }]
  const { pin } = locked
  if (pin.kind !== 'image') return []
  // an image that upstream does not have for a platform is said to be unsupported there, never left out in silence
  return (Object.keys(image.platforms) as PlatformName[])
    .filter((platform) => image.platforms[platform]?.status === 'made' && pin.platforms[platform] === undefined)
    .map((platform) => ({
      what: `${component}/${platform}`,
      reason: `${pin.reference} has no manifest for ${platform}: say why under unsupported.${platformOf(platform).architecture} in pipelines/${component}.yaml`,
    }))
}

/** Where the base itself is open nobody can say which packages it lacks: the base's own gap stops the release. */
function packageGaps(plan: Omit<ReleasePlan, 'unresolved'>, command: string): readonly Gap[] {
  return packageWishes(plan).flatMap(({ what, component, platform, fingerprint }): readonly Gap[] => {
    const locked = plan.packages?.[platform]?.components[component]
    if (locked === undefined) return [{ what, reason: `not locked yet: ${command}` }]
    if (locked.kind === 'unresolved') return [{ what, reason: `${locked.reason}: ${command}` }]
    if (locked.fingerprint !== fingerprint || pinnedRpms(plan.packages?.[platform], component) === undefined)
      return [{ what, reason: `stale: the base, its repositories or the packages asked for changed since it was locked: ${command}` }]
    return []
  })
}

function libraryGaps(plan: Omit<ReleasePlan, 'unresolved'>, command: string): readonly Gap[] {
  const linked = new Set(plan.images.flatMap(librariesOf))
  return (plan.libraries ?? []).flatMap((library): readonly Gap[] => {
    const { name, locked } = library
    const what = `library/${name}`
    if (!linked.has(name)) return []
    if (locked === undefined) return [{ what, reason: `not locked yet: ${command}` }]
    if (locked.fingerprint !== libraryFingerprint(library))
      return [{ what, reason: `stale: pipelines/libraries/${name}.yaml changed since it was locked: ${command}` }]
    if (locked.pin.kind === 'unresolved') return [{ what, reason: `${locked.pin.reason}: ${command}` }]
    return []
  })
}

/** An image that can be made, and whose tag would be wrong. Whoever only builds it gives nobody a tag. */
function tagGaps(image: ImagePlan, version: string, lock: Lock, command: string): readonly Gap[] {
  const { component, locked, recipe, reference } = image
  if (locked === undefined || locked.pin.kind === 'unresolved' || locked.fingerprint !== pinFingerprint(image)) return []
  const what = `tag/${component}`
  if (recipe !== undefined && locked.date === undefined) return [{ what, reason: `it has no date: ${command}` }]
  if (locked.recipe !== undefined && locked.recipe !== recipe)
    return [{ what, reason: `stale: what ${component} is made of changed since it was locked, so its tag must move: ${command}` }]
  if (locked.image !== undefined && locked.image !== reference)
    return [{ what, reason: `it was locked as ${locked.image}, and is called ${reference} now: ${command}` }]
  const other = takenBy(lock, version, locked)
  if (other === undefined) return []
  return [{ what, reason: `${reference} is another image in ${other}: ${mendedBy(image, command)}` }]
}

/** The command that gives it another tag, where its tag holds the date. */
function mendedBy(image: ImagePlan, command: string): string {
  if (endsWithDay(image)) return `${command} --rebuild ${image.component}`
  return `lock both alike with --update ${image.component}, or say \`tag:\` in pipelines/${image.component}.yaml`
}

function decidedBy({ component, changes }: ImagePlan): string {
  return [`pipelines/${component}.yaml`, ...changedFiles(changes).map(({ file }) => file)].join(', ')
}

function chartGaps(plan: Omit<ReleasePlan, 'unresolved'>, command: string): readonly Gap[] {
  return plan.charts.flatMap((chart): readonly Gap[] => {
    const what = `chart/${chart.name}`
    if (chart.locked === undefined) return [{ what, reason: `not locked yet: ${command}` }]
    if (chart.locked.kind === 'unresolved') return [{ what, reason: `${chart.locked.reason}: ${command}` }]
    if (chart.locked.version !== chart.version || chart.locked.url !== chart.url)
      return [{ what, reason: `locked is ${chart.locked.version}, planned is ${chart.version}: ${command}` }]
    return []
  })
}
