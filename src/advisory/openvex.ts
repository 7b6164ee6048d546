/** OpenVEX 0.2.0: https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md . Who says of which product that it is not affected. */
import { z } from 'zod'
import { RfoError } from '../error.ts'
import { parseJson } from '../oci/json.ts'
import { timeText } from './record.ts'

export const vexStatuses = ['not_affected', 'affected', 'fixed', 'under_investigation'] as const
/** https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md#status-justifications */
export const vexJustifications = [
  'component_not_present',
  'vulnerable_code_not_present',
  'vulnerable_code_not_in_execute_path',
  'vulnerable_code_cannot_be_controlled_by_adversary',
  'inline_mitigations_already_exist',
] as const

const Text = z.string().min(1).max(4096)
const Purl = z.string().min(1).max(1000)

/** One statement, with what it inherits from its document. */
export const VexStatement = z.strictObject({
  /** `<@id of the document>#<number>` or its own @id */
  id: Text,
  author: Text,
  /** ISO 8601 in UTC */
  timestamp: Text,
  vulnerabilities: z.array(Text).min(1).max(100),
  products: z.array(z.strictObject({ id: Purl, subcomponents: z.array(Purl).max(1000) })).max(1000),
  status: z.enum(vexStatuses),
  justification: z.enum(vexJustifications).optional(),
  impact: Text.optional(),
})
export type VexStatement = z.infer<typeof VexStatement>

const Component = z.looseObject({ '@id': Purl.optional(), identifiers: z.looseObject({ purl: Purl.optional() }).optional() })
const Product = Component.extend({ subcomponents: z.array(Component).max(1000).optional() })
const Time = z.string().refine((text) => timeText(text) !== '', 'an ISO 8601 time')
const Document = z.looseObject({
  '@context': z.string().regex(/^https:\/\/openvex\.dev\/ns(\/v[\w.]+)?$/, 'https://openvex.dev/ns/v0.2.0'),
  '@id': Text,
  author: Text,
  timestamp: Time,
  last_updated: Time.optional(),
  statements: z
    .array(
      z.looseObject({
        '@id': Text.optional(),
        vulnerability: z.union([
          z.looseObject({ name: Text.optional(), '@id': Text.optional(), aliases: z.array(Text).max(100).optional() }),
          Text.transform((name) => ({ name, '@id': undefined, aliases: undefined })),
        ]),
        timestamp: Time.optional(),
        last_updated: Time.optional(),
        products: z.array(Product).max(1000).optional(),
        status: z.enum(vexStatuses),
        justification: z.enum(vexJustifications).optional(),
        impact_statement: Text.optional(),
      }),
    )
    .max(100_000),
})

/** Throws RFO_ADVISORY_VEX (usage) for what the specification does not allow: a statement that is misread suppresses too much. */
export function readOpenVex(text: string, where: string): VexStatement[] {
  let value: unknown
  try {
    value = parseJson(text)
  } catch (cause) {
    throw refused('not JSON that can be read in one way', where, cause)
  }
  const parsed = Document.safeParse(value)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw refused(`${issue?.path.join('.') ?? 'document'}: ${issue?.message ?? 'unknown form'}`.slice(0, 300), where)
  }
  const { '@id': id, author, timestamp, last_updated: updated, statements } = parsed.data
  return statements.map((each, at): VexStatement => {
    if (each.status === 'not_affected' && each.justification === undefined && each.impact_statement === undefined)
      throw refused(`statements.${at}: not_affected needs a justification or an impact_statement`, where)
    const { name, '@id': iri, aliases = [] } = each.vulnerability
    const vulnerabilities = [name, iri, ...aliases].flatMap((word) => (word === undefined ? [] : [word]))
    if (vulnerabilities.length === 0) throw refused(`statements.${at}: names no vulnerability`, where)
    const products = (each.products ?? []).map((product) => ({
      id: purlOf(product, `statements.${at}`, where),
      subcomponents: (product.subcomponents ?? []).map((part) => purlOf(part, `statements.${at}`, where)),
    }))
    return {
      id: each['@id'] ?? `${id}#${at + 1}`,
      author,
      timestamp: timeText(each.last_updated ?? each.timestamp ?? updated ?? timestamp),
      vulnerabilities,
      products,
      status: each.status,
      ...(each.justification === undefined ? {} : { justification: each.justification }),
      ...(each.impact_statement === undefined ? {} : { impact: each.impact_statement }),
    }
  })
}

function purlOf(component: z.infer<typeof Component>, at: string, where: string): string {
  const found = component.identifiers?.purl ?? component['@id']
  if (found === undefined) throw refused(`${at}: a product without an @id`, where)
  return found
}

function refused(why: string, where: string, cause?: unknown): RfoError {
  return new RfoError('RFO_ADVISORY_VEX', `not OpenVEX: ${why}`, {
    exit: 'usage',
    where,
    next: 'mend the document, or take it away',
    ...(cause === undefined ? {} : { cause }),
  })
}

export interface OpenVexReading {
  readonly vex: readonly VexStatement[]
}

/** A document among others: one that says something else is a defect and counted. */
export function readVexDocument({ text }: { readonly text: string }): OpenVexReading | { readonly defect: 'broken' } {
  try {
    return { vex: readOpenVex(text, '') }
  } catch {
    return { defect: 'broken' }
  }
}
