/** The YAML files of a chart: read as helm reads them, changed where they must change and nowhere else. */
import { type Document, isMap, isScalar, parseDocument, type Scalar, visit } from 'yaml'
import { z } from 'zod'
import type { Json } from '../oci/json.ts'
import { noChart, quoted } from './chart-archive.ts'

/** cilium's values.yaml has 75 KB. */
const maxYamlBytes = 4 * 1024 * 1024
/** Aliases multiply: https://en.wikipedia.org/wiki/Billion_laughs_attack */
const maxAliases = 100

/** Chart.yaml: https://helm.sh/docs/topics/charts/#the-chartyaml-file; fields that are not named here are kept. */
export const ChartMetadata = z.looseObject({
  apiVersion: z.string(),
  name: z.string(),
  version: z.string(),
  appVersion: z.union([z.string(), z.number()]).transform(String).optional(),
  kubeVersion: z.string().optional(),
  annotations: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]).transform(String)).optional(),
  dependencies: z.array(z.looseObject({ name: z.string(), alias: z.string().optional(), condition: z.string().optional() })).nullish(),
})
export type ChartMetadata = z.infer<typeof ChartMetadata>

/** The values of a YAML file; an empty one has none. Throws RFO_PACK_CHART. */
export function valuesOf(bytes: Uint8Array, chart: string, file: string): unknown {
  const document = parse(bytes, chart, file, { merge: true, uniqueKeys: false })
  try {
    return document.toJS({ maxAliasCount: maxAliases }) ?? {}
  } catch (cause) {
    throw noChart(chart, `${file}: ${(cause as Error).message}`, cause)
  }
}

export function metadataOf(bytes: Uint8Array, chart: string): ChartMetadata {
  const parsed = ChartMetadata.safeParse(valuesOf(bytes, chart, 'Chart.yaml'))
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw noChart(chart, `Chart.yaml: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'malformed'}`)
}

/** Chart.yaml as helm's JSON has it: whatever is spelt, members are texts, but for those that helm reads as truth values. */
export function metadataJson(bytes: Uint8Array, chart: string): Json {
  const value: unknown = parse(bytes, chart, 'Chart.yaml', { schema: 'failsafe' }).toJS({ maxAliasCount: maxAliases })
  if (!isRecord(value)) throw noChart(chart, 'Chart.yaml is not a map')
  return typed(value) ?? {}
}

/** https://github.com/helm/helm/blob/v3.19.0/pkg/chart/metadata.go#L45 and dependency.go#L25 */
const truthValues = ['deprecated', 'enabled']

/** Undefined = an empty value, which leaves its member out. */
function typed(value: unknown): Json | undefined {
  if (Array.isArray(value)) return value.flatMap((each) => typed(each) ?? [])
  if (!isRecord(value)) return value === null || value === '' ? undefined : String(value)
  const members = Object.entries(value).map(([key, each]) => {
    const known = truthValues.includes(key) && (each === 'true' || each === 'false')
    return [key, known ? each === 'true' : typed(each)] as const
  })
  return Object.fromEntries(members.filter((member): member is readonly [string, Json] => member[1] !== undefined))
}

/** Chart.yaml with `kubeVersion` and one annotation more; what else it says stays as it is spelt. */
export function withRequirement(bytes: Uint8Array, chart: string, kubeVersion: string, annotation: readonly [string, string]): Buffer {
  // failsafe: every scalar is a string and is written as it stood, `1.10` and `yes` too
  const document = parse(bytes, chart, 'Chart.yaml', { schema: 'failsafe', uniqueKeys: true })
  if (!isMap(document.contents)) throw noChart(chart, 'Chart.yaml is not a map')
  document.set('kubeVersion', kubeVersion)
  const [key, value] = annotation
  if (isMap(document.get('annotations'))) document.setIn(['annotations', key], value)
  else document.set('annotations', document.createNode({ [key]: value }))
  return Buffer.from(document.toString({ lineWidth: 0, indentSeq: false }))
}

/** What an image of upstream's is called instead; `from` is the one tag that is replaced. */
export interface NewName {
  readonly repository: string
  readonly tag: { readonly from: string; readonly to: string }
}

/**
 * The file with images renamed. Only a value that is wholly a repository, or a repository with a tag, is one; and the `tag`
 * or `version` beside a repository. All other bytes, comments among them, stay.
 */
export function withImages(bytes: Buffer, chart: string, file: string, renames: ReadonlyMap<string, NewName>): Buffer {
  const document = parse(bytes, chart, file, { uniqueKeys: false })
  const text = utf8(bytes)
  const edits: { readonly from: number; readonly to: number; readonly text: string }[] = []
  const edit = (node: Scalar, to: string): void => {
    if (node.range == null) return
    const quote = node.type === 'QUOTE_DOUBLE' ? '"' : node.type === 'QUOTE_SINGLE' ? "'" : ''
    edits.push({ from: node.range[0], to: node.range[1], text: `${quote}${to}${quote}` })
  }
  visit(document, {
    Scalar(key, node, path) {
      if (key === 'key' || !isLine(node) || typeof node.value !== 'string') return
      const found = /^((?:docker\.io|index\.docker\.io)\/)?([a-z0-9][a-z0-9._/-]*)(?::([A-Za-z0-9_][A-Za-z0-9._-]*))?$/.exec(node.value)
      const name = renames.get(found?.[2] ?? '')
      if (name === undefined) return
      const tag = found?.[3]
      edit(node, `${found?.[1] ?? ''}${name.repository}${tag === undefined ? '' : `:${tag === name.tag.from ? name.tag.to : tag}`}`)
      const beside = tag === undefined ? tagBeside(path) : undefined
      if (beside !== undefined && String(beside.value) === name.tag.from) edit(beside, name.tag.to)
    },
  })
  let out = ''
  let at = 0
  for (const edit of edits.sort((a, b) => a.from - b.from)) {
    // a repository that one map names twice has one tag
    if (edit.from < at) continue
    out += text.slice(at, edit.from) + edit.text
    at = edit.to
  }
  return edits.length === 0 ? bytes : Buffer.from(out + text.slice(at))
}

/** A block scalar's range takes in the line break behind it. */
function isLine(node: Scalar): boolean {
  return node.type !== 'BLOCK_LITERAL' && node.type !== 'BLOCK_FOLDED'
}

/** As helm has it, `1.30` without quotes is 1.3. `tag`, or `version` where there is none, of the map that a value stands in: what chart-images.ts reads as its tag. */
function tagBeside(path: readonly unknown[]): Scalar | undefined {
  const map = path.findLast((each) => isMap(each))
  const values = ['tag', 'version'].map((key) => map?.get(key, true))
  return values.find((value): value is Scalar => isScalar(value) && isLine(value))
}

function parse(bytes: Uint8Array, chart: string, file: string, options: object): Document.Parsed {
  if (bytes.length > maxYamlBytes) throw noChart(chart, `${file} has ${bytes.length} bytes`)
  let document: Document.Parsed
  try {
    document = parseDocument(utf8(bytes), { prettyErrors: false, strict: true, version: '1.2', ...options })
  } catch (cause) {
    // not UTF-8, or nested so deeply that the parser's stack ends
    throw noChart(chart, `${file}: ${(cause as Error).message}`, cause)
  }
  const [error] = document.errors
  if (error !== undefined) throw noChart(chart, `${file}: ${quoted(error.message)}`)
  return document
}

/** A byte order mark stays, so that offsets in the text are offsets in the file. */
function utf8(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
}

/** True for a map of values; null and lists are none. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
