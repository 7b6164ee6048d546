/**
 * Which images a chart names, with the values that it brings: read off values.yaml in the shapes that RKE2's charts have,
 * and off literal `image:` lines of its templates.
 */
import { satisfies } from 'semver'
import { RfoError } from '../error.ts'
import { formatReference, parseReference } from '../oci/reference.ts'
import { type ChartFiles, noChart } from './chart-archive.ts'
import { escaped, type Guards, guardsOf, whyOff, whyPlaceOff } from './chart-guards.ts'
import { type ChartMetadata, isRecord, metadataOf, valuesOf } from './chart-yaml.ts'

export interface ChartImage {
  /** `docker.io/rfolabs/hardened-coredns:v1.9.3-build20221011`; without tag when the chart names none */
  readonly reference: string
  /** `values.yaml: autoscaler.image`, `templates/job.yaml:12` */
  readonly where: string
  /** why the chart's own values leave it out; absent = it is needed */
  readonly off?: string
}

/** cilium names 12 */
const maxImages = 500
/** cilium's have 470 KB */
const maxTemplateBytes = 2 * 1024 * 1024

interface Scan {
  readonly chart: string
  /** '' for the chart itself, `charts/x/` for one inside it */
  readonly folder: string
  readonly metadata: ChartMetadata
  readonly values: Readonly<Record<string, unknown>>
  readonly templates: Guards
  /** the chart around it leaves this one out */
  readonly off: string | undefined
  readonly found: ChartImage[]
}

/** Sorted, each reference once a place. `kubernetes` like `1.24.8`: some charts choose by it. Throws RFO_PACK_CHART. */
export function chartImages(files: ChartFiles, chart: string, kubernetes: string): readonly ChartImage[] {
  const packed = [...files.keys()].find((path) => /^(.*\/)?charts\/[^/]+\.tgz$/.test(path))
  if (packed !== undefined) throw noChart(chart, `${packed} is a packed chart: its images can't be seen`)
  const found: ChartImage[] = []
  scanChart(files, { chart, folder: '', found, kubernetes, off: undefined, given: {} }, 0)
  return found.sort((a, b) => (a.reference === b.reference ? (a.where < b.where ? -1 : 1) : a.reference < b.reference ? -1 : 1))
}

interface At extends Pick<Scan, 'chart' | 'folder' | 'found' | 'off'> {
  readonly kubernetes: string
  /** values that the chart around it gives */
  readonly given: unknown
}

function scanChart(files: ChartFiles, at: At, depth: number): void {
  const { chart, folder, found, kubernetes } = at
  const chartFile = files.get(`${folder}Chart.yaml`)
  if (chartFile === undefined || depth > 5) throw noChart(chart, `${folder}Chart.yaml: ${depth > 5 ? 'too deep' : 'not there'}`)
  const metadata = metadataOf(chartFile, chart)
  const own = files.get(`${folder}values.yaml`)
  const merged = merge(own === undefined ? {} : valuesOf(own, chart, `${folder}values.yaml`), at.given)
  if (!isRecord(merged)) throw noChart(chart, `${folder}values.yaml is not a map`)
  const values = withOverrides(merged, kubernetes)
  const texts = [...files].filter(([path]) => path.startsWith(`${folder}templates/`))
  if (texts.reduce((sum, [, bytes]) => sum + bytes.length, 0) > maxTemplateBytes) throw noChart(chart, 'its templates are too large')
  const templates = guardsOf(
    texts.map(([path, bytes]) => ({ path, text: bytes.toString('utf8') })),
    values,
  )
  const scan: Scan = { chart, folder, metadata, values, templates, off: at.off, found }
  walk(scan, values, [])
  operatorImages(scan)
  literalImages(scan)
  const inner = new Set(
    [...files.keys()].flatMap((path) =>
      path.startsWith(`${folder}charts/`) ? [path.slice(`${folder}charts/`.length).split('/')[0] ?? ''] : [],
    ),
  )
  for (const name of inner) {
    if (!files.has(`${folder}charts/${name}/Chart.yaml`)) continue
    const dependency = metadata.dependencies?.find((each) => each.name === name)
    const key = dependency?.alias ?? name
    const condition = dependency?.condition?.split(',').find((path) => typeof valueAt(values, path.trim()) === 'boolean')
    const off = condition !== undefined && valueAt(values, condition.trim()) === false ? `${condition.trim()} is false` : at.off
    const given = merge(isRecord(values[key]) ? values[key] : {}, { global: values.global })
    scanChart(files, { ...at, folder: `${folder}charts/${name}/`, off, given }, depth + 1)
  }
}

/** `versionOverrides` of the vSphere charts: values that depend on Kubernetes. What can't be decided stays, and is walked. */
function withOverrides(values: Readonly<Record<string, unknown>>, kubernetes: string): Readonly<Record<string, unknown>> {
  const { versionOverrides, ...rest } = values
  if (!Array.isArray(versionOverrides)) return values
  const undecided = versionOverrides.filter((each) => !isRecord(each) || typeof each.constraint !== 'string' || !isRecord(each.values))
  const chosen = versionOverrides
    .filter((each) => !undecided.includes(each) && satisfies(kubernetes, String(each.constraint).replaceAll(',', ' ')))
    .reduce<unknown>((into, each) => merge(into, each.values), rest)
  return merge(chosen, { versionOverrides: undecided }) as Readonly<Record<string, unknown>>
}

function walk(scan: Scan, value: unknown, path: readonly string[]): void {
  if (path.length > 40) throw noChart(scan.chart, 'its values are nested too deeply')
  if (Array.isArray(value)) for (const [at, each] of value.entries()) walk(scan, each, [...path, String(at)])
  if (!isRecord(value)) return
  const image = imageOf(value, path, scan)
  if (image !== undefined) {
    const off = path.length === 0 || scan.off !== undefined ? scan.off : whyOff(scan.templates, mention(path))
    add(scan, image, `${scan.folder}values.yaml: ${path.join('.')}`, off)
  }
  // a subchart's own walk sees what stands below its name
  for (const [key, inner] of Object.entries(value)) if (path.length > 0 || key !== 'global') walk(scan, inner, [...path, key])
}

/** Where templates name it: `.Values.a.b`, and not `.Values.a.bc` or another setting below it. */
function mention(path: readonly string[]): RegExp {
  return new RegExp(`\\.Values\\.${path.map(escaped).join('\\.')}(?!\\w|\\.(?!repository\\b|tag\\b|image\\b))`, 'g')
}

/** {repository, tag}, {image, tag}, {image, version, registry}, a tag with a digest behind it, an image with a suffix. */
function imageOf(map: Readonly<Record<string, unknown>>, path: readonly string[], scan: Scan): string | undefined {
  const named = text(map.repository) ?? text(map.image)
  if (named === undefined || /^[a-z+]+:\/\//.test(named)) return undefined
  if (text(map.repository) === undefined && !('tag' in map) && !('version' in map) && !named.includes('/')) return undefined
  if (typeof map.override === 'string' && map.override !== '') return map.override
  const registry = text(map.registry)
  // cilium.operator.imageName: the repository is that of three images, and the clouds are off
  const clouds = 'suffix' in map && path.includes('operator') ? `-generic${text(map.suffix) ?? ''}` : ''
  const digest = map.useDigest !== false && text(map.digest) !== undefined ? `@${text(map.digest)}` : ''
  const whole = /:[^/]+$/.test(named)
  const tag = whole ? '' : `:${text(map.tag) ?? text(map.version) ?? scan.metadata.appVersion ?? ''}`
  return `${registry === undefined ? '' : `${registry.replace(/\/$/, '')}/`}${named}${clouds}${tag}${/@/.test(tag) ? '' : digest}`.replace(
    /:$/,
    '',
  )
}

/**
 * The Calico operator makes these itself, as `imagePath` and `imagePrefix` of an Installation tell it:
 * https://docs.tigera.io/calico/latest/reference/installation/api#installationspec
 */
function operatorImages(scan: Scan): void {
  const installation = scan.values.installation
  const version = scan.metadata.appVersion
  if (!isRecord(installation) || version === undefined || text(installation.imagePath) === undefined) return
  const prefix = `${text(installation.imagePath)}/${text(installation.imagePrefix) ?? ''}`
  for (const name of ['cni', 'kube-controllers', 'node', 'pod2daemon-flexvol', 'typha', 'apiserver']) {
    const off = name === 'apiserver' && valueAt(scan.values, 'apiServer.enabled') === false ? 'apiServer.enabled is false' : scan.off
    add(scan, `${prefix}${name}:${version}`, `${scan.folder}values.yaml: installation.imagePath`, off)
  }
}

function literalImages(scan: Scan): void {
  for (const guarded of scan.templates.files) {
    let line = 1
    let counted = 0
    for (const match of guarded.file.text.matchAll(/^[ \t]*(?:-[ \t]+)?image:[ \t]*(["']?)([^\s"'{}#]+)\1[ \t]*(?:#.*)?$/gm)) {
      for (; counted < match.index; counted++) if (guarded.file.text[counted] === '\n') line++
      add(scan, match[2] ?? '', `${guarded.file.path}:${line}`, scan.off ?? whyPlaceOff(scan.templates, guarded, match.index))
    }
  }
}

/** `global.systemDefaultRegistry` of the chart's own values; on a node the supervisor gives another one, and images with it. */
function add(scan: Scan, image: string, where: string, off: string | undefined): void {
  const registry =
    text(valueAt(scan.values, 'global.systemDefaultRegistry')) ?? text(valueAt(scan.values, 'global.cattle.systemDefaultRegistry'))
  let reference: string
  try {
    reference = formatReference(parseReference(registry === undefined ? image : `${registry}/${image}`))
  } catch (thrown) {
    // a repository of something else, `https://…` or `{{ … }}`: no runtime would pull it
    if (thrown instanceof RfoError) return
    throw thrown
  }
  if (scan.found.length >= maxImages) throw noChart(scan.chart, `it names more than ${maxImages} images`)
  scan.found.push({ reference, where, ...(off === undefined ? {} : { off }) })
}

function text(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value)
  return typeof value === 'string' && value !== '' ? value : undefined
}

function valueAt(values: unknown, path: string): unknown {
  let value = values
  for (const key of path.split('.')) value = isRecord(value) && Object.hasOwn(value, key) ? value[key] : undefined
  return value
}

/** Helm's merge: maps are merged, all else is replaced. A key may be called `__proto__`. */
function merge(base: unknown, over: unknown): unknown {
  if (!isRecord(base) || !isRecord(over)) return over === undefined ? base : over
  const merged = new Map(Object.entries(base))
  for (const [key, value] of Object.entries(over)) merged.set(key, merge(merged.get(key), value))
  return Object.fromEntries(merged)
}
