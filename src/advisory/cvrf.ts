/**
 * The same advisories in CVRF 1.1: https://docs.oasis-open.org/csaf/csaf-cvrf/v1.2/csaf-cvrf-v1.2.html . A document type, and
 * with it every entity besides XML's five, is refused. A ProductID has no dist tag: the product's text is the file name.
 */
import { SaxesParser, type SaxesTagPlain } from 'saxes'
import type { Severity } from '../plan/gate.ts'
import {
  advisoryId,
  cveId,
  type FixedSource,
  type Reading,
  severityOf,
  severityOfScore,
  sortedSources,
  sourcePackage,
  streamOf,
  timeText,
  worse,
} from './record.ts'
import type { DocumentText } from './text.ts'

const deepest = 50
/** UTF-16 code units; of an element whose text is read */
const longestText = 100_000

export function readCvrf({ text, badUtf8 }: DocumentText): Reading {
  const state = newState()
  try {
    parse(text, state)
  } catch {
    return { defect: 'broken' }
  }
  const id = advisoryId(state.id)
  if (id === undefined) return { defect: 'unknown-form' }
  const worst = [...Object.values(state.cves), ...state.impacts].reduce(worse, 'unknown')
  return {
    record: {
      kind: 'openeuler',
      id,
      published: timeText(state.initial) || timeText(state.current),
      severity: state.noted === 'unknown' ? worst : state.noted,
      cves: state.cves,
      affected: sortedSources(state.affected),
    },
    ...(badUtf8 ? { badUtf8 } : {}),
  }
}

interface State {
  id: string
  initial: string
  current: string
  /** of the note with the title Severity */
  noted: Severity
  readonly cves: Record<string, Severity>
  readonly impacts: Severity[]
  readonly affected: FixedSource[]
}

function newState(): State {
  return { id: '', initial: '', current: '', noted: 'unknown', cves: {}, impacts: [], affected: [] }
}

/** Throws what the parser throws: for a broken document there is nothing to save. */
function parse(text: string, state: State): void {
  const parser = new SaxesParser()
  const open: SaxesTagPlain[] = []
  let words = ''
  // of the vulnerability that is open: its severity may come before its CVE
  let cve: string | undefined
  let severity: Severity = 'unknown'
  parser.on('error', (error) => {
    throw error
  })
  parser.on('doctype', () => {
    throw new Error('a document type')
  })
  parser.on('opentag', (tag) => {
    open.push(tag)
    if (open.length > deepest) throw new Error('too deep')
    words = ''
    if (localName(tag) === 'Vulnerability') [cve, severity] = [undefined, 'unknown']
  })
  const take = (more: string): void => {
    if (words.length < longestText) words += more
  }
  parser.on('text', take)
  parser.on('cdata', take)
  parser.on('closetag', (tag) => {
    const parent = open.at(-2)
    const inside = parent === undefined ? '' : localName(parent)
    const value = words.trim()
    open.pop()
    words = ''
    switch (localName(tag)) {
      case 'ID':
        if (inside === 'Identification') state.id = value
        break
      case 'InitialReleaseDate':
        state.initial = value
        break
      case 'CurrentReleaseDate':
        state.current = value
        break
      case 'Note':
        if (tag.attributes['Title'] === 'Severity') state.noted = worse(state.noted, severityOf(value))
        break
      case 'FullProductName': {
        const file = sourcePackage(value)
        const stream = streamOf(tag.attributes['CPE'])
        if (file !== undefined && stream !== undefined) state.affected.push({ stream, source: file.source, fixed: file.evr })
        break
      }
      case 'CVE':
        cve = cveId(value)
        break
      case 'BaseScore':
      case 'BaseScoreV3':
        severity = worse(severity, severityOfScore(value))
        break
      case 'Description':
        if (inside === 'Threat' && parent?.attributes['Type'] === 'Impact') {
          severity = worse(severity, severityOf(value))
          state.impacts.push(severityOf(value))
        }
        break
      case 'Vulnerability':
        if (cve !== undefined) state.cves[cve] = worse(state.cves[cve] ?? 'unknown', severity)
        break
    }
  })
  parser.write(text).close()
}

/** Some have a prefix: `cvrf:ID`. */
function localName({ name }: SaxesTagPlain): string {
  return name.slice(name.indexOf(':') + 1)
}
