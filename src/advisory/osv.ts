/**
 * OSV: https://ossf.github.io/osv-schema/ . openEuler exports its advisories so, with source packages as `package.name`; Go's
 * vulnerability database is made of nothing else: https://go.dev/security/vuln/database .
 */
import type { Severity } from '../plan/gate.ts'
import {
  type AdvisoryRecord,
  advisoryId,
  cveId,
  type FixedSource,
  type GoRange,
  type GoRecord,
  type Reading,
  severityOf,
  sortedSources,
  sortedUnique,
  streamOf,
  timeText,
} from './record.ts'
import { type DocumentText, jsonOf, listOf, member, textOf } from './text.ts'

/** Which of its two users wrote it is seen from the ecosystems. */
export function readOsv({ text, badUtf8 }: DocumentText): Reading {
  const document = jsonOf(text)
  if (document === undefined) return { defect: 'broken' }
  const id = textOf(member(document, 'id'))
  if (id === undefined) return { defect: 'unknown-form' }
  if (member(document, 'withdrawn') !== undefined) return { nothing: 'withdrawn' }
  const own = advisoryId(id)
  const record = own === undefined ? goRecord(document, id) : openEulerRecord(document, own)
  if (record === undefined) return { nothing: 'other-ecosystem' }
  return { record, ...(badUtf8 ? { badUtf8 } : {}) }
}

function openEulerRecord(document: unknown, id: string): AdvisoryRecord {
  const affected: FixedSource[] = []
  for (const one of listOf(member(document, 'affected'))) {
    const stream = streamOf(member(one, 'package', 'ecosystem'))
    const source = textOf(member(one, 'package', 'name'))
    if (stream === undefined || source === undefined || !/^[^\s/]{1,200}$/.test(source)) continue
    for (const range of listOf(member(one, 'ranges')))
      for (const event of listOf(member(range, 'events'))) {
        const fixed = textOf(member(event, 'fixed'))
        if (fixed !== undefined && /^\S{1,200}$/.test(fixed)) affected.push({ stream, source, fixed })
      }
  }
  const severity = severityOf(member(document, 'database_specific', 'severity'))
  const cves: Record<string, Severity> = {}
  for (const name of ['upstream', 'aliases', 'related'])
    for (const each of listOf(member(document, name))) {
      const cve = cveId(each)
      if (cve !== undefined) cves[cve] = 'unknown'
    }
  return { kind: 'openeuler', id, published: timeText(member(document, 'published')), severity, cves, affected: sortedSources(affected) }
}

function goRecord(document: unknown, id: string): GoRecord | undefined {
  const affected = new Map<string, GoRange[]>()
  for (const one of listOf(member(document, 'affected'))) {
    const module = textOf(member(one, 'package', 'name'))
    if (member(one, 'package', 'ecosystem') !== 'Go' || module === undefined || module.length > 500) continue
    const ranges = affected.get(module) ?? []
    affected.set(module, ranges)
    for (const range of [...listOf(member(one, 'ranges')), ...listOf(member(one, 'ecosystem_specific', 'custom_ranges'))])
      ranges.push(...rangesOf(listOf(member(range, 'events'))))
  }
  // https://ossf.github.io/osv-schema/#affectedranges-field : without ranges every version is meant
  for (const ranges of affected.values()) if (ranges.length === 0) ranges.push({ introduced: '0' })
  if (affected.size === 0 || !/^[A-Za-z0-9-]{1,100}$/.test(id)) return undefined
  const aliases = listOf(member(document, 'aliases'), 1000).flatMap((each) => (typeof each === 'string' && each.length < 100 ? [each] : []))
  return {
    kind: 'go',
    id,
    published: timeText(member(document, 'published')),
    aliases: sortedUnique(aliases),
    affected: [...affected].sort(([a], [b]) => (a < b ? -1 : 1)).map(([module, ranges]) => ({ module, ranges })),
  }
}

/** Events come in order, an `introduced` opens a range and the next `fixed` closes it. */
function rangesOf(events: readonly unknown[]): GoRange[] {
  const found: GoRange[] = []
  let introduced: string | undefined
  for (const event of events) {
    const [opens, closes] = ['introduced', 'fixed'].map((name) => textOf(member(event, name)))
    if (opens !== undefined) {
      if (introduced !== undefined) found.push({ introduced })
      introduced = opens
    } else if (closes !== undefined) {
      found.push({ introduced: introduced ?? '0', fixed: closes })
      introduced = undefined
    }
  }
  if (introduced !== undefined) found.push({ introduced })
  return found
}
