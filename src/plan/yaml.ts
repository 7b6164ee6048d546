/** YAML text → a checked value. Every complaint names file:line:column, so that an editor can jump to it. */
import { isMap, isNode, isPair, LineCounter, type ParsedNode, parseDocument } from 'yaml'
import type { z } from 'zod'
import { RfoError } from '../error.ts'

/** images.lock of a hundred releases is below 10 MiB. */
const maxBytes = 16 * 1024 * 1024
/** Aliases multiply: https://en.wikipedia.org/wiki/Billion_laughs_attack. Ours have none. */
const maxAliases = 100
const maxProblems = 20

interface Problem {
  readonly offset: number
  readonly message: string
}

/** A complaint at its place; line and column count from 1. */
export interface YamlProblem {
  readonly line: number
  readonly column: number
  readonly message: string
}

export type YamlReading<T> =
  | {
      readonly value: T /** Where a path's value begins; the nearest that is there when it is not. */
      placeOf(path: readonly PropertyKey[]): Place
    }
  | { readonly problems: readonly YamlProblem[] }
export type Place = Pick<YamlProblem, 'line' | 'column'>

/** Throws RFO_PLAN_YAML (usage); `where` is the first problem's place, all of them are in `details`. */
export function parseYaml<T>(schema: z.ZodType<T>, text: string, file: string): T {
  const reading = readYaml(schema, text)
  if (!('problems' in reading)) return reading.value
  const said = reading.problems.map(({ line, column, message }) => ({ place: `${file}:${line}:${column}`, message }))
  const first = said[0] ?? { place: file, message: 'nothing in it' }
  const more = said.length > 1 ? `, and ${said.length - 1} more` : ''
  throw new RfoError('RFO_PLAN_YAML', `${first.message}${more}`, {
    exit: 'usage',
    where: first.place,
    next: `edit ${file}`,
    details: said.slice(0, maxProblems).map(({ place, message }) => `${place}: ${message}`),
  })
}

/** The value, or all that is wrong with the text, in its order. Never throws. */
export function readYaml<T>(schema: z.ZodType<T>, text: string): YamlReading<T> {
  const lines = new LineCounter()
  const place = (offset: number): Place => {
    const { line, col } = lines.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const fail = (problems: readonly Problem[]): YamlReading<T> => ({
    problems: problems.toSorted((a, b) => a.offset - b.offset).map(({ offset, message }) => ({ ...place(offset), message })),
  })
  if (Buffer.byteLength(text) > maxBytes) return fail([{ offset: 0, message: `more than ${maxBytes} bytes` }])
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    strict: true,
    uniqueKeys: true,
    version: '1.2',
    merge: false,
  })
  if (document.errors.length > 0) return fail(document.errors.map((error) => ({ offset: error.pos[0], message: error.message })))
  let value: unknown
  try {
    value = document.toJS({ maxAliasCount: maxAliases })
  } catch (thrown) {
    return fail([{ offset: 0, message: thrown instanceof Error ? thrown.message : String(thrown) }])
  }
  const parsed = schema.safeParse(value)
  if (parsed.success) return { value: parsed.data, placeOf: (path) => place(offsetOf(document.contents, path)) }
  return fail(parsed.error.issues.flatMap((issue) => problemsOf(issue, [], document.contents)))
}

/** A union whose members all refuse tells the complaints of the member that got furthest. */
function problemsOf(issue: z.core.$ZodIssue, prefix: readonly PropertyKey[], contents: ParsedNode | null): Problem[] {
  const path = [...prefix, ...issue.path]
  if (issue.code === 'invalid_union' && issue.errors.length > 0) {
    const branches = issue.errors.filter((branch) => branch.length > 0)
    const nearest = branches.toSorted((a, b) => complaintsIn(a) - complaintsIn(b))[0]
    if (nearest !== undefined) return nearest.flatMap((inner) => problemsOf(inner, path, contents))
  }
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      offset: offsetOf(contents, [...path, key], 'key'),
      message: `${spellPath([...path, key])}: no such setting`,
    }))
  }
  return [{ offset: offsetOf(contents, path), message: `${spellPath(path)}: ${issue.message}` }]
}

function complaintsIn(branch: readonly z.core.$ZodIssue[]): number {
  return branch.reduce((sum, issue) => sum + (issue.code === 'unrecognized_keys' ? issue.keys.length : 1), 0)
}

function spellPath(path: readonly PropertyKey[]): string {
  return path.length === 0 ? 'the document' : path.map(String).join('.')
}

/** Where the path's key or value begins (a map: its key); what is missing is at its parent. */
function offsetOf(contents: ParsedNode | null, path: readonly PropertyKey[], of: 'key' | 'value' = 'value'): number {
  let node: unknown = contents
  let offset = contents?.range[0] ?? 0
  for (const step of path) {
    let next: unknown
    if (isMap(node)) {
      const pair = node.items.find((item) => isPair(item) && String(isNode(item.key) ? item.key.toJSON() : item.key) === String(step))
      if (pair === undefined) return offset
      if (isNode(pair.key)) offset = pair.key.range?.[0] ?? offset
      next = pair.value
    } else if (typeof node === 'object' && node !== null && 'items' in node && Array.isArray(node.items)) {
      next = node.items[Number(step)]
      if (isNode(next)) offset = next.range?.[0] ?? offset
    }
    if (!isNode(next)) return offset
    node = next
  }
  return of === 'value' && isNode(node) && !isMap(node) ? (node.range?.[0] ?? offset) : offset
}
