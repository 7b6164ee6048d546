/**
 * Which parts of a chart's templates are made with its own values. Not a renderer: of Go's template language
 * (https://pkg.go.dev/text/template) it reads what stands around an image: if, else, with, range, define, include. What it
 * can't decide counts as made, so that an image is named once too often rather than once too few.
 */
import { and, evaluate, not, or, type Truth } from './chart-conditions.ts'

export interface TemplateFile {
  readonly path: string
  readonly text: string
}

/** A stretch of a template, from an action that opens or closes something to the next one. */
interface Place {
  readonly from: number
  /** the outermost guard that is false */
  readonly off: string | undefined
  /** the template that is defined around it, which someone must include */
  readonly define: string | undefined
}

interface Guarded {
  readonly file: TemplateFile
  /** by `from`, which begins at 0 */
  readonly places: readonly Place[]
  /** a hook of `helm test`: https://helm.sh/docs/topics/chart_tests/ */
  readonly test: boolean
}

export interface Guards {
  readonly files: readonly Guarded[]
  /** why a defined template is included nowhere; asked once, and one that is being asked about counts as made */
  readonly defines: Map<string, string | undefined>
}

export function guardsOf(files: readonly TemplateFile[], values: unknown): Guards {
  return { files: files.map((file) => ({ file, places: placesOf(file.text, values), test: isTest(file) })), defines: new Map() }
}

function isTest(file: TemplateFile): boolean {
  return /(^|\/)templates\/tests\//.test(file.path) || /helm\.sh\/hook["']?:[ \t]*["']?test/.test(file.text)
}

/**
 * Why `pattern` is made nowhere: the first guard that is false. undefined = it is made somewhere, or stands nowhere.
 * `pattern` needs the flag g.
 */
export function whyOff(guards: Guards, pattern: RegExp): string | undefined {
  let off: string | undefined
  for (const { file, ...guarded } of guards.files) {
    for (const match of file.text.matchAll(pattern)) {
      const reason = whyPlaceOff(guards, { file, ...guarded }, match.index)
      if (reason === undefined) return undefined
      off ??= reason
    }
  }
  return off
}

export function whyPlaceOff(guards: Guards, guarded: Guarded, offset: number): string | undefined {
  if (guarded.test) return `${guarded.file.path} is a test`
  const place = placeAt(guarded.places, offset)
  if (place?.off !== undefined) return `${guarded.file.path}: ${place.off}`
  const define = place?.define
  if (define === undefined) return undefined
  if (!guards.defines.has(define)) {
    guards.defines.set(define, undefined)
    guards.defines.set(define, whyOff(guards, new RegExp(`\\b(?:include|template)[ \\t]+"${escaped(define)}"`, 'g')))
  }
  return guards.defines.get(define)
}

export function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}

function placeAt(places: readonly Place[], offset: number): Place | undefined {
  let low = 0
  let high = places.length - 1
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if ((places[middle]?.from ?? 0) <= offset) low = middle
    else high = middle - 1
  }
  return places[low]
}

interface Frame {
  readonly text: string
  readonly truth: Truth
  /** a branch of the same `if` was taken, this one or an earlier one */
  readonly taken: Truth
  readonly define: string | undefined
  /** the outermost guard around it that is false */
  readonly outside: string | undefined
}

const longestGuard = 200

function placesOf(text: string, values: unknown): Place[] {
  const places: Place[] = [{ from: 0, off: undefined, define: undefined }]
  const stack: Frame[] = []
  const offOf = (frame: Frame | undefined): string | undefined => frame?.outside ?? (frame?.truth === false ? frame.text : undefined)
  for (const { at, source } of actions(text)) {
    const [, word = '', rest = ''] = /^(\w+)\s*([\s\S]*)$/.exec(source) ?? []
    const top = stack.at(-1)
    if (word === 'if' || word === 'with' || word === 'range' || word === 'block' || word === 'define') {
      const truth = word === 'block' || word === 'define' ? true : evaluate(rest, values)
      const define = word === 'define' ? /^"([^"\\]*)"/.exec(rest)?.[1] : top?.define
      stack.push({ text: `${word} ${rest}`.slice(0, longestGuard), truth, taken: truth, define, outside: offOf(top) })
    } else if (word === 'else' && top !== undefined) {
      const [, condition] = /^(?:if|with)\s+([\s\S]*)$/.exec(rest) ?? []
      const own = condition === undefined ? true : evaluate(condition, values)
      const described = `${`else ${rest}`.trimEnd()} after ${top.text}`.slice(0, longestGuard)
      stack[stack.length - 1] = { ...top, text: described, truth: and(not(top.taken), own), taken: or(top.taken, own) }
    } else if (word === 'end') stack.pop()
    else continue
    const now = stack.at(-1)
    places.push({ from: at, off: offOf(now), define: now?.define })
  }
  return places
}

/** What stands between `{{` and `}}`, without comments; a bracket in a string ends nothing. Each character is read once. */
function* actions(text: string): Generator<{ readonly at: number; readonly source: string }> {
  for (let at = text.indexOf('{{'); at !== -1; at = text.indexOf('{{', at)) {
    const from = at + 2
    const comment = /^-?\s?\/\*/.test(text.slice(from, from + 4))
    let end = comment ? text.indexOf('*/', from) : from
    let quote = ''
    for (; end !== -1 && end < text.length; end++) {
      const character = text[end]
      if (quote !== '') {
        if (character === '\\' && quote === '"') end++
        else if (character === quote) quote = ''
      } else if (!comment && (character === '"' || character === '`')) quote = character
      else if (character === '}' && text[end + 1] === '}') break
    }
    if (end === -1 || end >= text.length) return
    if (!comment) yield { at, source: text.slice(from, end).replace(/^-\s/, '').replace(/\s-$/, '').trim() }
    at = end + 2
  }
}
