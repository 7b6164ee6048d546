/**
 * Fields of BSI TR-03183-2 that an rpm or Go's build info carries and a document lacks: then it is we who lost them. What nobody
 * carries (a licence that is no field of build info) is a figure of the score, and no failure.
 */
import { z } from 'zod'
import { RfoError } from '../error.ts'
import type { Inventory } from './inventory.ts'

const Bom = z.looseObject({
  components: z
    .array(
      z.looseObject({
        'bom-ref': z.string(),
        name: z.string(),
        version: z.string().optional(),
        supplier: z.looseObject({ name: z.string().optional() }).optional(),
        licenses: z.array(z.unknown()).optional(),
        hashes: z.array(z.looseObject({ alg: z.string(), content: z.string() })).optional(),
        properties: z.array(z.looseObject({ name: z.string(), value: z.string().optional() })).optional(),
      }),
    )
    .optional(),
  dependencies: z.array(z.looseObject({ ref: z.string(), dependsOn: z.array(z.string()).optional() })).optional(),
})

/** One phrase each, `bash: licence`; empty when nothing was lost. */
export function lostFields(inventory: Inventory, cyclonedx: string): string[] {
  const { components = [], dependencies = [] } = Bom.parse(JSON.parse(cyclonedx))
  const rpms = components.filter(({ 'bom-ref': ref }) => ref.startsWith('rpm:'))
  const files = new Map(components.map((one) => [one['bom-ref'], one]))
  const needs = new Map(dependencies.map(({ ref, dependsOn = [] }) => [ref, dependsOn]))
  const lost: string[] = []
  for (const [n, one] of inventory.rpm.entries()) {
    const component = rpms[n]
    const lacks = (field: string, there: boolean | undefined): void => {
      if (there !== true) lost.push(`${one.name}: ${field}`)
    }
    lacks('name', component?.name === one.name)
    lacks('version', component?.version?.endsWith(`${one.version}-${one.release}`))
    if (one.vendor !== '') lacks('creator', component?.supplier?.name === one.vendor)
    if (one.license.trim() !== '') lacks('licence', (component?.licenses ?? []).length > 0)
    if (one.sha256 !== undefined)
      lacks(
        'hash of the header',
        component?.properties?.some(({ value }) => value === one.sha256),
      )
    lacks(
      'filename',
      component?.properties?.some(({ name }) => name === 'bsi:component:filename'),
    )
    lacks('dependencies', (needs.get(component?.['bom-ref'] ?? '') ?? []).length >= new Set(one.dependsOn).size)
  }
  for (const { path, sha256, sha512, deps } of inventory.go) {
    const component = files.get(`file:${path}`)
    const hashes = (component?.hashes ?? []).map(({ content }) => content)
    if (!hashes.includes(sha256) || !hashes.includes(sha512)) lost.push(`${path}: hash`)
    const named = needs.get(`file:${path}`) ?? []
    for (const { path: module, version, replace } of deps) {
      const held = replace === undefined || /^\.{0,2}\//.test(replace.path) || replace.version === '' ? { path: module, version } : replace
      if (!named.some((ref) => ref.startsWith(`go:${held.path}@`))) lost.push(`${path}: dependency ${held.path}@${held.version}`)
    }
  }
  return lost
}

/** Throws RFO_INSPECT_LOST (condition). */
export function refuseLost(inventory: Inventory, cyclonedx: string): void {
  const lost = lostFields(inventory, cyclonedx)
  if (lost.length === 0) return
  throw new RfoError('RFO_INSPECT_LOST', `the SBOM lacks what rpm or build info carries: ${lost.slice(0, 3).join('; ')}`, {
    exit: 'condition',
    details: lost.slice(0, 100),
  })
}
