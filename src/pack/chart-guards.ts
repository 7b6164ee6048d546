/**
 * Which parts of a chart's templates are made with its own values. Not a renderer: of Go's template language
 * (https://pkg.go.dev/text/template) it reads what stands around an image: if, else, with, range, define, include. What it
 * can't decide counts as made, so that an image is named once too often rather than once too few.
 */
import { isRecord } from './chart-yaml.ts'

/** undefined = can't be told */
type Truth = boolean | undefined

export interface TemplateFile {
  readonly path: string
  readonly text: string
}

/** A place in a template and what must hold for it to be made. */
interface Place {
  readonly from: number
  readonly to: number
  readonly guards: readonly { readonly text: string; readonly truth: Truth }[]
  /** the template that is defined around it, which someone must include */
  readonly define: string | undefined
}

export interface Guarded {
  readonly file: TemplateFile
  readonly places: readonly Place[]
  /** a hook of `helm test`: https://helm.sh/docs/topics/chart_tests/ */
  readonly test: boolean
}

const maxDepth = 8

export function guardsOf(file: TemplateFile, values: unknown): Guarded {
  return { file, places: placesOf(file.text, values), test: isTest(file) }
}

function isTest(file: TemplateFile): boolean {
  return /(^|\/)templates\/tests\//.test(file.path) || /["']?helm\.sh\/hook["']?:\s*["']?test/.test(file.text)
}

/**
 * Why `pattern` is made nowhere: the first guard that is false. undefined = it is made somewhere, or stands nowhere.
 * `pattern` needs the flag g.
 */
export function whyOff(files: readonly Guarded[], pattern: RegExp, depth = 0): string | undefined {
  let off: string | undefined
  for (const guarded of files) {
    for (const match of guarded.file.text.matchAll(pattern)) {
      const reason = whyPlaceOff(files, guarded, match.index, depth)
      if (reason === undefined) return undefined
      off ??= reason
    }
  }
  return off
}

export function whyPlaceOff(files: readonly Guarded[], guarded: Guarded, offset: number, depth = 0): string | undefined {
  if (guarded.test) return `${guarded.file.path} is a test`
  const place = guarded.places.find((each) => offset >= each.from && offset < each.to)
  const guard = place?.guards.find((each) => each.truth === false)
  if (guard !== undefined) return `${guarded.file.path}: ${guard.text}`
  if (place?.define === undefined || depth >= maxDepth) return undefined
  return whyOff(files, new RegExp(`\\b(?:include|template)\\s+${escaped(JSON.stringify(place.define))}`, 'g'), depth + 1)
}

export function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}

function placesOf(text: string, values: unknown): Place[] {
  interface Frame {
    text: string
    truth: Truth
    /** an earlier branch of the same `if` was taken */
    taken: Truth
    readonly define?: string
  }
  const places: Place[] = []
  const stack: Frame[] = []
  let from = 0
  const close = (to: number): void => {
    places.push({
      from,
      to,
      guards: stack.map(({ text: guard, truth }) => ({ text: guard, truth })),
      define: stack.findLast((frame) => frame.define !== undefined)?.define,
    })
    from = to
  }
  for (const action of text.matchAll(/\{\{-?\s*(\/\*[\s\S]*?\*\/|(?:"(?:[^"\\]|\\.)*"|`[^`]*`|[^}]|\}(?!\}))*?)\s*-?\}\}/g)) {
    const [word, ...rest] = (action[1] ?? '').split(/\s+/)
    const source = rest.join(' ')
    if (word === 'if' || word === 'with' || word === 'range' || word === 'define' || word === 'block') {
      close(action.index)
      const named = word === 'define' || word === 'block'
      const truth = named ? true : evaluate(source, values)
      stack.push({ text: `${word} ${source}`, truth, taken: truth, ...(word === 'define' ? { define: source.replace(/^"|"$/g, '') } : {}) })
    } else if (word === 'else') {
      close(action.index)
      const frame = stack.at(-1)
      if (frame === undefined) continue
      const before = frame.taken
      const own = rest[0] === 'if' || rest[0] === 'with' ? evaluate(rest.slice(1).join(' '), values) : true
      frame.text = `${word} ${source} after ${frame.text}`.slice(0, 200)
      frame.truth = and(not(before), own)
      frame.taken = or(before, own)
    } else if (word === 'end') {
      close(action.index)
      stack.pop()
    }
  }
  close(text.length)
  return places
}

function and(a: Truth, b: Truth): Truth {
  return a === false || b === false ? false : a === true && b === true ? true : undefined
}

function or(a: Truth, b: Truth): Truth {
  return a === true || b === true ? true : a === false && b === false ? false : undefined
}

function not(a: Truth): Truth {
  return a === undefined ? undefined : !a
}

/** A known value, or not. */
type Known = { readonly value: unknown } | undefined

function evaluate(source: string, values: unknown): Truth {
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
  for (const key of token.split('.').slice(token.startsWith('$') ? 2 : 2)) {
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
