/** Charts: fetched by the digest that the lock pins, then packed as RKE2 packs them, with the images that RFO rebuilds. */
import { readFile } from 'node:fs/promises'
import { pushBytes, readBytes } from '../content/read.ts'
import type { ContentReader } from '../content/store.ts'
import { RfoError } from '../error.ts'
import type { Task } from '../graph/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Json } from '../oci/json.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import { repackChart } from '../pack/chart.ts'
import { helmChartFile, helmChartManifest, isBootstrap } from '../pack/helm-chart.ts'
import { imageRenames, kubernetesOf } from '../plan/chart-facts.ts'
import type { ChartPlan, ReleasePlan } from '../plan/release-plan.ts'
import { download } from '../source/download.ts'
import { given } from './given.ts'
import type { ReleasePorts } from './ports.ts'
import { by } from './root.ts'

/** The largest chart of RKE2 is 239 KB; etcd, where charts end up, refuses 1.5 MiB. */
export const maxChartBytes = 8 * 1024 * 1024

/** Where RKE2 installs all of its charts. */
const namespace = 'kube-system'

export interface ChartTask {
  readonly chart: ChartPlan
  /** gives the chart as RFO ships it */
  readonly task: Task
}

export function chartTasks(plan: ReleasePlan, ports: ReleasePorts): ChartTask[] {
  return plan.charts.map((chart) => ({ chart, task: repackTask(plan, chart, fetchTask(chart, ports), ports) }))
}

export function chartPath(chart: ChartPlan): string {
  return `charts/${chart.name}-${chart.version}.tgz`
}

function fetchTask(chart: ChartPlan, ports: ReleasePorts): Task {
  const { locked } = chart
  if (locked?.kind !== 'chart') {
    throw new RfoError('RFO_RELEASE_LOCK', `chart ${chart.name} is not pinned in images.lock`, {
      exit: 'lock',
      next: 'rfo-build lock <version>',
    })
  }
  return {
    id: `fetch/${chart.name}`,
    needs: {},
    key: { rule: 'fetch@1', digest: locked.digest },
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
      return await pushBytes(ports.store, mediaTypes.octets, await readFile(fetched.file))
    },
  }
}

function repackTask(plan: ReleasePlan, chart: ChartPlan, fetched: Task, ports: ReleasePorts): Task {
  const images = [...imageRenames(plan)].sort(by(([from]) => from))
  const kubernetes = kubernetesOf(plan.version)
  return {
    id: `chart/${chart.name}`,
    needs: { fetched },
    key: {
      rule: 'chart@1',
      name: chart.name,
      version: chart.version,
      kubernetes,
      images: images.map(([from, { repository, tag }]) => [from, repository, tag.from, tag.to]),
      epoch: plan.epoch,
      encoder: `gzip ${process.versions.zlib}`,
    },
    lane: 'cpu',
    async run({ fetched: upstream }) {
      const tgz = await readBytes(ports.store, given(upstream), maxChartBytes)
      const packed = await repackChart({
        name: chart.name,
        version: chart.version,
        tgz,
        kubernetes,
        images: new Map(images),
        epoch: plan.epoch,
      })
      return await pushBytes(ports.store, mediaTypes.octets, packed.tgz)
    },
  }
}

/** What decides that file besides the packed chart, for task keys. */
export function chartKey({ name, version, url, bootstrap }: ChartPlan): Json {
  return [name, version, url, ...(bootstrap === undefined ? [] : [bootstrap])]
}

/** The file of the runtime image through which a node gets the chart. */
export async function chartFile(chart: ChartPlan, packed: Descriptor, from: ContentReader): Promise<{ path: string; bytes: Buffer }> {
  const tgz = Buffer.from(await readBytes(from, packed, maxChartBytes))
  const { name, url, bootstrap = isBootstrap(name) } = chart
  const text = helmChartManifest({ name, namespace, bootstrap, url, tgz })
  return { path: helmChartFile(chart.name), bytes: Buffer.from(text) }
}
