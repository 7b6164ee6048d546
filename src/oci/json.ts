/** JSON values, the one canonical spelling of them, and a reader for what others wrote. */
import { RfoError } from '../error.ts'

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/**
 * Canonical JSON: keys sorted by UTF-16 code unit, no white space, no undefined; the order of RFC 8785
 * (https://www.rfc-editor.org/rfc/rfc8785#section-3.2.3). Numbers must be safe integers: we write no others, and so
 * nobody's number formatting can matter.
 */
export function canonicalJson(value: Json): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new TypeError(`not a safe integer: ${value}`)
    return String(value)
  }
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  const object = value as { readonly [key: string]: Json }
  const members = Object.keys(object)
    .filter((key) => object[key] !== undefined)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(object[key] as Json)}`)
  return `{${members.join(',')}}`
}

/** Deeper than any document of ours or of a registry; what walks a value is recursive. */
const maxDepth = 100

/**
 * Reads JSON that a stranger may have written. JSON.parse takes the last of two equal names and other readers the first
 * (https://www.rfc-editor.org/rfc/rfc8259#section-4), so that two tools would see two documents under one digest or
 * signature: such a text is refused. Throws SyntaxError for what is no JSON, RFO_OCI_JSON for the rest.
 */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text)
  checkNames(text)
  return value
}

/** The text is valid JSON by now, so only strings, brackets and commas matter. */
function checkNames(text: string): void {
  // for each open object the names so far; undefined = an array
  const open: (Set<string> | undefined)[] = []
  let name = false
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === 0x22) {
      const end = endOfString(text, at)
      if (name) {
        const spelt = text.slice(at, end + 1)
        const read = spelt.includes('\\') ? (JSON.parse(spelt) as string) : spelt.slice(1, -1)
        const names = open.at(-1)
        if (names?.has(read)) throw hostile(`the name ${JSON.stringify(read.slice(0, 80))} twice in one object`)
        names?.add(read)
        name = false
      }
      at = end
    } else if (code === 0x7b || code === 0x5b) {
      open.push(code === 0x7b ? new Set() : undefined)
      if (open.length > maxDepth) throw hostile(`nested deeper than ${maxDepth}`)
      name = code === 0x7b
    } else if (code === 0x7d || code === 0x5d) {
      open.pop()
      name = false
    } else if (code === 0x2c) name = open.at(-1) !== undefined
  }
}

/** Where the quote is that ends the string: one before which an even number of backslashes stand. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); ; end = text.indexOf('"', end + 1)) {
    let before = end
    while (text.charCodeAt(before - 1) === 0x5c) before -= 1
    if ((end - before) % 2 === 0) return end
  }
}

function hostile(what: string): RfoError {
  return new RfoError('RFO_OCI_JSON', `JSON that can be read in two ways, or by nobody: ${what}`, { exit: 'untrusted' })
}
