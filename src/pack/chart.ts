/** A chart as RFO ships it: upstream's files, packed as RKE2 packs them, with the images that RFO rebuilds. */
import { RfoError } from '../error.ts'
import { parseReference } from '../oci/reference.ts'
import { type ChartFiles, noChart, quoted, readChartArchive, writeChartArchive } from './chart-archive.ts'
import { type ChartImage, chartImages } from './chart-images.ts'
import { type PinnedArchitecture, pinnedArchitectures } from './chart-selectors.ts'
import { type ChartMetadata, metadataOf, type NewName, withImages, withRequirement } from './chart-yaml.ts'

export interface RepackRequest {
  readonly name: string
  readonly version: string
  /** upstream's, whose digest the caller has verified */
  readonly tgz: Uint8Array
  /** `1.24.8`, or `1.24.8-rc1` for a candidate */
  readonly kubernetes: string
  /** by upstream's repository: `rancher/hardened-coredns` */
  readonly images: ReadonlyMap<string, NewName>
  /** seconds */
  readonly epoch: number
}

export interface RepackedChart {
  /** the same bytes for the same request, every time */
  readonly tgz: Buffer
  /** Chart.yaml as it is in there */
  readonly chart: ChartMetadata
  readonly images: readonly ChartImage[]
  /** architectures that its values pin; empty = it runs on any */
  readonly pinned: readonly PinnedArchitecture[]
}

/** docs/decisions/0006-charts-are-repacked.md */
const bundle = ['fleet.cattle.io/bundle-id', 'rfo'] as const
const kubernetesForm = /^(\d+\.\d+\.\d+)(-(?:alpha|beta|rc)\d+)?$/
/** RKE2's largest chart has 105 KB. */
const maxTgzBytes = 8 * 1024 * 1024

/** Throws RFO_PACK_CHART for what is not that chart, or pins a digest that the rebuilt image can't have. */
export async function repackChart(request: RepackRequest): Promise<RepackedChart> {
  const { name, version, kubernetes, images: renames } = request
  const [, release, candidate] = kubernetesForm.exec(kubernetes) ?? []
  if (release === undefined)
    throw new RfoError('RFO_PACK_KUBERNETES', `not a version of Kubernetes: ${quoted(kubernetes)}`, { exit: 'bug' })
  if (request.tgz.length > maxTgzBytes) throw noChart(name, `${request.tgz.length} bytes`)
  const upstream = await readChartArchive(request.tgz, name)
  const chartFile = upstream.get('Chart.yaml')
  if (chartFile === undefined) throw noChart(name, 'no Chart.yaml')
  const named = metadataOf(chartFile, name)
  if (named.name !== name || named.version !== version)
    throw noChart(name, `Chart.yaml says ${quoted(`${named.name} ${named.version}`)}, not ${version}`)
  // a range matches a candidate only where it names one: https://github.com/Masterminds/semver#working-with-prerelease-versions
  const required = `>= v${release}${candidate === undefined ? '' : '-0'}`
  const files = new Map([...upstream].map(([path, bytes]) => [path, isValues(path) ? withImages(bytes, name, path, renames) : bytes]))
  files.set('Chart.yaml', withRequirement(chartFile, name, required, bundle))
  const images = chartImages(files, name, release)
  refusePinned(name, images, new Set([...renames.values()].map((name) => name.repository)))
  return {
    tgz: writeChartArchive(name, files, request.epoch),
    chart: metadataOf(files.get('Chart.yaml') ?? chartFile, name),
    images,
    pinned: pinnedArchitectures(files, name),
  }
}

/** What a chart is and names, repacked or not. `kubernetes` as in a RepackRequest. Throws RFO_PACK_CHART. */
export async function readChart(tgz: Uint8Array, name: string, kubernetes: string): Promise<Omit<RepackedChart, 'tgz'>> {
  if (tgz.length > maxTgzBytes) throw noChart(name, `${tgz.length} bytes`)
  const files: ChartFiles = await readChartArchive(tgz, name)
  const chartFile = files.get('Chart.yaml')
  if (chartFile === undefined) throw noChart(name, 'no Chart.yaml')
  return {
    chart: metadataOf(chartFile, name),
    images: chartImages(files, name, kubernetes.replace(/-.*$/, '')),
    pinned: pinnedArchitectures(files, name),
  }
}

/** values.yaml of the chart and of those inside it. */
function isValues(path: string): boolean {
  return /^(charts\/[^/]+\/)*values\.yaml$/.test(path)
}

function refusePinned(chart: string, images: readonly ChartImage[], rebuilt: ReadonlySet<string>): void {
  for (const { reference, where } of images) {
    const { repository, digest } = parseReference(reference)
    if (digest !== undefined && rebuilt.has(repository))
      throw noChart(chart, `${where} pins upstream's ${digest} of an image that is rebuilt`)
  }
}
