/** Conditions of Go templates (https://pkg.go.dev/text/template), as far as a chart's own values decide them. */
import { isRecord } from './chart-yaml.ts'

/** undefined = can't be told */
export type Truth = boolean | undefined

export function and(a: Truth, b: Truth): Truth {
  return a === false || b === false ? false : a === true && b === true ? true : undefined
}

export function or(a: Truth, b: Truth): Truth {
  return a === true || b === true ? true : a === false && b === false ? false : undefined
}

export function not(a: Truth): Truth {
  return a === undefined ? undefined : !a
}

/** A known value, or not. */
type Known = { readonly value: unknown } | undefined

export function evaluate(source: string, values: unknown): Truth {
  const tokens = source.match(/"(?:[^"\\]|\\.)*"|[()|]|[^\s()|"]+/g) ?? []
  if (tokens.length > 100) return undefined
  let at = 0
  const command = (): Known => {
    const operands: Known[] = []
    let name: string | undefined
    for (; at < tokens.length && tokens[at] !== ')'; at++) {
      const token = tokens[at] ?? ''
      if (token === '(') {
        at++
        operands.push(command())
      } else if (name === undefined && operands.length === 0 && /^[a-z]\w*$/i.test(token) && !['true', 'false', 'nil'].includes(token))
        name = token
      else if (token === '|') return skip()
      else operands.push(operand(token, values))
    }
    return name === undefined ? (operands.length === 1 ? operands[0] : undefined) : apply(name, operands)
  }
  /** A pipeline hands its value on to functions that are not followed here. */
  const skip = (): undefined => {
    for (let depth = 0; at < tokens.length; at++) {
      if (tokens[at] === '(') depth++
      else if (tokens[at] === ')' && depth-- === 0) break
    }
    return undefined
  }
  const result = command()
  return result === undefined ? undefined : truthy(result.value)
}

function operand(token: string, values: unknown): Known {
  if (token === 'true' || token === 'false') return { value: token === 'true' }
  if (/^"[^"\\]*"$/.test(token)) return { value: token.slice(1, -1) }
  if (/^\d+$/.test(token)) return { value: Number(token) }
  if (!/^\$?\.Values(\.\w+)*$/.test(token)) return undefined
  let value = values
  for (const key of token.split('.').slice(2)) {
    if (!isRecord(value)) return { value: undefined }
    value = Object.hasOwn(value, key) ? value[key] : undefined
  }
  return { value }
}

/** https://pkg.go.dev/text/template#hdr-Functions */
function apply(name: string, operands: readonly Known[]): Known {
  const truths = operands.map((each) => (each === undefined ? undefined : truthy(each.value)))
  const decided = (truth: Truth): Known => (truth === undefined ? undefined : { value: truth })
  const [a, b] = operands
  switch (name) {
    case 'and':
      return decided(truths.reduce(and, true))
    case 'or':
      return decided(truths.reduce(or, false))
    case 'not':
      return operands.length === 1 ? decided(not(truths[0])) : undefined
    case 'eq':
    case 'ne':
      if (a === undefined || b === undefined || operands.length !== 2 || typeof a.value !== typeof b.value) return undefined
      return { value: (a.value === b.value) === (name === 'eq') }
    case 'empty':
      return operands.length === 1 ? decided(not(truths[0])) : undefined
    default:
      return undefined
  }
}

/** "The empty values are false, 0, any nil pointer or interface value, and any array, slice, map, or string of length zero." */
function truthy(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0
  if (isRecord(value)) return Object.keys(value).length > 0
  return Boolean(value)
}
