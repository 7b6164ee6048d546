/** JSON values, and the one canonical spelling of them. */

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

/**
 * Whether an object in the text has one key twice: parsers keep the first or the last, so two programs would read two
 * documents. `text` must be JSON that JSON.parse has read.
 */
export function hasRepeatedKeys(text: string): boolean {
  const open: (Set<string> | undefined)[] = [] // undefined = a list
  let keyNext = false
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at]
    if (character === '{') open.push(new Set())
    else if (character === '[') open.push(undefined)
    else if (character === '}' || character === ']') open.pop()
    if (character === '{' || character === ',') keyNext = true
    if (character !== '"') continue
    const end = endOfString(text, at)
    const keys = open.at(-1)
    if (keyNext && keys !== undefined) {
      const key = JSON.parse(text.slice(at, end + 1)) as string
      if (keys.has(key)) return true
      keys.add(key)
    }
    keyNext = false
    at = end
  }
  return false
}

/** Where the string that begins at `start` has its closing quote: one behind an even number of backslashes. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); ; end = text.indexOf('"', end + 1)) {
    let slashes = 0
    while (text[end - 1 - slashes] === '\\') slashes += 1
    if (slashes % 2 === 0) return end
  }
}
