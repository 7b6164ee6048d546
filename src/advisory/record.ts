/** What an advisory says, whichever format it came in: the same record for the same advisory. Plain JSON. */
import type { Severity } from '../plan/gate.ts'
import { severities } from '../plan/gate.ts'

/** A source package of one stream of openEuler that is mended in this version. */
export interface FixedSource {
  /** `24.03-LTS-SP1` */
  readonly stream: string
  /** name of the source package */
  readonly source: string
  /** `[epoch:]version-release` of the first one that has the fix */
  readonly fixed: string
}

export interface OpenEulerRecord {
  readonly kind: 'openeuler'
  /** `openEuler-SA-2024-1234` */
  readonly id: string
  /** ISO 8601 in UTC, to the second; '' = not said */
  readonly published: string
  readonly severity: Severity
  /** CVE → its severity; `unknown` = the advisory's is all that is known */
  readonly cves: Readonly<Record<string, Severity>>
  readonly affected: readonly FixedSource[]
}

/** `introduced` and `fixed` as semantic versions without `v`; no `fixed` = no fix is known. */
export interface GoRange {
  readonly introduced: string
  readonly fixed?: string
}

export interface GoRecord {
  readonly kind: 'go'
  /** `GO-2024-1234` */
  readonly id: string
  readonly published: string
  /** what others call it: CVE and GHSA identifiers, sorted */
  readonly aliases: readonly string[]
  readonly affected: readonly { readonly module: string; readonly ranges: readonly GoRange[] }[]
}

export type AdvisoryRecord = OpenEulerRecord | GoRecord

/** Why a document is left out, in one word for counting. */
export const defects = ['empty', 'missing', 'broken', 'unknown-form', 'oversized'] as const
export type Defect = (typeof defects)[number]

/** What a document turned out to be. `withdrawn` and the like are whole and say nothing that is read. */
export type Reading =
  | {
      readonly record: AdvisoryRecord
      /** bytes that are no UTF-8 were replaced */ readonly badUtf8?: true
    }
  | { readonly defect: Defect }
  | { readonly nothing: 'withdrawn' | 'other-ecosystem' | 'csaf-vex' }

/** Critical, Important, Moderate and the rest, in any case, as each format calls them. */
export function severityOf(text: unknown): Severity {
  const word = typeof text === 'string' ? text.trim().toLowerCase() : ''
  if (word === 'important') return 'high'
  if (word === 'moderate') return 'medium'
  return severities.find((each) => each === word) ?? 'unknown'
}

/** https://www.first.org/cvss/v3.1/specification-document#Qualitative-Severity-Rating-Scale */
export function severityOfScore(score: unknown): Severity {
  const value = typeof score === 'number' ? score : typeof score === 'string' && score.trim() !== '' ? Number(score) : Number.NaN
  if (!(value > 0 && value <= 10)) return 'unknown'
  return value >= 9 ? 'critical' : value >= 7 ? 'high' : value >= 4 ? 'medium' : 'low'
}

/** The more severe of two; anything is more than `unknown`. */
export function worse(a: Severity, b: Severity): Severity {
  return severities.indexOf(a) <= severities.indexOf(b) ? a : b
}

/** ISO 8601 in UTC to the second, or '' for what is no time. */
export function timeText(text: unknown): string {
  const milliseconds = typeof text === 'string' && /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(milliseconds) ? '' : new Date(milliseconds).toISOString().replace(/\.\d+Z$/, 'Z')
}

/** `openEuler-SA-2024-1234`, `OESA-2024-1234`, any case: one advisory. undefined = no advisory of openEuler. */
export function advisoryId(text: unknown): string | undefined {
  const [, year, number] = (typeof text === 'string' && /^(?:openeuler-sa|oesa)-(\d{4})-(\d{4,8})$/i.exec(text.trim())) || []
  return year === undefined ? undefined : `openEuler-SA-${year}-${number}`
}

export function cveId(text: unknown): string | undefined {
  const [found] = (typeof text === 'string' && /^CVE-\d{4}-\d{4,19}$/i.exec(text.trim())) || []
  return found?.toUpperCase()
}

/**
 * `openEuler:24.03-LTS-SP1`, `cpe:/a:openEuler:openEuler:22.03-LTS`, `openEuler-22.03-LTS`, and what has been seen besides:
 * `20.03-LTS-LTS-SP4`. undefined = names no stream.
 */
export function streamOf(text: unknown): string | undefined {
  if (typeof text !== 'string' || text.length > 300) return undefined
  const [, version, pack] =
    /^(?:cpe:\/a:openEuler:openEuler|openEuler)[:-](\d\d\.\d\d)-LTS(?:-LTS)?(?:-(SP\d{1,2}))?$/i.exec(text.trim()) ?? []
  return version === undefined ? undefined : `${version}-LTS${pack === undefined ? '' : `-${pack.toUpperCase()}`}`
}

/** `openssl-1.1.1m-15.oe2203.src.rpm` → its name and version. An epoch in front of the version, as some write it, is kept. */
export function sourcePackage(file: unknown): { readonly source: string; readonly evr: string } | undefined {
  if (typeof file !== 'string' || file.length > 400) return undefined
  const [, source, version, release] = /^([^\s/]+)-([^\s/-]+)-([^\s/-]+)\.(?:no)?src(?:\.rpm)?$/.exec(file.trim()) ?? []
  return source === undefined ? undefined : { source, evr: `${version}-${release}` }
}

export function sortedUnique(texts: Iterable<string>): string[] {
  return [...new Set(texts)].sort()
}

/** One of each, in one order. */
export function sortedSources(all: Iterable<FixedSource>): FixedSource[] {
  const byText = new Map([...all].map((each) => [`${each.stream}\0${each.source}\0${each.fixed}`, each]))
  return [...byText].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, each]) => each)
}

/** Two documents of one advisory, of whatever formats: all that either says. What is said twice is once. */
export function merged(a: AdvisoryRecord, b: AdvisoryRecord): AdvisoryRecord {
  const published = [a.published, b.published].filter((each) => each !== '').sort()[0] ?? ''
  if (a.kind === 'openeuler' && b.kind === 'openeuler') {
    const cves: Record<string, Severity> = {}
    for (const name of sortedUnique([...Object.keys(a.cves), ...Object.keys(b.cves)]))
      cves[name] = worse(a.cves[name] ?? 'unknown', b.cves[name] ?? 'unknown')
    return { ...a, published, severity: worse(a.severity, b.severity), cves, affected: sortedSources([...a.affected, ...b.affected]) }
  }
  if (a.kind === 'go' && b.kind === 'go') {
    const text = (each: GoRecord['affected'][number]): string => JSON.stringify([each.module, each.ranges])
    const affected = new Map([...a.affected, ...b.affected].map((each) => [text(each), each]))
    return {
      ...a,
      published,
      aliases: sortedUnique([...a.aliases, ...b.aliases]),
      affected: [...affected].sort(([x], [y]) => (x < y ? -1 : 1)).map(([, each]) => each),
    }
  }
  throw new TypeError(`${a.id} and ${b.id} are of different kinds`)
}
