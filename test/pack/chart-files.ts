/** Charts of the tests' own, in the shapes that RKE2's charts have; and hostile ones. */
import { gzipSync } from 'node:zlib'
import { type Header, pack } from 'tar-stream'
import type { RepackRequest } from '../../src/pack/chart.ts'

export interface ChartEntry {
  readonly name: string
  readonly body?: string
  readonly header?: Partial<Header>
}

const newName = (name: string, from: string, to: string) =>
  [`rancher/${name}`, { repository: `rfolabs/${name}`, tag: { from, to } }] as const
export const renames: RepackRequest['images'] = new Map([
  newName('hardened-dns', 'v1.9.3-build20221011', 'v1.9.3-build20261123'),
  newName('hardened-scaler', '1.3', '1.3-build20261123'),
  newName('hardened-cache', '2.0', '2.0-build20261123'),
])

export const chartYaml = `apiVersion: v2
appVersion: "1.10"
# a comment of upstream's
description: yes
name: demo
type: application
version: 1.19.401
`

export const valuesYaml = `# Default values
image:
  repository: rancher/hardened-dns # rancher/hardened-dns stays in comments
  tag: "v1.9.3-build20221011"
scaler:
  enabled: true
  image: {repository: 'rancher/hardened-scaler', tag: 1.30}
cache:
  enabled: false
  image:
    repository: "rancher/hardened-cache"
    tag: ""
other:
  repository: rancher/hardened-dns-extra
  tag: v1
note: see rancher/hardened-dns
rancher/hardened-dns: a key is no image
operator:
  image: rancher/mirrored-operator
  version: v1.28.1
  registry: docker.io
pinned: {image: {repository: quay.io/x/relay, tag: v1, digest: 'sha256:${'a'.repeat(64)}', useDigest: true}}
chartRepository: {repository: https://charts.example.org}
global:
  systemDefaultRegistry: ""
`

const image = (path: string): string =>
  `        image: {{ template "registry" . }}{{ .Values.${path}.repository }}:{{ .Values.${path}.tag | default .Chart.AppVersion }}\n`
const workload = (name: string, container: string): string =>
  `apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: ${name}\nspec:\n  selector: {matchLabels: {a: b}}\n  template:\n    metadata: {labels: {a: b}}\n    spec:\n      containers:\n      - name: x\n${container}`

export const demo: readonly ChartEntry[] = [
  { name: 'demo/Chart.yaml', body: chartYaml },
  { name: 'demo/values.yaml', body: valuesYaml },
  {
    name: 'demo/templates/_helpers.tpl',
    body: '{{- define "registry" -}}\n{{- if .Values.global.systemDefaultRegistry -}}{{ .Values.global.systemDefaultRegistry }}/{{- end -}}\n{{- end -}}\n{{- define "cache.pod" -}}\n        image: {{ .Values.cache.image.repository }}:{{ .Chart.AppVersion }}\n{{- end -}}\n',
  },
  { name: 'demo/templates/dns.yaml', body: workload('dns', image('image')) },
  {
    name: 'demo/templates/scaler.yaml',
    body: `{{- if and .Values.scaler.enabled (eq .Values.note "see rancher/hardened-dns") }}\n${workload('scaler', image('scaler.image'))}{{- end }}\n`,
  },
  {
    name: 'demo/templates/cache.yaml',
    body: `{{- if not (or .Values.cache.enabled) }}\n{{- else }}\n${workload('cache', '{{ include "cache.pod" . }}\n')}{{- end }}\n`,
  },
  { name: 'demo/templates/other.yaml', body: workload('other', image('other')) },
  {
    name: 'demo/templates/operator.yaml',
    body: workload(
      'operator',
      '        image: {{ .Values.operator.registry }}/{{ .Values.operator.image }}:{{ .Values.operator.version }}\n',
    ),
  },
  {
    name: 'demo/templates/relay.yaml',
    body: `{{- with .Values.relayOff }}\n${workload('relay', '        image: {{ $.Values.pinned.image.repository }}\n')}{{- end }}\n`,
  },
  { name: 'demo/templates/literal.yaml', body: workload('literal', '        image: "busybox:1.36" # plain\n') },
  {
    name: 'demo/templates/tests/test.yaml',
    body: 'apiVersion: v1\nkind: Pod\nmetadata:\n  name: t\n  annotations: {"helm.sh/hook": test}\nspec:\n  containers:\n  - name: t\n    image: alpine\n',
  },
]

/** Entries as they come: owners, times and order are whatever the test says. */
export async function tarOf(entries: readonly ChartEntry[]): Promise<Buffer> {
  const packer = pack()
  for (const { name, body, header } of entries) packer.entry({ name, mtime: new Date(1e12), uid: 1000, ...header } as Header, body ?? '')
  packer.finalize()
  const chunks: Buffer[] = []
  for await (const chunk of packer as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks)
}

export async function tgzOf(entries: readonly ChartEntry[]): Promise<Buffer> {
  return gzipSync(await tarOf(entries))
}

/** The demo chart, with some of its files replaced or added. */
export function demoWith(...changed: readonly ChartEntry[]): readonly ChartEntry[] {
  return [...demo.filter((entry) => !changed.some((each) => each.name === entry.name)), ...changed]
}

export function request(tgz: Uint8Array, more: Partial<RepackRequest> = {}): RepackRequest {
  return { name: 'demo', version: '1.19.401', tgz, kubernetes: '1.24.8', images: renames, epoch: 1_668_432_300, ...more }
}
