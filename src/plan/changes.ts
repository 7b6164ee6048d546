/** A part of a setting: what a variant says instead of repeating the whole. */
import { z } from 'zod'

type Changes<Whole> = Partial<Omit<Whole, 'kind'>>

/** Members that are settings of their own, of which a part can be said too. */
const nested: ReadonlySet<string> = new Set(['edit'])

/** Members of `whole` without its `kind`, none of them needed: each that is there replaces the file's own. */
export function changesOf<Whole extends z.ZodObject>(whole: Whole): z.ZodType<Changes<z.infer<Whole>>> {
  const members = Object.entries(whole.shape)
    .filter(([name]) => name !== 'kind')
    .map(([name, member]) => [name, z.optional(changeOf(name, member))])
  return z.strictObject(Object.fromEntries(members)) as unknown as z.ZodType<Changes<z.infer<Whole>>>
}

function changeOf(name: string, member: z.core.$ZodType): z.core.$ZodType {
  // a default would say what nobody wrote
  if (member instanceof z.ZodDefault) return changeOf(name, member.removeDefault())
  if (member instanceof z.ZodOptional && nested.has(name)) return changeOf(name, member.unwrap())
  return member instanceof z.ZodObject && nested.has(name) ? changesOf(member) : member
}

/** With a `kind` it is a whole of its own; without one, it changes members of `own`. */
export function changedBy<Whole extends object>(own: Whole | undefined, change: Whole | Changes<Whole>): unknown {
  if ('kind' in change || own === undefined) return change
  const members = Object.entries(change).map(([name, value]) => {
    const before = (own as Readonly<Record<string, unknown>>)[name]
    const merged = nested.has(name) && typeof before === 'object' && before !== null && typeof value === 'object'
    return [name, merged ? changedBy(before, value) : value]
  })
  return { ...own, ...Object.fromEntries(members) }
}
