/** RKE2's own files at a tag → what it ships there. Texts in, values out; getting them is another matter. */
import { z } from 'zod'
import { RfoError } from '../error.ts'
import { isDigest } from '../oci/digest.ts'
import type { UpstreamRelease } from '../plan/component.ts'
import { parseImageName } from '../plan/reference.ts'
import { parseUpstreamVersion, spell } from '../plan/version.ts'
import { readYaml } from '../plan/yaml.ts'

export interface UpstreamTexts {
  /** `v1.24.8+rke2r1` */
  readonly version: string
  /** of RKE2's repository */
  readonly commit: string
  /** ISO 8601, of the commit */
  readonly date: string
  /** how the texts were had, in one sentence */
  readonly how: string
  /** `images-core.txt` (or `rke2-images-core.linux-amd64.txt`) → its text */
  readonly lists: Readonly<Record<string, string>>
  /** the Dockerfile, or its chart lines; or charts/chart_versions.yaml, which took their place */
  readonly charts: string
  /** chart name → sha256 of its file, where somebody knows it */
  readonly chartDigests?: Readonly<Record<string, string>>
  /** images that its Dockerfile copies programs from, and no list names */
  readonly unlisted?: readonly string[]
}

const maxText = 1024 * 1024
const chartHost = 'https://rke2-charts.rancher.io/assets'

/** Throws RFO_UPSTREAM_LIST or RFO_UPSTREAM_CHART, with file and line; RFO_PLAN_VERSION. */
export function readUpstream(texts: UpstreamTexts): UpstreamRelease {
  const version = spell(parseUpstreamVersion(texts.version))
  if (!/^[0-9a-f]{40}$/.test(texts.commit)) throw complaint('RFO_UPSTREAM_LIST', `not a commit: ${texts.commit.slice(0, 60)}`, version)
  const groups: Record<string, string[]> = {}
  for (const [file, text] of Object.entries(texts.lists).sort(([a], [b]) => order(a, b))) {
    const group = groupOf(file)
    // RKE2's `images.txt` is core and canal again, for older installers
    if (group === undefined) continue
    if (groups[group] !== undefined) throw complaint('RFO_UPSTREAM_LIST', `group ${group} comes from two files`, file)
    groups[group] = readList(text, file)
  }
  if (groups.core === undefined) throw complaint('RFO_UPSTREAM_LIST', 'there is no list of the group core', version)
  return {
    version,
    commit: texts.commit,
    date: texts.date,
    how: texts.how,
    groups,
    unlisted: [...(texts.unlisted ?? [])],
    charts: readCharts(texts.charts, texts.chartDigests ?? {}),
  }
}

/** `images-core.txt`, `rke2-images-core.linux-amd64.txt` → `core`; `images.txt` and the list of all → undefined. */
function groupOf(file: string): string | undefined {
  const group = /^(?:rke2-)?images-([a-z0-9-]+)(?:\.linux-[a-z0-9]+)?\.txt$/.exec(file.slice(file.lastIndexOf('/') + 1))?.[1]
  return group === 'all' ? undefined : group
}

function order(a: string, b: string): number {
  const core = Number(groupOf(b) === 'core') - Number(groupOf(a) === 'core')
  return core !== 0 ? core : a < b ? -1 : 1
}

/** One reference a line, in order. Lines end with a line feed alone: a stray U+2028 is an error and not a line. */
export function readList(text: string, file: string): string[] {
  if (text.length > maxText) throw complaint('RFO_UPSTREAM_LIST', `more than ${maxText} characters`, file)
  const references: string[] = []
  for (const [at, line] of text.split('\n').entries()) {
    if (line === '') continue
    const where = `${file}:${at + 1}:1`
    parseImageName(line, where)
    if (references.includes(line)) throw complaint('RFO_UPSTREAM_LIST', `${line} is there twice`, where)
    references.push(line)
  }
  if (references.length === 0) throw complaint('RFO_UPSTREAM_LIST', 'it names no image', file)
  return references
}

/** A chart as RKE2 writes it down; `file` names it. */
interface ChartLine {
  readonly version: string | undefined
  readonly file: string | undefined
  readonly package: string | undefined
  readonly bootstrap?: boolean | undefined
  readonly where: string
  readonly text: string
}

/** Both of RKE2's forms. Version 0.0.0 is a removed chart. */
export function readCharts(text: string, digests: Readonly<Record<string, string>>): UpstreamRelease['charts'] {
  if (text.length > maxText) throw complaint('RFO_UPSTREAM_CHART', `more than ${maxText} characters`, 'charts')
  const charts: UpstreamRelease['charts'] = []
  for (const { version, file, package: given, bootstrap, where, text: line } of /^charts:/m.test(text) ? yamlLines(text) : runLines(text)) {
    const name = /\/([a-z0-9-]+)\.yaml$/.exec(file ?? '')?.[1]
    const readable = version !== undefined && /^[A-Za-z0-9.+-]+$/.test(version) && /^[a-z0-9-]+$/.test(given ?? 'x')
    if (!readable || name === undefined) throw complaint('RFO_UPSTREAM_CHART', `no chart can be read from: ${line.slice(0, 200)}`, where)
    if (version === '0.0.0') continue
    if (charts.some((chart) => chart.name === name)) throw complaint('RFO_UPSTREAM_CHART', `${name} is there twice`, where)
    const packageName = given ?? name.replace(/-crd$/, '')
    const digest = digests[name] ?? null
    if (digest !== null && !isDigest(digest))
      throw complaint('RFO_UPSTREAM_CHART', `${name}: not a sha256 digest: ${digest.slice(0, 100)}`, where)
    const url = `${chartHost}/${packageName}/${name}-${version}.tgz`
    charts.push({ name, version, url, digest, ...(bootstrap === undefined ? {} : { bootstrap }) })
  }
  return charts
}

/** `RUN CHART_VERSION="1.19.401" CHART_FILE=/charts/rke2-coredns.yaml ... build-chart.sh` lines of the Dockerfile. */
function runLines(text: string): ChartLine[] {
  return text.split('\n').flatMap((line, at): ChartLine[] => {
    if (!/^RUN .*CHART_VERSION=/.test(line)) return []
    const value = (name: string): string | undefined => new RegExp(`\\b${name}="?([^"\\s]+)"?`).exec(line)?.[1]
    const [version, file, own] = [value('CHART_VERSION'), value('CHART_FILE'), value('CHART_PACKAGE')]
    return [{ version, file, package: own, where: `charts:${at + 1}:1`, text: line }]
  })
}

const ChartVersions = z.object({
  charts: z
    .array(z.object({ version: z.string(), filename: z.string(), package: z.string().optional(), bootstrap: z.boolean().optional() }))
    .max(1000),
})

/** charts/chart_versions.yaml: `charts: [{version, filename, bootstrap, package}]`. */
function yamlLines(text: string): ChartLine[] {
  const reading = readYaml(ChartVersions, text)
  if ('problems' in reading) {
    const [first] = reading.problems
    throw complaint('RFO_UPSTREAM_CHART', first?.message ?? 'it can not be read', `charts:${first?.line ?? 1}:${first?.column ?? 1}`)
  }
  return reading.value.charts.map(({ version, filename, package: own, bootstrap }, at) => {
    const { line, column } = reading.placeOf(['charts', at])
    return { version, file: filename, package: own, bootstrap, where: `charts:${line}:${column}`, text: `${version} ${filename}` }
  })
}

function complaint(code: 'RFO_UPSTREAM_LIST' | 'RFO_UPSTREAM_CHART', message: string, where: string): RfoError {
  return new RfoError(code, message, { exit: 'usage', where, next: 'give the files as RKE2 has them at this tag' })
}
