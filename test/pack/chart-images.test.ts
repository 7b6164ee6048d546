/** Which images a chart names, and helm as the judge: what its templates make is what we call needed. */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { formatReference, parseReference } from '../../src/oci/reference.ts'
import { readChart, repackChart } from '../../src/pack/chart.ts'
import type { ChartImage } from '../../src/pack/chart-images.ts'
import { helmChartFile, helmChartManifest, isBootstrap } from '../../src/pack/helm-chart.ts'
import { imageRenames } from '../../src/plan/chart-facts.ts'
import { planRelease } from '../../src/plan/plan-release.ts'
import { standInCharts } from '../../src/sandbox/charts.ts'
import { startRegistry } from '../../src/sandbox/registry.ts'
import { inputFor, ownLock } from '../plan/project.ts'
import { tool } from '../tools.ts'
import { type ChartEntry, chartYaml, demo, demoWith, request, tgzOf } from './chart-files.ts'

const helm = tool('helm')
const folder = mkdtempSync(join(tmpdir(), 'rfo-chart-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function runHelm(...args: string[]): Promise<string> {
  const env = { PATH: process.env.PATH ?? '', HOME: folder, HELM_CACHE_HOME: folder, HELM_CONFIG_HOME: folder, HELM_DATA_HOME: folder }
  return (await promisify(execFile)(helm.path, args, { env, cwd: folder, maxBuffer: 64 << 20 })).stdout
}

const plan = planRelease(inputFor('v1.24.8+rfor1', ownLock()))

const needed = (images: readonly ChartImage[]): string[] => [
  ...new Set(images.filter((image) => image.off === undefined).map((image) => image.reference)),
]

async function imagesIn(...entries: readonly ChartEntry[]): Promise<readonly ChartImage[]> {
  return (await readChart(await tgzOf(demoWith(...entries)), 'demo', '1.24.8-rc1')).images
}
const values = async (text: string): Promise<string[]> =>
  needed(await imagesIn({ name: 'demo/values.yaml', body: text }, { name: 'demo/templates/literal.yaml', body: '' }))

describe('what a chart names', () => {
  test('of every shape, with where and why not', async () => {
    const { images } = await repackChart(request(await tgzOf(demo)))
    expect(images.map(({ reference, where, off }) => [reference, where, off])).toEqual([
      ['docker.io/library/alpine', 'templates/tests/test.yaml:9', 'templates/tests/test.yaml is a test'],
      ['docker.io/library/busybox:1.36', 'templates/literal.yaml:12', undefined],
      ['docker.io/rancher/hardened-dns-extra:v1', 'values.yaml: other', undefined],
      ['docker.io/rancher/mirrored-operator:v1.28.1', 'values.yaml: operator', undefined],
      ['docker.io/rfolabs/hardened-cache:1.10', 'values.yaml: cache.image', expect.stringContaining('templates/cache.yaml: else')],
      ['docker.io/rfolabs/hardened-dns:v1.9.3-build20261123', 'values.yaml: image', undefined],
      ['docker.io/rfolabs/hardened-scaler:1.3-build20261123', 'values.yaml: scaler.image', undefined],
      [`quay.io/x/relay:v1@sha256:${'a'.repeat(64)}`, 'values.yaml: pinned.image', 'templates/relay.yaml: with .Values.relayOff'],
    ])
  })

  test.each([
    ['{repository, tag}', 'a: {repository: rancher/x, tag: v1}', ['docker.io/rancher/x:v1']],
    ['a tag from appVersion', 'a: {repository: rancher/x}', ['docker.io/rancher/x:1.10']],
    [
      'lists',
      'images: [{repository: rancher/x, tag: 2}, {image: rancher/y, tag: v3}]',
      ['docker.io/rancher/x:2', 'docker.io/rancher/y:v3'],
    ],
    ['a registry of its own', 'a: {registry: quay.io/, image: o/x, version: v1}', ['quay.io/o/x:v1']],
    [
      'the default registry',
      'global: {systemDefaultRegistry: "r.example:5000"}\na: {repository: rancher/x, tag: v1}',
      ['r.example:5000/rancher/x:v1'],
    ],
    [
      'a tag with a digest',
      `a: {repository: quay.io/c/x, tag: "v1@sha256:${'c'.repeat(64)}"}`,
      [`quay.io/c/x:v1@sha256:${'c'.repeat(64)}`],
    ],
    [
      'a digest that is not used',
      `a: {repository: quay.io/c/x, tag: v1, digest: "sha256:${'c'.repeat(64)}", useDigest: false}`,
      ['quay.io/c/x:v1'],
    ],
    [
      'a suffix for clouds',
      'operator: {image: {repository: rancher/cilium-operator, tag: v1, suffix: ""}}',
      ['docker.io/rancher/cilium-operator-generic:v1'],
    ],
    ['an override', 'a: {override: "x.io/o/x:1", repository: rancher/x, tag: v1}', ['x.io/o/x:1']],
    ['merge keys and anchors', 'd: &d {tag: v1}\na: {<<: *d, repository: rancher/x}', ['docker.io/rancher/x:v1']],
    [
      'what is no image',
      'a: {repository: "https://x/y"}\nb: {image: {tag: v1}}\nc: {repository: "{{ x }}"}\nd: {image: Always}\n__proto__: {repository: 1}',
      ['docker.io/library/1:1.10'],
    ],
    [
      'Kubernetes decides',
      'a: {repository: rancher/x, tag: v1.22}\nversionOverrides:\n- {constraint: "~ 1.25", values: {a: {tag: v1.25}}}\n- {constraint: ">= 1.24 < 1.25", values: {a: {tag: v1.24}}}\n- {constraint: 7, values: {b: {repository: rancher/odd, tag: v1}}}',
      ['docker.io/rancher/odd:v1', 'docker.io/rancher/x:v1.24'],
    ],
    [
      "an operator's own",
      'installation: {imagePath: rancher, imagePrefix: mirrored-calico-}\napiServer: {enabled: false}',
      ['cni', 'kube-controllers', 'node', 'pod2daemon-flexvol', 'typha'].map((name) => `docker.io/rancher/mirrored-calico-${name}:1.10`),
    ],
    ['nothing', '', []],
  ])('%s', async (_what, text, expected) => {
    expect(await values(text)).toEqual(expected)
  })

  test.each([
    ['made', '{{ if .Values.on }}@{{ end }}', true],
    ['not made', '{{- if .Values.off -}}@{{- end }}', false],
    ['else', '{{ if .Values.on }}{{ else }}@{{ end }}', false],
    ['else if', '{{ if .Values.off }}{{ else if eq .Values.word "w" }}@{{ else }}{{ end }}', true],
    ['after an else if that is taken', '{{ if .Values.off }}{{ else if .Values.on }}{{ else }}@{{ end }}', false],
    ['after the end', '{{ if .Values.off }}{{ end }}@', true],
    ['unknown conditions count as made', '{{ if and .Values.on (.Capabilities.APIVersions.Has "x") (gt 1 2) }}@{{ end }}', true],
    ['unknown and false', '{{ if and (.Capabilities.APIVersions.Has "x") .Values.off }}@{{ end }}', false],
    ['or, not, ne', '{{ if or .Values.off (not .Values.on) (ne .Values.word "w") }}@{{ end }}', false],
    ['a pipeline', '{{ if .Values.off | default true }}@{{ end }}', true],
    ['an empty list', '{{ range .Values.list }}@{{ end }}', false],
    ['brackets in strings and comments', '{{ if .Values.on }}{{ "}}" }}{{/* {{ if .Values.off }} */}}@{{ end }}', true],
    ['inside both', '{{ if .Values.off }}{{ if .Values.on }}@{{ end }}{{ end }}', false],
    [
      'a definition that nobody includes where it is made',
      '{{ define "p" }}@{{ end }}{{ if .Values.off }}{{ include "p" . }}{{ end }}',
      false,
    ],
    [
      'definitions that include each other',
      '{{ define "p" }}{{ include "q" . }}@{{ end }}{{ define "q" }}{{ include "p" . }}{{ end }}',
      true,
    ],
    ['more ends than beginnings', '{{ end }}{{ end }}{{ else }}@', true],
    ['an action that never ends', '@{{ if .Values.off "', true],
  ])('guards: %s', async (_what, template, made) => {
    const images = await imagesIn(
      { name: 'demo/values.yaml', body: 'on: true\noff: false\nword: w\nlist: []\n' },
      { name: 'demo/templates/literal.yaml', body: template.replace('@', '\nimage: rancher/x:1\n') },
    )
    expect(images.filter(({ reference }) => reference.includes('rancher/x')).map(({ off }) => off === undefined)).toEqual([made])
  })

  test('templates made to take long do not', async () => {
    const bodies = [
      '{{ "a" '.repeat(100_000),
      `{{ if ${'"a" '.repeat(100_000)}`,
      '{{ if .Values.off }}'.repeat(50_000),
      Array.from(
        { length: 400 },
        (_, at) => `{{ define "d${at}" }}${[1, 2, 3].map((next) => `{{ include "d${at + next}" . }}`).join('')}\n image: x/y:1\n{{ end }}`,
      ).join(''),
    ]
    for (const body of bodies) await imagesIn({ name: 'demo/templates/literal.yaml', body })
  }, 10_000)

  test('a chart inside that its condition leaves out, and one that it does not', async () => {
    const sub = (name: string): ChartEntry[] => [
      { name: `demo/charts/${name}/Chart.yaml`, body: `apiVersion: v2\nname: ${name}\nversion: 1.0.0\nappVersion: v9\n` },
      { name: `demo/charts/${name}/values.yaml`, body: `image: {repository: rancher/${name}}\n` },
    ]
    const dependencies =
      'dependencies: [{name: in, condition: in.enabled, version: 1.0.0}, {name: out, condition: out.enabled, version: 1.0.0}]\n'
    const images = await imagesIn(
      { name: 'demo/Chart.yaml', body: chartYaml + dependencies },
      { name: 'demo/values.yaml', body: 'in: {enabled: true, image: {tag: given}}\nout: {enabled: false}\n' },
      ...sub('in'),
      ...sub('out'),
    )
    const found = images.filter(({ where }) => where.startsWith('charts/'))
    expect(found).toEqual([
      { reference: 'docker.io/rancher/in:given', where: 'charts/in/values.yaml: image' },
      { reference: 'docker.io/rancher/out:v9', where: 'charts/out/values.yaml: image', off: 'out.enabled is false' },
    ])
  })
})

describe('helm', () => {
  const rendered = async (tgz: Buffer, ...args: string[]): Promise<string[]> => {
    const file = join(folder, 'rendered.tgz')
    writeFileSync(file, tgz)
    const made = await runHelm('template', 'x', file, '--skip-tests', ...args)
    return [
      ...new Set(
        [...made.matchAll(/^\s*(?:- )?image: *["']?([^\s"'#]+)/gm)].map((match) => formatReference(parseReference(match[1] ?? ''))),
      ),
    ].sort()
  }

  test.skipIf(helm.skip)('makes just the images that we call needed, and takes the chart', async () => {
    const { tgz, images } = await repackChart(request(await tgzOf(demo)))
    expect(await rendered(tgz, '--kube-version', 'v1.24.8+rfor1')).toEqual(needed(images))
    expect(parse(await runHelm('show', 'chart', join(folder, 'rendered.tgz')))).toMatchObject({
      kubeVersion: '>= v1.24.8',
      annotations: { 'fleet.cattle.io/bundle-id': 'rfo' },
    })
    expect(await runHelm('lint', join(folder, 'rendered.tgz'))).toContain('0 chart(s) failed')
  })

  test.skipIf(helm.skip)('refuses an older Kubernetes; the chart of a candidate goes onto the candidate and the release', async () => {
    const tgz = await tgzOf(demo)
    const release = (await repackChart(request(tgz))).tgz
    const candidate = (await repackChart(request(tgz, { kubernetes: '1.24.8-rc1' }))).tgz
    await expect(rendered(release, '--kube-version', 'v1.24.7+rfor1')).rejects.toThrow(/incompatible/)
    expect(await rendered(candidate, '--kube-version', 'v1.24.8-rc1+rfor1')).not.toEqual([])
    expect(await rendered(candidate, '--kube-version', 'v1.24.8+rfor1')).not.toEqual([])
  })

  test.skipIf(helm.skip)('takes every stand-in chart of a release, with the images of its lists', async () => {
    const renames = imageRenames(plan)
    const listed = new Set(plan.images.map((image) => image.reference))
    const charts = standInCharts(plan)
    const files = []
    for (const { plan: chart, bytes } of charts) {
      const { tgz, images } = await repackChart({
        name: chart.name,
        version: chart.version,
        tgz: bytes,
        kubernetes: '1.24.8',
        images: renames,
        epoch: plan.epoch,
      })
      expect(needed(images).filter((reference) => !listed.has(reference))).toEqual([])
      const file = join(folder, `${chart.name}-${chart.version}.tgz`)
      writeFileSync(file, tgz)
      files.push(file)
    }
    expect(await runHelm('lint', ...files)).toContain(`${charts.length} chart(s) linted, 0 chart(s) failed`)
  })

  test.skipIf(helm.skip)('pushes it to a registry and pulls the same bytes', async () => {
    const registry = await startRegistry()
    try {
      const { tgz } = await repackChart(request(await tgzOf(demo)))
      writeFileSync(join(folder, 'demo-1.19.401.tgz'), tgz)
      await runHelm('push', 'demo-1.19.401.tgz', `oci://${registry.host}/charts`, '--plain-http')
      mkdirSync(join(folder, 'pulled'))
      await runHelm('pull', `oci://${registry.host}/charts/demo`, '--version', '1.19.401', '--plain-http', '-d', 'pulled')
      expect(readFileSync(join(folder, 'pulled', 'demo-1.19.401.tgz')).equals(tgz)).toBe(true)
    } finally {
      await registry.close()
    }
  })
})

describe('HelmChart manifests', () => {
  const base = {
    name: 'rke2-coredns',
    namespace: 'kube-system',
    bootstrap: true,
    url: 'https://rke2-charts.rancher.io/x.tgz',
    tgz: Buffer.from('tgz'),
  }

  test('golden, and any YAML reader gets the chart back', () => {
    const manifest = helmChartManifest(base)
    expect(manifest).toBe(`apiVersion: helm.cattle.io/v1
kind: HelmChart
metadata:
  name: "rke2-coredns"
  namespace: "kube-system"
  annotations:
    helm.cattle.io/chart-url: "https://rke2-charts.rancher.io/x.tgz"
spec:
  bootstrap: true
  chartContent: dGd6
`)
    expect(Buffer.from(parse(manifest).spec.chartContent, 'base64').toString()).toBe('tgz')
    expect(helmChartFile('rke2-coredns')).toBe('/charts/rke2-coredns.yaml')
  })

  test('names and sizes that a cluster would refuse', () => {
    expect(() => helmChartManifest({ ...base, name: 'a"\nb: c' })).toThrow(/not names of Kubernetes/)
    expect(() => helmChartManifest({ ...base, tgz: Buffer.alloc(1_200_000) })).toThrow(/etcd takes/)
  })

  test('every chart of the plan is known to be needed early, or not', () => {
    expect(plan.charts.filter(({ name }) => !isBootstrap(name)).map(({ name }) => name)).toEqual([
      'rke2-ingress-nginx',
      'rke2-metrics-server',
    ])
    expect(() => isBootstrap('constructor')).toThrow(/nobody has said/)
  })
})
