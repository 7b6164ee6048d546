/** Where documents lie and what each is: the layouts of openEuler's and Go's servers, and any folder of files. */

import { readCsaf } from './csaf.ts'
import { readCvrf } from './cvrf.ts'
import type { Place } from './fetch.ts'
import { isSafePath } from './fetch.ts'
import { type OpenVexReading, readVexDocument } from './openvex.ts'
import { readOsv } from './osv.ts'
import type { Reading } from './record.ts'
import type { SourceKind } from './snapshot.ts'
import { documentText, jsonOf, listOf, member, textOf } from './text.ts'

/** Real sources, and what a person gets who names none. */
export const publicSources = ['https://repo.openeuler.org/security/data/', 'https://vuln.go.dev/'] as const

/** A document that an index names. */
export interface Listed {
  readonly kind: SourceKind | 'any'
  /** the first that is there counts: names differ in case between index and server */
  readonly paths: readonly [string, ...string[]]
  /** when the index says that it changed; absent = ask the server */
  readonly modified?: string
}

export type DocumentReading = Reading | OpenVexReading

/** undefined = the place holds no index that is known. */
export async function listDocuments(place: Place): Promise<Listed[] | undefined> {
  const files = await place.list('')
  if (files !== undefined) return files.filter((path) => /\.(json|xml)$/i.test(path)).map((path) => ({ kind: 'any', paths: [path] }))
  const found: Listed[] = []
  let known = false
  for (const { index, of } of layouts) {
    const answer = await place.read(index)
    if (!('bytes' in answer)) continue
    const listed = of(documentText(answer.bytes).text)
    if (listed === undefined) continue
    known = true
    found.push(...listed)
  }
  return known ? found : undefined
}

/** bounds what a hostile index makes us ask for */
const maxListed = 200_000

const layouts: readonly { readonly index: string; readonly of: (text: string) => Listed[] | undefined }[] = [
  { index: 'csaf/advisories/index.txt', of: (text) => lines(text, 'openeuler-csaf', 'csaf/advisories/', /\.json$/i) },
  { index: 'cvrf/index.txt', of: (text) => lines(text, 'openeuler-cvrf', 'cvrf/', /\.xml$/i) },
  { index: 'osv/all.json', of: (text) => entries(text, 'openeuler-osv', 'osv/') },
  // https://go.dev/security/vuln/database#api
  { index: 'index/vulns.json', of: (text) => entries(text, 'go', 'ID/') },
]

/** One path a line; a year's folder may be left out of a line, and case is nobody's care. */
function lines(text: string, kind: SourceKind, root: string, end: RegExp): Listed[] {
  const found = new Map<string, Listed>()
  for (const line of text.split('\n', maxListed)) {
    const path = line
      .trim()
      .replace(/^\uFEFF/, '')
      .replace(/^(\.?\/)+/, '')
    if (!isSafePath(path) || !end.test(path)) continue
    const year = /-(\d{4})-\d{4,8}\.\w+$/.exec(path)?.[1]
    const whole = root + (path.includes('/') || year === undefined ? path : `${year}/${path}`)
    found.set(whole.toLowerCase(), { kind, paths: spellings(whole) })
  }
  return [...found.values()]
}

function spellings(path: string): [string, ...string[]] {
  const [folder, name] = [path.slice(0, path.lastIndexOf('/') + 1), path.slice(path.lastIndexOf('/') + 1)]
  const others = [name.replace(/openeuler-sa/i, 'openEuler-SA'), name.replace(/openeuler-sa/i, 'openeuler-sa')]
  return [path, ...new Set(others.map((other) => folder + other).filter((other) => other !== path))]
}

/** `[{id, modified}]`; undefined for what is no list. */
function entries(text: string, kind: SourceKind, root: string): Listed[] | undefined {
  const value = jsonOf(text)
  if (!Array.isArray(value)) return undefined
  const found = new Map<string, Listed>()
  for (const entry of listOf(value, maxListed)) {
    const id = textOf(entry) ?? textOf(member(entry, 'id'))
    if (id === undefined || !isSafePath(id)) continue
    const modified = textOf(member(entry, 'modified'))
    const path = `${root}${id.replace(/\.json$/, '')}.json`
    found.set(path, { kind, paths: [path], ...(modified === undefined || modified.length > 100 ? {} : { modified }) })
  }
  return [...found.values()]
}

/** What a document is, and what it says. `any` is told from its content; undefined = none of ours, such as an index. */
export function readDocument(
  bytes: Uint8Array,
  kind: Listed['kind'],
): { readonly kind: SourceKind; readonly reading: DocumentReading } | undefined {
  const document = documentText(bytes)
  const is = kind === 'any' ? kindOf(document.text) : kind
  if (is === undefined) return undefined
  if (document.text.trim() === '') return { kind: is, reading: { defect: 'empty' } }
  return { kind: is, reading: readers[is](document) }
}

const readers: Readonly<Record<SourceKind, (document: ReturnType<typeof documentText>) => DocumentReading>> = {
  'openeuler-csaf': readCsaf,
  'openeuler-cvrf': readCvrf,
  'openeuler-osv': readOsv,
  go: readOsv,
  openvex: readVexDocument,
}

/** A file in a folder may be anything. What is broken is told by its beginning, so that it counts where it belongs. */
function kindOf(text: string): SourceKind | undefined {
  const start = text.slice(0, 100_000)
  if (/^\uFEFF?\s*</.test(start)) return /cvrf/i.test(start) ? 'openeuler-cvrf' : undefined
  const value = jsonOf(text)
  if (value === undefined) {
    if (start.includes('"csaf_version"')) return 'openeuler-csaf'
    if (start.includes('openvex.dev/ns')) return 'openvex'
    return /"id"\s*:\s*"(OESA|openEuler-SA)-/i.test(start) ? 'openeuler-osv' : /"id"\s*:\s*"GO-/.test(start) ? 'go' : undefined
  }
  if (member(value, 'document', 'tracking') !== undefined) return 'openeuler-csaf'
  if (textOf(member(value, '@context'))?.startsWith('https://openvex.dev/ns') === true) return 'openvex'
  const id = textOf(member(value, 'id'))
  if (id === undefined || !Array.isArray(member(value, 'affected'))) return undefined
  return /^(OESA|openEuler-SA)-/i.test(id) ? 'openeuler-osv' : 'go'
}
