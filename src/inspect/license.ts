/** The licence field of an rpm as an SPDX expression, when it is one or is in Fedora's older words; else it stays a name. */

/** https://docs.fedoraproject.org/en-US/legal/allowed-licenses/, the "Fedora abbreviation" column: those that name one licence. */
const fedoraNames: Readonly<Record<string, string>> = {
  AGPLv3: 'AGPL-3.0-only',
  'AGPLv3+': 'AGPL-3.0-or-later',
  'ASL 1.1': 'Apache-1.1',
  'ASL 2.0': 'Apache-2.0',
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
  const tokens = text.split(/\s*([()])\s*|\s+(and|or)\s+/i).filter((token) => token !== undefined && token !== '')
  const out: string[] = []
  let depth = 0
  let wantsOperand = true
  for (const token of tokens) {
    const word = token.toLowerCase()
    if (word === '(') {
      if (!wantsOperand) return undefined
      depth++
      out.push('(')
    } else if (word === ')') {
      if (wantsOperand || --depth < 0) return undefined
      out.push(')')
    } else if (/^(?:and|or)$/.test(word.trim())) {
      if (wantsOperand) return undefined
      wantsOperand = true
      out.push(word.trim().toUpperCase())
    } else {
      const operand = wantsOperand ? toOperand(token.trim(), known) : undefined
      if (operand === undefined) return undefined
      wantsOperand = false
      out.push(operand)
    }
  }
  if (wantsOperand || depth !== 0) return undefined
  return out.join(' ').replaceAll('( ', '(').replaceAll(' )', ')')
}

function toOperand(text: string, known: (id: string) => string | undefined): string | undefined {
  const [license = '', exception, ...more] = text.split(/\s+with\s+/i)
  const plain = Object.hasOwn(fedoraNames, text) ? fedoraNames[text] : undefined
  if (plain !== undefined) return plain
  if (exception === undefined) return Object.hasOwn(fedoraNames, license) ? fedoraNames[license] : known(license)
  if (more.length > 0) return undefined
  const id = Object.hasOwn(fedoraNames, license) ? fedoraNames[license] : known(license)
  const granted = known(exception)
  return id === undefined || granted === undefined ? undefined : `${id} WITH ${granted}`
}
