/** Which platforms a release can bring up, computed from what its charts and static pods name. Said in files, notes and statement. */
import { pushBytes, readBytes, readJson } from '../content/read.ts'
import type { ContentReader } from '../content/store.ts'
import type { Task } from '../graph/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { digestOf } from '../oci/digest.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import type { PlatformName } from '../oci/platform.ts'
import { readChart } from '../pack/chart.ts'
import type { PlatformState } from '../pack/installer.ts'
import { type ChartFacts, kubernetesOf, type UpstreamDefect, upstreamDefects } from '../plan/chart-facts.ts'
import { type Closure, closure, defaultChoices, listedPlan, type PlatformStatus, type SupportRow, supportMatrix } from '../plan/closure.ts'
import type { ReleasePlan } from '../plan/release-plan.ts'
import { type ChartTask, maxChartBytes } from './chart-tasks.ts'
import { given } from './given.ts'
import type { ReleasePorts } from './ports.ts'

export interface Support {
  /** the default configuration */
  readonly platforms: Closure
  /** the default configuration with one choice changed at a time */
  readonly matrix: readonly SupportRow[]
  /** what upstream's charts get wrong */
  readonly defects: readonly UpstreamDefect[]
}

export function supportTask(release: ReleasePlan, charts: readonly ChartTask[], ports: ReleasePorts): Task {
  const plan = listedPlan(release)
  return {
    id: 'support',
    needs: Object.fromEntries(charts.map(({ chart, task }) => [chart.name, task])),
    key: { rule: 'support@3', plan: digestOf(canonicalJson(plan as unknown as Json)) },
    lane: 'cpu',
    async run(inputs) {
      const facts: Record<string, ChartFacts> = {}
      for (const { chart } of charts) {
        const tgz = await readBytes(ports.store, given(inputs[chart.name]), maxChartBytes)
        const { chart: about, images, pinned } = await readChart(tgz, chart.name, kubernetesOf(plan.version))
        const kubeVersion = about.annotations?.['catalog.cattle.io/kube-version']
        facts[chart.name] = { images, pinned, ...(kubeVersion === undefined ? {} : { kubeVersion }) }
      }
      const named = Object.fromEntries(Object.entries(facts).map(([name, { images }]) => [name, images]))
      const support: Support = {
        defects: upstreamDefects(plan, facts),
        platforms: closure({ plan, chartImages: named, choices: defaultChoices }),
        matrix: supportMatrix(plan, named),
      }
      return await pushBytes(ports.store, mediaTypes.json, canonicalJson(support as unknown as Json))
    },
  }
}

export async function readSupport(descriptor: Descriptor | undefined, from: ContentReader): Promise<Support> {
  return (await readJson(from, given(descriptor))) as unknown as Support
}

/** As platforms.txt says it: what is missing, and who needs it. */
export function platformStates(platforms: Closure): PlatformState[] {
  return (Object.entries(platforms) as [PlatformName, PlatformStatus][]).map(([platform, state]) => ({
    platform,
    status: state.status,
    missing: state.status === 'bootable' ? [] : state.missing.map((one) => `${one.reference} needed by ${one.neededBy}`),
  }))
}
