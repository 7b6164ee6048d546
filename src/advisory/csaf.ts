/**
 * openEuler's security advisories in CSAF 2.0: https://docs.oasis-open.org/csaf/csaf/v2.0/os/csaf-v2.0-os.html . The product
 * tree says which source package belongs to which stream, by relationships or by the package's own CPE.
 */
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
import { type DocumentText, jsonOf, listOf, member, textOf } from './text.ts'

/** of branches within branches; openEuler's have four */
const deepest = 20

export function readCsaf({ text, badUtf8 }: DocumentText): Reading {
  const document = jsonOf(text)
  if (document === undefined) return { defect: 'broken' }
  const tracking = member(document, 'document', 'tracking')
  const id = advisoryId(member(tracking, 'id'))
  if (id === undefined) return isVex(document) ? { nothing: 'csaf-vex' } : { defect: 'unknown-form' }
  const cves: Record<string, Severity> = {}
  let worst: Severity = 'unknown'
  for (const vulnerability of listOf(member(document, 'vulnerabilities'))) {
    const severity = severityOfVulnerability(vulnerability)
    worst = worse(worst, severity)
    const cve = cveId(member(vulnerability, 'cve'))
    if (cve !== undefined) cves[cve] = worse(cves[cve] ?? 'unknown', severity)
  }
  const said = severityOf(member(document, 'document', 'aggregate_severity', 'text'))
  return {
    record: {
      kind: 'openeuler',
      id,
      published: timeText(member(tracking, 'initial_release_date')),
      severity: said === 'unknown' ? worst : said,
      cves,
      affected: affectedOf(member(document, 'product_tree')),
    },
    ...(badUtf8 ? { badUtf8 } : {}),
  }
}

/**
 * What openEuler has below `csaf/cve/`, one a CVE: whole, and what it calls fixed the advisories say, under names that count once.
 * https://docs.oasis-open.org/csaf/csaf/v2.0/os/csaf-v2.0-os.html#45-profile-5-vex
 */
function isVex(document: unknown): boolean {
  return member(document, 'document', 'category') === 'csaf_vex' || cveId(member(document, 'document', 'tracking', 'id')) !== undefined
}

function severityOfVulnerability(vulnerability: unknown): Severity {
  let worst: Severity = 'unknown'
  for (const score of listOf(member(vulnerability, 'scores'))) {
    for (const version of ['cvss_v3', 'cvss_v2', 'cvss_v4']) {
      const cvss = member(score, version)
      const named = severityOf(member(cvss, 'baseSeverity'))
      worst = worse(worst, named === 'unknown' ? severityOfScore(member(cvss, 'baseScore')) : named)
    }
  }
  for (const threat of listOf(member(vulnerability, 'threats')))
    if (textOf(member(threat, 'category'))?.toLowerCase() === 'impact') worst = worse(worst, severityOf(member(threat, 'details')))
  return worst
}

interface Product {
  readonly stream: string | undefined
  readonly file: ReturnType<typeof sourcePackage>
}

function affectedOf(tree: unknown): FixedSource[] {
  const products = new Map<string, Product>()
  collect(listOf(member(tree, 'branches')), products, 0)
  const found: FixedSource[] = []
  const add = (file: Product['file'], stream: string | undefined): void => {
    if (file !== undefined && stream !== undefined) found.push({ stream, source: file.source, fixed: file.evr })
  }
  const related = new Set<string>()
  for (const relationship of listOf(member(tree, 'relationships'))) {
    const [part, whole] = ['product_reference', 'relates_to_product_reference'].map((name) => textOf(member(relationship, name)))
    if (part === undefined || whole === undefined) continue
    related.add(part)
    add(products.get(part)?.file ?? sourcePackage(part), products.get(whole)?.stream ?? streamOf(whole))
  }
  for (const [id, product] of products) if (!related.has(id)) add(product.file, product.stream)
  return sortedSources(found)
}

function collect(branches: readonly unknown[], into: Map<string, Product>, depth: number): void {
  if (depth > deepest) return
  for (const branch of branches) {
    const product = member(branch, 'product')
    const id = textOf(member(product, 'product_id'))
    const cpe = streamOf(member(product, 'product_identification_helper', 'cpe'))
    if (id !== undefined) {
      const names = [member(product, 'name'), member(branch, 'name'), id]
      const file = names.map(sourcePackage).find((each) => each !== undefined)
      into.set(id, { file, stream: cpe ?? names.map(streamOf).find((each) => each !== undefined) })
    }
    collect(listOf(member(branch, 'branches')), into, depth + 1)
  }
}
