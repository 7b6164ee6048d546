/** The licence field of an rpm as an SPDX expression, when it is one or is in Fedora's older words; else it stays a name. */

/** https://docs.fedoraproject.org/en-US/legal/allowed-licenses/, the "Fedora abbreviation" column: those that name one licence; and openEuler's spellings. */
const olderNames: Readonly<Record<string, string>> = {
  AGPLv3: 'AGPL-3.0-only',
  'AGPLv3+': 'AGPL-3.0-or-later',
  'ASL 1.1': 'Apache-1.1',
  'ASL 2.0': 'Apache-2.0',
  'ASL2.0': 'Apache-2.0',
  'Apache License 2.0': 'Apache-2.0',
  'Apache License, Version 2.0': 'Apache-2.0',
  'Artistic 2.0': 'Artistic-2.0',
  'Artistic clarified': 'ClArtistic',
  'BSD with advertising': 'BSD-4-Clause',
  Boost: 'BSL-1.0',
  'CC-BY': 'CC-BY-4.0',
  CC0: 'CC0-1.0',
  'GPL+': 'GPL-1.0-or-later',
  GPLv1: 'GPL-1.0-only',
  'GPLv1+': 'GPL-1.0-or-later',
  GPLv2: 'GPL-2.0-only',
  'GPLv2+': 'GPL-2.0-or-later',
  GPLv3: 'GPL-3.0-only',
  'GPLv3+': 'GPL-3.0-or-later',
  LGPLv2: 'LGPL-2.0-only',
  'LGPLv2+': 'LGPL-2.0-or-later',
  'LGPLv2.1': 'LGPL-2.1-only',
  'LGPLv2.1+': 'LGPL-2.1-or-later',
  LGPLv3: 'LGPL-3.0-only',
  'LGPLv3+': 'LGPL-3.0-or-later',
  'MPLv1.0': 'MPL-1.0',
  'MPLv1.1': 'MPL-1.1',
  'MPLv2.0': 'MPL-2.0',
  // openEuler's own licence, as its packages spell it
  'Mulan PSL v1': 'MulanPSL-1.0',
  'Mulan PSL v2': 'MulanPSL-2.0',
  MulanPSL2: 'MulanPSL-2.0',
  MulanPSLv2: 'MulanPSL-2.0',
  OFL: 'OFL-1.1',
  OpenLDAP: 'OLDAP-2.8',
  PHP: 'PHP-3.01',
  zlib: 'Zlib',
}

export type License =
  /** An SPDX identifier. */
  | { readonly kind: 'id'; readonly id: string }
  /** An SPDX expression of more than one identifier. */
  | { readonly kind: 'expression'; readonly expression: string }
  /** Words that SPDX doesn't know. */
  | { readonly kind: 'name'; readonly name: string }

/** bytes; a licence field is a line */
const longest = 4096

/** `known` gives the SPDX identifier in SPDX's own case, or undefined. An empty field gives undefined. */
export function parseLicense(field: string, known: (id: string) => string | undefined): License | undefined {
  const text = field.trim()
  if (text === '') return undefined
  const expression = text.length > longest ? undefined : toExpression(text, known)
  if (expression === undefined) return { kind: 'name', name: text }
  return /[ (]/.test(expression) ? { kind: 'expression', expression } : { kind: 'id', id: expression }
}

/** https://spdx.github.io/spdx-spec/v2.3/SPDX-license-expressions/: operands joined by and/or, in balanced parentheses. */
function toExpression(text: string, known: (id: string) => string | undefined): string | undefined {
  const out: string[] = []
  let depth = 0
  let wantsOperand = true
  for (const token of tokensOf(text)) {
    const word = token.toLowerCase()
    if (word === '(') {
      if (!wantsOperand) return undefined
      depth++
      out.push('(')
    } else if (word === ')') {
      if (wantsOperand || --depth < 0) return undefined
      out.push(')')
    } else if (word === 'and' || word === 'or') {
      if (wantsOperand) return undefined
      wantsOperand = true
      out.push(word.toUpperCase())
    } else {
      const operand = wantsOperand ? toOperand(token, known) : undefined
      if (operand === undefined) return undefined
      wantsOperand = false
      out.push(operand)
    }
  }
  if (wantsOperand || depth !== 0) return undefined
  return out.join(' ').replaceAll('( ', '(').replaceAll(' )', ')')
}

/** Parentheses, `and`, `or`, and what stands between them: an operand may be several words (`ASL 2.0`). */
function tokensOf(text: string): string[] {
  const tokens: string[] = []
  let operand: string[] = []
  const end = (): void => {
    if (operand.length > 0) tokens.push(operand.join(' '))
    operand = []
  }
  for (const word of text.replace(/[()]/g, ' $& ').split(/\s+/)) {
    if (word === '') continue
    if (!/^(?:[()]|and|or)$/i.test(word)) operand.push(word)
    else {
      end()
      tokens.push(word)
    }
  }
  end()
  return tokens
}

function toOperand(text: string, known: (id: string) => string | undefined): string | undefined {
  const license = (words: string): string | undefined => (Object.hasOwn(olderNames, words) ? olderNames[words] : known(words))
  const whole = license(text)
  if (whole !== undefined) return whole
  const [name = '', exception = '', ...more] = text.split(/\s+with\s+/i)
  const id = license(name)
  const granted = known(exception)
  return id === undefined || granted === undefined || more.length > 0 ? undefined : `${id} WITH ${granted}`
}
