/**
 * What is inside × what is known → what is hit. By source package and stream with rpm's order, by module and Go's order. Pure.
 * https://go.dev/ref/mod#versions
 */
import semver from 'semver'
import type { Severity } from '../plan/gate.ts'
import { type AdvisoryRecord, type GoRange, type GoRecord, type OpenEulerRecord, worse } from './record.ts'
import type { Snapshot } from './snapshot.ts'

/** An installed rpm, by its source. */
export interface RpmComponent {
  readonly purl: string
  readonly name: string
  readonly epoch: number
  /** name and `version-release` of the source package */
  readonly source: string
  readonly evr: string
}

/** A module that is linked into programs: after replacement, since that is what was compiled. */
export interface GoComponent {
  readonly purl: string
  /** `stdlib` for Go's own */
  readonly module: string
  /** `v1.2.3`, `go1.22.1`; '' = a folder or a checkout, of which nothing is known */
  readonly version: string
  /** programs that link it, sorted */
  readonly paths: readonly string[]
}

export interface Match {
  readonly advisory: string
  readonly kind: AdvisoryRecord['kind']
  readonly severity: Severity
  readonly published: string
  /** CVE identifiers, and for Go what else it is called */
  readonly aliases: readonly string[]
  readonly purl: string
  readonly component: string
  readonly installed: string
  /** absent = no fix is known */
  readonly fixed?: string
  readonly paths?: readonly string[]
}

/** Negative: a is older; of `[epoch:]version-release`. rpm's own order lives with rpm. */
export type RpmOrder = (a: string, b: string) => number

export interface Matcher {
  /** Whether anything is known of a stream of openEuler: silence about one proves nothing. */
  knows(stream: string): boolean
  rpm(component: RpmComponent, stream: string): Match[]
  go(component: GoComponent): Match[]
}

/** `asOf` (milliseconds): only what was published by then; what says no time counts. */
export function matcherOf({ records }: Pick<Snapshot, 'records'>, order: RpmOrder, asOf: number): Matcher {
  const streams = new Set<string>()
  const bySource = new Map<string, { readonly record: OpenEulerRecord; readonly fixed: string }[]>()
  const byModule = new Map<string, { readonly record: GoRecord; readonly ranges: readonly GoRange[] }[]>()
  const byCve = new Map<string, Severity>()
  const push = <T>(map: Map<string, T[]>, key: string, value: T): void => {
    const list = map.get(key)
    if (list === undefined) map.set(key, [value])
    else list.push(value)
  }
  for (const record of records) {
    const known = record.published === '' || Date.parse(record.published) <= asOf
    if (record.kind === 'openeuler') {
      for (const [cve, severity] of Object.entries(record.cves)) byCve.set(cve, worse(byCve.get(cve) ?? 'unknown', severity))
      for (const { stream, source, fixed } of record.affected) {
        streams.add(stream)
        if (known) push(bySource, `${stream}\0${source}`, { record, fixed })
      }
    } else if (known) for (const { module, ranges } of record.affected) push(byModule, module, { record, ranges })
  }
  return {
    knows: (stream) => streams.has(stream),
    rpm({ purl, name, epoch, source, evr }, stream) {
      const found = new Map<string, Match>()
      for (const { record, fixed } of bySource.get(`${stream}\0${source}`) ?? []) {
        // an advisory's file names know no epoch: then none counts
        const withEpoch = /^\d+:/.test(fixed)
        if (order(withEpoch ? `${epoch}:${evr}` : evr, fixed) >= 0) continue
        const before = found.get(record.id)?.fixed
        // an advisory that names two versions is answered by the newer
        if (before !== undefined && order(before.replace(/^\d+:/, ''), fixed.replace(/^\d+:/, '')) >= 0) continue
        const { id, kind, severity, published, cves } = record
        const worst = severity === 'unknown' ? Object.values(cves).reduce(worse, 'unknown') : severity
        found.set(id, {
          advisory: id,
          kind,
          severity: worst,
          published,
          aliases: Object.keys(cves),
          purl,
          component: name,
          installed: epoch === 0 ? evr : `${epoch}:${evr}`,
          fixed,
        })
      }
      return [...found.values()]
    },
    go({ purl, module, version, paths }) {
      const installed = goVersion(version)
      if (installed === undefined) return []
      return (byModule.get(module) ?? []).flatMap(({ record, ranges }): Match[] => {
        const hit = ranges.find((range) => within(installed, range))
        if (hit === undefined) return []
        const { id, kind, published, aliases } = record
        // Go's database gives no severity; what openEuler says of the same CVE is taken, and otherwise nothing
        const severity = aliases.reduce<Severity>((worst, alias) => worse(worst, byCve.get(alias) ?? 'unknown'), 'unknown')
        const fixed =
          hit.fixed === undefined ? {} : { fixed: module === 'stdlib' || module === 'toolchain' ? `go${hit.fixed}` : `v${hit.fixed}` }
        return [{ advisory: id, kind, severity, published, aliases, purl, component: module, installed: version, ...fixed, paths }]
      })
    },
  }
}

/**
 * `v1.2.3`, `v0.0.0-20200101000000-abcdef123456`, `v2.0.0+incompatible`; `go1.22.1`, `go1.21rc2`, `go1.20.5 X:boringcrypto`.
 * As semver has it, a pseudo-version is a pre-release. undefined = no version.
 */
export function goVersion(text: string): string | undefined {
  const [, minor, patch, pre, count] =
    /^(?:go)?(1\.\d+)(?:\.(\d+))?(?:(beta|rc)(\d+))?(?:[-\s+].*)?$/.exec(text.startsWith('go') ? text : '') ?? []
  if (minor !== undefined) return `${minor}.${patch ?? 0}${pre === undefined ? '' : `-${pre}.${count}`}`
  return semver.valid(text) ?? undefined
}

/** `introduced: 0` is before everything, pre-releases of 0.0.0 among them. */
function within(version: string, { introduced, fixed }: GoRange): boolean {
  const [from, to] = [semver.valid(padded(introduced)), fixed === undefined ? undefined : semver.valid(padded(fixed))]
  // a bound that can't be read hits: missing a hit is the worse mistake
  const begun = introduced === '0' || from === null || semver.gte(version, from)
  return begun && (to === undefined || to === null || semver.lt(version, to))
}

/** Some bounds leave out the patch: `1.21` */
function padded(bound: string): string {
  return /^\d+\.\d+$/.test(bound) ? `${bound}.0` : /^\d+\.\d+-/.test(bound) ? bound.replace('-', '.0-') : bound
}
