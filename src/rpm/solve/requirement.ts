/**
 * Requirements, the rich ones among them: https://rpm-software-management.github.io/rpm/manual/boolean_dependencies.html.
 * `unless` and `without` are not understood, and whoever needs them is said to be unsolvable.
 */
import { type Capability, capabilityText, type Relation } from './capability.ts'

export type Requirement =
  /** by its name, as a pipeline asks for it */
  | { readonly kind: 'package'; readonly name: string }
  | { readonly kind: 'capability'; readonly capability: Capability }
  | { readonly kind: 'any' | 'all' | 'with'; readonly of: readonly Requirement[] }
  | { readonly kind: 'if'; readonly then: Requirement; readonly when: Requirement; readonly otherwise?: Requirement }
  | { readonly kind: 'unknown'; readonly text: string }

export function requirementText(one: Requirement): string {
  switch (one.kind) {
    case 'package':
      return one.name
    case 'capability':
      return capabilityText(one.capability)
    case 'any':
    case 'all':
    case 'with':
      return `(${one.of.map(requirementText).join(` ${{ any: 'or', all: 'and', with: 'with' }[one.kind]} `)})`
    case 'if':
      return `(${requirementText(one.then)} if ${requirementText(one.when)}${one.otherwise === undefined ? '' : ` else ${requirementText(one.otherwise)}`})`
    case 'unknown':
      return one.text
  }
}

/** A text deeper than this was not written by a packager. */
const deepest = 16

export function parseRequirement(capability: Capability): Requirement {
  if (!capability.name.startsWith('(')) return { kind: 'capability', capability }
  const tokens = tokensOf(capability.name)
  let at = 0
  const next = (): string => tokens[at++] ?? ''
  const one = (depth: number): Requirement | undefined => {
    if (depth > deepest) return undefined
    if (tokens[at] === '(') {
      at++
      return group(depth)
    }
    const name = next()
    if (name === '' || name === ')') return undefined
    const relation = tokens[at]
    if (relation === undefined || !/^[<>=]=?$/.test(relation)) return { kind: 'capability', capability: { name } }
    at++
    return { kind: 'capability', capability: { name, is: { relation: relation as Relation, evr: next() } } }
  }
  /** up to the parenthesis that closes it */
  const group = (depth: number): Requirement | undefined => {
    const first = one(depth + 1)
    if (first === undefined) return undefined
    const word = next()
    if (word === ')') return first
    const of = [first]
    let sign = word
    while (sign === word) {
      const another = one(depth + 1)
      if (another === undefined) return undefined
      of.push(another)
      sign = next()
    }
    const [then, when] = of
    if (word === 'if' && then !== undefined && when !== undefined && of.length === 2) {
      if (sign === ')') return { kind: 'if', then, when }
      const otherwise = sign === 'else' ? one(depth + 1) : undefined
      return otherwise === undefined || next() !== ')' ? undefined : { kind: 'if', then, when, otherwise }
    }
    const kind = ({ or: 'any', and: 'all', with: 'with' } as const)[word as 'or']
    return kind === undefined || sign !== ')' ? undefined : { kind, of }
  }
  const read = one(0)
  return read === undefined || at !== tokens.length ? { kind: 'unknown', text: capability.name } : read
}

/** Names may hold parentheses of their own, `libc.so.6(GLIBC_2.34)(64bit)`: they belong to a name when it opens them. */
function tokensOf(text: string): string[] {
  const tokens: string[] = []
  for (let at = 0; at < text.length; ) {
    const sign = text[at] as string
    if (sign === ' ') at++
    else if (sign === '(' || sign === ')') {
      tokens.push(sign)
      at++
    } else {
      let end = at
      for (let open = 0; end < text.length; end++) {
        const each = text[end]
        if (each === ' ' || (each === ')' && open === 0)) break
        if (each === '(') open++
        if (each === ')') open--
      }
      tokens.push(text.slice(at, end))
      at = end
    }
  }
  return tokens
}
