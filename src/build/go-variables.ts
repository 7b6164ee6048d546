/**
 * The package-level variables of a Go file, read from its text: https://go.dev/ref/spec#Variable_declarations. Enough of the
 * language to tell declarations from everything else: comments, literals, brackets, and where a line ends a statement.
 */

export interface GoVariable {
  readonly name: string
  /** "uninitialized or initialized to a constant string expression" is what -X can set: https://pkg.go.dev/cmd/link */
  readonly settable: boolean
}

type Kind = 'word' | 'text' | 'mark' | 'line'
interface Token {
  readonly kind: Kind
  readonly text: string
}

const forms: readonly (readonly [Kind | 'none', RegExp])[] = [
  ['line', /\n/y],
  ['none', /[ \t\r\uFEFF]+|\/\/[^\n]*/y],
  ['none', /\/\*.*?\*\//sy],
  ['text', /"(?:[^"\\\n]|\\.)*"|`[^`]*`|'(?:[^'\\\n]|\\.)+'/y],
  ['word', /[\p{L}\p{Nd}_]+/uy],
  ['mark', /./sy],
]

/** Of one file that compiles; of any other text, something. */
export function goVariables(text: string): GoVariable[] {
  const tokens = tokensOf(text)
  const found: GoVariable[] = []
  let depth = 0
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at]
    if (depth === 0 && token?.text === 'var' && (at === 0 || endsStatement(tokens[at - 1]))) {
      const group = tokens[at + 1]?.text === '('
      let next = at + (group ? 2 : 1)
      do {
        const spec = specAt(tokens, next, group)
        found.push(...variablesOf(spec.tokens))
        next = spec.next
      } while (group && next < tokens.length && tokens[next]?.text !== ')')
      // a group's bracket is behind it; a single declaration's last token is the line's end
      at = group ? next : next - 1
      continue
    }
    depth += nesting(token)
  }
  return found
}

function tokensOf(text: string): Token[] {
  const tokens: Token[] = []
  for (let at = 0; at < text.length; ) {
    const [kind, form] = forms.find(([, each]) => {
      each.lastIndex = at
      return each.test(text)
    }) ?? ['none', /$/y]
    const token = text.slice(at, Math.max(form.lastIndex, at + 1))
    at += token.length
    // "a general comment containing newlines acts like a newline"
    if (kind === 'none' && token.includes('\n')) tokens.push({ kind: 'line', text: '\n' })
    else if (kind !== 'none') tokens.push({ kind, text: token })
  }
  return tokens
}

function nesting(token: Token | undefined): number {
  if (token?.kind !== 'mark') return 0
  return '([{'.includes(token.text) ? 1 : ')]}'.includes(token.text) ? -1 : 0
}

function endsStatement(token: Token | undefined): boolean {
  return token === undefined || token.kind === 'line' || token.text === ';'
}

/** From one declaration to its end: a semicolon, or a line that ends behind what can end a statement. */
function specAt(tokens: readonly Token[], from: number, group: boolean): { tokens: Token[]; next: number } {
  const spec: Token[] = []
  let depth = 0
  for (let at = from; at < tokens.length; at++) {
    const token = tokens[at]
    if (token === undefined) break
    const last = spec.at(-1)
    if (depth === 0) {
      if (group && token.text === ')' && token.kind === 'mark') return { tokens: spec, next: at }
      if (token.text === ';' && token.kind === 'mark') return { tokens: spec, next: at + 1 }
      if (token.kind === 'line' && last === undefined) continue
      if (token.kind === 'line' && (last?.kind !== 'mark' || ')]}'.includes(last.text))) return { tokens: spec, next: at + 1 }
    }
    if (token.kind === 'line') continue
    depth += nesting(token)
    spec.push(token)
  }
  return { tokens: spec, next: tokens.length }
}

function variablesOf(spec: readonly Token[]): GoVariable[] {
  const names: string[] = []
  let at = 0
  for (; spec[at]?.kind === 'word'; at += 2) {
    names.push(spec[at]?.text ?? '')
    if (spec[at + 1]?.text !== ',') {
      at += 1
      break
    }
  }
  const rest = spec.slice(at)
  const equals = rest.findIndex((token) => token.kind === 'mark' && token.text === '=')
  const type = (equals < 0 ? rest : rest.slice(0, equals)).map((token) => token.text).join('')
  const value = equals < 0 ? [] : rest.slice(equals + 1)
  // names of constants, of this package or of others, and literals; a call or another operator is no constant string
  const constant = value.every((token) => token.kind !== 'mark' || ['.', '+', ','].includes(token.text))
  const settable = constant && (type === 'string' || (type === '' && equals >= 0))
  return names.map((name) => ({ name, settable }))
}
