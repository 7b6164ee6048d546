/**
 * What newer advisories say of a release that was judged by older ones: each image's attested SBOM against them. It changes no verdict: the
 * release is what it was; whether it may still be used is asked of `scan`.
 */
import type { FindingState } from '../../advisory/judge.ts'
import { type Match, matcherOf } from '../../advisory/match.ts'
import type { HeldSnapshot } from '../../advisory/snapshot.ts'
import type { ReleasePredicate } from '../../attest/release.ts'
import { ScanPredicate } from '../../attest/scan.ts'
import { digestOf } from '../../oci/digest.ts'
import { severities } from '../../plan/gate.ts'
import { ReleasePlanSchema } from '../../plan/plan-schema.ts'
import type { ImagePlan } from '../../plan/release-plan.ts'
import { compareEvr } from '../../rpm/vercmp.ts'
import { mainModule } from '../inside.ts'
import { insideOfBom } from '../inside-bom.ts'
import { maxPlanBytes, maxSbomBytes, sbomPath, scanPath } from '../lists.ts'
import type { Claim } from './claims.ts'
import { untrusted } from './finding.ts'
import type { ReleasePlace } from './place.ts'

const Planned = ReleasePlanSchema.pick({ images: true }).loose()

/** One advisory about one package of one image. */
export interface FoundNow extends Match {
  readonly image: string
  readonly platform: string
  /** what the release's own scan says of it; absent = nobody knew */
  readonly judged?: FindingState
}

/** Of a release that verified. undefined = it has no gate. Throws RFO_VERIFY_FILE where a file is no longer the one that was verified. */
export async function newestClaim(
  place: ReleasePlace,
  predicate: ReleasePredicate,
  snapshot: HeldSnapshot | undefined,
): Promise<Claim | undefined> {
  const { gate } = predicate
  if (gate === undefined) return undefined
  if (snapshot === undefined || Date.parse(snapshot.taken) <= Date.parse(gate.advisories.taken))
    return { name: 'noNewer', values: { taken: gate.advisories.taken } }
  const all = await foundNow(place, predicate, snapshot)
  const counted = Object.fromEntries(severities.map((severity) => [severity, all.filter((each) => each.severity === severity).length]))
  const unseen = all.filter(({ judged }) => judged === undefined).length
  return { name: 'newest', values: { taken: snapshot.taken, digest: snapshot.digest, found: all.length, unseen, ...counted } }
}

/** Of a release that verified and has a gate: all that a snapshot knows of its images, in their order. Throws RFO_VERIFY_FILE, RFO_SCAN_BOM. */
export async function foundNow(place: ReleasePlace, predicate: ReleasePredicate, snapshot: HeldSnapshot): Promise<FoundNow[]> {
  const files = new Map(predicate.files.map(({ path, digest }) => [path, digest]))
  const read = async (path: string, max: number): Promise<Buffer> => {
    const bytes = await place.small(path, max)
    if (bytes === undefined || digestOf(bytes) !== files.get(path))
      throw untrusted('RFO_VERIFY_FILE', 'it changed since it was verified', path)
    return bytes
  }
  const { images } = Planned.parse(JSON.parse((await read('plan.json', maxPlanBytes)).toString('utf8')))
  const mains = new Map(images.map((image) => [image.component, mainModule(image as Pick<ImagePlan, 'locked'>)]))
  const matcher = matcherOf(snapshot, compareEvr, Date.parse(snapshot.taken))
  const found: FoundNow[] = []
  for (const { component: image, platforms } of predicate.images) {
    for (const [platform, made] of Object.entries(platforms)) {
      if (made.status !== 'made') continue
      const path = sbomPath(image, platform)
      const { rpms, go } = insideOfBom(await read(path, maxSbomBytes), path, mains.get(image))
      const scan = ScanPredicate.parse(JSON.parse((await read(scanPath(image, platform), maxSbomBytes)).toString('utf8')))
      const { stream, findings } = scan.scanner.result
      const states = new Map(findings.map(({ advisory, component, state }) => [`${advisory}\0${component}`, state]))
      const matches = [
        ...(stream === undefined ? [] : rpms.flatMap((each) => matcher.rpm(each, stream))),
        ...go.flatMap((each) => matcher.go(each)),
      ]
      for (const match of matches) {
        const judged = states.get(`${match.advisory}\0${match.component}`)
        found.push({ ...match, image, platform, ...(judged === undefined ? {} : { judged }) })
      }
    }
  }
  return found
}
