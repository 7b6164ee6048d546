/** Stand-in Helm charts: https://helm.sh/docs/topics/charts/. Name and version are the plan's, and the values name its images. */
import { stringify } from 'yaml'
import { digestOf, hex } from '../oci/digest.ts'
import { annotationKeys } from '../oci/mediatype.ts'
import type { ChartPlan, ImagePlan, ReleasePlan } from '../plan/release-plan.ts'
import { foldersOf, gzip, type TarEntry, tar } from './tar.ts'

export interface StandInChart {
  readonly plan: ChartPlan
  readonly bytes: Buffer
}

export function standInCharts(plan: ReleasePlan): StandInChart[] {
  return plan.charts.map((chart) => ({ plan: chart, bytes: packChart(chart, imagesOf(chart, plan.images), plan.epoch) }))
}

/** index.yaml of the repository that holds these charts: https://helm.sh/docs/topics/chart_repository/#the-index-file */
export function chartIndex(charts: readonly StandInChart[], epoch: number): Buffer {
  const created = new Date(epoch * 1000).toISOString()
  const entries: Record<string, unknown[]> = {}
  for (const { plan, bytes } of charts) {
    const row = { apiVersion: 'v2', name: plan.name, version: plan.version, created, digest: hex(digestOf(bytes)), urls: [plan.url] }
    entries[plan.name] = [...(entries[plan.name] ?? []), row]
  }
  return Buffer.from(stringify({ apiVersion: 'v1', entries, generated: created }, { sortMapEntries: true, lineWidth: 0 }))
}

/** A chart's images are those of the group or component that bears its name: rke2-canal has the group canal's, rke2-coredns hardened-coredns. */
function imagesOf(chart: ChartPlan, images: readonly ImagePlan[]): readonly ImagePlan[] {
  const words = chart.name.split('-').filter((word) => !['rke2', 'rancher', 'crd', 'controller', 'server'].includes(word))
  const [subject] = words
  if (subject === undefined || chart.name.endsWith('-crd')) return []
  // rke2-snapshot-controller has no images of csi-snapshotter
  const own = images.filter((image) => image.component.endsWith(`-${chart.name.replace(/^rke2-/, '')}`))
  const grouped = images.filter((image) => image.groups.includes(subject))
  return grouped.length > 0 ? grouped : own.length > 0 ? own : images.filter((image) => image.component.includes(subject))
}

function packChart(chart: ChartPlan, images: readonly ImagePlan[], epoch: number): Buffer {
  const meta = {
    apiVersion: 'v2',
    name: chart.name,
    version: chart.version,
    type: 'application',
    description: `Stand-in of RFO's sandbox for ${chart.url}`,
    annotations: { [annotationKeys.standIn]: chart.url },
  }
  const values = {
    global: { systemDefaultRegistry: '' },
    images: images.flatMap(({ upstream }) => {
      if (upstream === undefined) return []
      const path = upstream.slice(upstream.indexOf('/') + 1)
      const colon = path.lastIndexOf(':')
      return [{ repository: path.slice(0, colon), tag: path.slice(colon + 1) }]
    }),
  }
  const template = [
    'apiVersion: v1',
    'kind: ConfigMap',
    'metadata:',
    `  name: ${chart.name.toLowerCase()}`,
    'data:',
    '  images: |',
    '    {{- range .Values.images }}',
    '    {{ with $.Values.global.systemDefaultRegistry }}{{ . }}/{{ end }}{{ .repository }}:{{ .tag }}',
    '    {{- end }}',
    '',
  ].join('\n')
  const files: readonly (readonly [string, string])[] = [
    ['Chart.yaml', stringify(meta, { lineWidth: 0 })],
    ['templates/images.yaml', template],
    ['values.yaml', stringify(values, { lineWidth: 0 })],
  ]
  const entries = files.map(([path, text]): TarEntry => ({ kind: 'file', path: `${chart.name}/${path}`, bytes: Buffer.from(text) }))
  return gzip(tar([...foldersOf(entries.map((entry) => entry.path)), ...entries], epoch))
}
