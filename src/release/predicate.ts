/** Plan and digests → the release predicate: what the signed statement says. Pure. */
import type { ReleasePredicate } from '../attest/release.ts'
import type { ReleaseGateFact } from '../attest/scan.ts'
import { predicateTypes, statement, statementBytes, subjectOf } from '../attest/statement.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { Json } from '../oci/json.ts'
import type { PlatformName } from '../oci/platform.ts'
import type { Closure } from '../plan/closure.ts'
import type { ImagePlan, ReleasePlan } from '../plan/release-plan.ts'
import { appliedFiles, shippedPath } from '../plan/source-changes.ts'
import { given } from './given.ts'
import { standInsOf } from './labels.ts'
import { by } from './root.ts'

export interface FileRecord {
  readonly path: string
  readonly digest: Digest
  readonly size: number
  readonly sm3: string
  readonly unsigned?: { readonly digest: Digest; readonly size: number }
}

export interface PredicateFacts {
  readonly plan: ReleasePlan
  readonly root: { readonly digest: Digest; readonly index: Json }
  readonly files: readonly FileRecord[]
  /** `index/<component>` and `image/<component>/<platform>` */
  readonly inputs: Readonly<Record<string, Descriptor>>
  readonly support: Closure
  /** component whose source the program, the tarball and the packages are made of */
  readonly sourceOf: string
  readonly gate?: ReleaseGateFact
  readonly keyFingerprint?: string
}

export function releasePredicate(facts: PredicateFacts): ReleasePredicate {
  const { plan, inputs } = facts
  return {
    schema: 'rfo-build.release/1',
    version: plan.version,
    upstream: plan.upstream,
    epoch: plan.epoch,
    root: facts.root,
    platforms: [...plan.platforms],
    bases: Object.fromEntries(
      plan.platforms.flatMap((platform) => {
        const base = plan.bases[platform]
        if (base === undefined || base.locked?.kind !== 'image') return []
        return [
          [
            platform,
            {
              name: base.name,
              reference: base.reference,
              digest: base.locked.manifest.digest,
              ...(base.reason === undefined ? {} : { reason: base.reason }),
              ...(base.locked.standIn === undefined ? {} : { standIn: base.locked.standIn }),
            },
          ],
        ]
      }),
    ),
    images: plan.images.map((image) => ({
      component: image.component,
      reference: image.reference,
      action: image.action,
      groups: [...image.groups],
      ...pinned(inputs[`index/${image.component}`]),
      platforms: Object.fromEntries(
        plan.platforms.map((platform) => {
          const planned = image.platforms[platform]
          if (planned?.status !== 'made') return [platform, { status: 'unsupported' as const, reason: planned?.reason ?? 'not planned' }]
          return [platform, { status: 'made' as const, digest: pinned(inputs[`image/${image.component}/${platform}`]).digest }]
        }),
      ),
      ...(image.deviates === undefined ? {} : { deviates: image.deviates }),
      ...changedBy(image),
      ...standInOf(plan, image),
    })),
    files: [...facts.files].sort(by((file) => file.path)),
    support: Object.fromEntries(
      plan.platforms.map((platform) => {
        const state = facts.support[platform]
        if (state === undefined) throw new Error(`no closure of ${platform}`)
        return [platform, state.status === 'bootable' ? state : { status: 'partial' as const, missing: [...state.missing] }]
      }),
    ) as ReleasePredicate['support'],
    ...(facts.gate === undefined ? {} : { gate: facts.gate }),
    standIns: standIns(plan, facts.sourceOf),
    ...(facts.keyFingerprint === undefined ? {} : { standInKey: facts.keyFingerprint }),
  }
}

function pinned(descriptor: Descriptor | undefined): { digest: Digest; size: number } {
  const { digest, size } = given(descriptor)
  return { digest, size }
}

/** Of a source that is there; what stands in for it is not patched. */
function changedBy(image: ImagePlan): { changedBy?: { path: string; digest: Digest }[] } {
  const files = appliedFiles(image)
  return files.length === 0 ? {} : { changedBy: files.map((each) => ({ path: shippedPath(each), digest: each.digest })) }
}

function standInOf(plan: ReleasePlan, image: ImagePlan): { standIn?: string } {
  const said = [
    ...new Set(
      plan.platforms.flatMap((platform) =>
        image.platforms[platform]?.status === 'made' ? standInsOf(plan, image, platform as PlatformName) : [],
      ),
    ),
  ]
  return said.length === 0 ? {} : { standIn: said.join('; ') }
}

/** Every stand-in of the release: images by component, charts by name, and what installs it. */
function standIns(plan: ReleasePlan, sourceOf: string): { what: string; standsFor: string }[] {
  const images = plan.images.flatMap((image) => {
    const said = standInOf(plan, image).standIn
    return said === undefined ? [] : [{ what: `image ${image.component}`, standsFor: said }]
  })
  const charts = plan.charts.flatMap((chart) =>
    chart.locked?.kind === 'chart' && chart.locked.standIn !== undefined
      ? [{ what: `chart ${chart.name}`, standsFor: chart.locked.standIn }]
      : [],
  )
  const source = plan.images.find((image) => image.component === sourceOf)?.locked?.standIn
  const bundle = source === undefined ? [] : [{ what: 'program, tarball and packages', standsFor: source }]
  const judged = plan.advisories?.kind === 'advisories' ? plan.advisories.standIn : undefined
  const advisories = judged === undefined ? [] : [{ what: 'advisories', standsFor: judged }]
  return [...images, ...charts, ...bundle, ...advisories]
}

/** The statement whose subjects are the root, every file as it lies and every image index. */
export function releaseStatement(predicate: ReleasePredicate): Buffer {
  const subjects = [
    subjectOf(predicate.root.digest, predicate.version),
    ...predicate.images.map((image) => subjectOf(image.digest, image.reference)),
    ...predicate.files.map((file) => subjectOf(file.digest, file.path)),
  ]
  return statementBytes(statement(subjects, predicateTypes.release, predicate as unknown as Json))
}
