/** Labels of a rebuilt image: what somebody sees who has nothing but the image. */
import type { BuildKind } from '../attest/provenance.ts'
import { annotationKeys } from '../oci/mediatype.ts'
import type { PlatformName } from '../oci/platform.ts'
import { carriedRelease, collectedComponents } from '../plan/component.ts'
import { imageEpoch } from '../plan/day.ts'
import { prebuiltOf } from '../plan/lock.ts'
import type { ImagePlan, ReleasePlan } from '../plan/release-plan.ts'

/** Time is that of the image's tag; nothing here depends on the machine. */
export function imageLabels(plan: ReleasePlan, image: ImagePlan, platform: PlatformName): Record<string, string> {
  const base = image.base === 'scratch' ? undefined : plan.bases[platform]
  const standIns = standInsOf(plan, image, platform)
  return {
    [annotationKeys.title]: image.component,
    [annotationKeys.version]: image.version,
    [annotationKeys.created]: new Date(imageEpoch(plan, image) * 1000).toISOString().replace('.000Z', 'Z'),
    'org.opencontainers.image.vendor': plan.vendor,
    'org.opencontainers.image.url': plan.url,
    ...sourceLabels(image),
    ...(base?.locked?.kind === 'image'
      ? { [annotationKeys.baseName]: base.reference, [annotationKeys.baseDigest]: base.locked.manifest.digest }
      : {}),
    ...(image.config.labels ?? {}),
    ...(standIns.length === 0 ? {} : { [annotationKeys.standIn]: standIns.join('; ') }),
  }
}

/** What an image's programs are: made here, found in the source, another image's, or none of its own. */
export function buildKind({ action, build, locked }: ImagePlan): Exclude<BuildKind, 'index'> {
  if (action === 'mirror') return 'mirror'
  if (build?.kind === 'collect') return 'collected'
  if (build?.kind === 'files') return 'files'
  return prebuiltOf(locked?.pin) === undefined ? 'compiled' : 'prebuilt'
}

/** What stands in for real input in this image on this platform: base, source or whole image. */
export function standInsOf(plan: ReleasePlan, image: ImagePlan, platform: PlatformName): string[] {
  const base = plan.bases[platform]?.locked
  const own = image.locked?.standIn
  const collected = collectedComponents(image.build)
  const carries = carriedRelease(image.build) !== undefined
  const taken = (other: ImagePlan): boolean => collected.has(other.component) || (carries && other.program !== undefined)
  return [
    ...(own === undefined ? [] : [own]),
    ...plan.images.flatMap((other) => (taken(other) && other.locked?.standIn !== undefined ? [other.locked.standIn] : [])),
    ...(image.action === 'rebuild' && image.base !== 'scratch' && base?.kind === 'image' && base.standIn !== undefined
      ? [base.standIn]
      : []),
  ]
}

function sourceLabels(image: ImagePlan): Record<string, string> {
  const pin = image.locked?.pin
  if (pin?.kind === 'git') return { [annotationKeys.source]: pin.url, [annotationKeys.revision]: pin.commit }
  if (pin?.kind === 'go-module') return { [annotationKeys.source]: `https://${pin.module}`, [annotationKeys.revision]: pin.version }
  if (pin?.kind === 'archive') return { [annotationKeys.source]: pin.url, [annotationKeys.revision]: pin.digest }
  return {}
}
