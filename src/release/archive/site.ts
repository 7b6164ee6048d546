/** The image groups that a site's choices come to, proven to hold every image that its charts and static pods name. */
import type { ReleasePredicate } from '../../attest/release.ts'
import { RfoError } from '../../error.ts'
import { parseJson } from '../../oci/json.ts'
import type { PlatformName } from '../../oci/platform.ts'
import { readChart } from '../../pack/chart.ts'
import { chartNameOf } from '../../pack/chart-provenance.ts'
import { kubernetesOf } from '../../plan/chart-facts.ts'
import { type ChartImages, type Choices, chosenGroups, closure, type ListedPlan, listedPlan } from '../../plan/closure.ts'
import { ReleasePlanSchema } from '../../plan/plan-schema.ts'
import type { ReleasePlan } from '../../plan/release-plan.ts'
import { maxChartBytes } from '../chart-tasks.ts'
import { maxPlanBytes } from '../lists.ts'
import { type ReleaseFiles, smallFile } from '../shelf.ts'
import { isChart } from '../signed-paths.ts'

/** Throws RFO_ARCHIVE_CLOSURE (condition) when a node of one of these platforms would look for an image that is in none of the groups. */
export async function groupsFor(
  choices: Choices,
  from: ReleaseFiles,
  predicate: ReleasePredicate,
  platforms: readonly PlatformName[] = predicate.platforms,
): Promise<readonly string[]> {
  const plan = await planOf(from)
  const statuses = closure({ plan, chartImages: await chartImagesOf(from, plan.version), choices })
  const missing = platforms.flatMap((platform) => {
    const status = statuses[platform]
    return status?.status === 'partial'
      ? status.missing.map(({ reference, neededBy, reason }) => `${platform}: ${reference}, needed by ${neededBy}: ${reason}`)
      : []
  })
  if (missing.length > 0)
    throw new RfoError('RFO_ARCHIVE_CLOSURE', `${missing.length} images that this configuration needs are not in the release`, {
      exit: 'condition',
      where: from.where,
      details: missing,
      next: 'change the configuration, or choose with --group what there is',
    })
  return chosenGroups(choices)
}

async function planOf(from: ReleaseFiles): Promise<ListedPlan> {
  const bytes = await smallFile(from, 'plan.json', maxPlanBytes)
  const parsed = ReleasePlanSchema.safeParse(bytes === undefined ? undefined : parseJson(bytes.toString('utf8')))
  if (!parsed.success) throw new RfoError('RFO_ARCHIVE_PLAN', 'no plan.json of a release', { exit: 'untrusted', where: from.where })
  return listedPlan(parsed.data as unknown as ReleasePlan)
}

async function chartImagesOf(from: ReleaseFiles, version: string): Promise<ChartImages> {
  const found: Record<string, ChartImages[string]> = {}
  for (const { path } of from.files.filter((file) => isChart(file.path))) {
    const tgz = await smallFile(from, path, maxChartBytes)
    const name = chartNameOf(path)
    if (tgz !== undefined) found[name] = (await readChart(tgz, name, kubernetesOf(version))).images
  }
  return found
}
