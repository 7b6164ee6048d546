/** Charts as upstream publishes them, fetched by the digest that the lock pins. */
import { readFile } from 'node:fs/promises'
import { pushBytes } from '../content/read.ts'
import { RfoError } from '../error.ts'
import type { Task } from '../graph/task.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import type { ChartPlan, ReleasePlan } from '../plan/release-plan.ts'
import { download } from '../source/download.ts'
import type { ReleasePorts } from './ports.ts'

/** The largest chart of RKE2 is 105 KB; etcd, where charts end up, refuses 1.5 MiB. */
const maxChartBytes = 8 * 1024 * 1024

export function chartTasks(plan: ReleasePlan, ports: ReleasePorts): { readonly chart: ChartPlan; readonly task: Task }[] {
  return plan.charts.map((chart) => ({ chart, task: chartTask(chart, ports) }))
}

export function chartPath(chart: ChartPlan): string {
  return `charts/${chart.name}-${chart.version}.tgz`
}

function chartTask(chart: ChartPlan, ports: ReleasePorts): Task {
  const { locked } = chart
  if (locked?.kind !== 'chart')
    throw new RfoError('RFO_RELEASE_LOCK', `chart ${chart.name} is not pinned in images.lock`, {
      exit: 'lock',
      next: 'rfo-build lock <version>',
    })
  return {
    id: `chart/${chart.name}`,
    needs: {},
    key: { rule: 'chart@1', digest: locked.digest },
    lane: 'network',
    async run(_inputs, at) {
      const fetched = await download({
        url: locked.url,
        addresses: ports.addresses,
        env: ports.env,
        workDir: ports.workDir,
        signal: at.signal,
      })
      if (fetched.digest !== locked.digest) {
        throw new RfoError('RFO_RELEASE_CHART', `${locked.url} is ${fetched.digest}, the lock pins ${locked.digest}`, { exit: 'untrusted' })
      }
      if (fetched.size > maxChartBytes)
        throw new RfoError('RFO_RELEASE_CHART', `${fetched.size} bytes are no chart`, { exit: 'untrusted', where: locked.url })
      const bytes = await readFile(fetched.file)
      return await pushBytes(ports.store, mediaTypes.octets, bytes)
    },
  }
}
