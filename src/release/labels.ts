/** Labels of a rebuilt image: what somebody sees who has nothing but the image. */
import { annotationKeys } from '../oci/mediatype.ts'
import type { PlatformName } from '../oci/platform.ts'
import type { ImagePlan, ReleasePlan } from '../plan/release-plan.ts'

/** Time is the release's epoch; nothing here depends on the machine. */
export function imageLabels(plan: ReleasePlan, image: ImagePlan, platform: PlatformName): Record<string, string> {
  const base = image.base === 'scratch' ? undefined : plan.bases[platform]
  const standIns = standInsOf(plan, image, platform)
  return {
    [annotationKeys.title]: image.component,
    [annotationKeys.version]: image.version,
    [annotationKeys.created]: new Date(plan.epoch * 1000).toISOString().replace('.000Z', 'Z'),
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

/** What stands in for real input in this image on this platform: base, source or whole image. */
export function standInsOf(plan: ReleasePlan, image: ImagePlan, platform: PlatformName): string[] {
  const base = plan.bases[platform]?.locked
  const own = image.locked?.standIn
  const collected = image.build?.kind === 'collect' ? new Set(image.build.from.map((each) => each.component)) : new Set<string>()
  return [
    ...(own === undefined ? [] : [own]),
    ...plan.images.flatMap((other) =>
      collected.has(other.component) && other.locked?.standIn !== undefined ? [other.locked.standIn] : [],
    ),
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
