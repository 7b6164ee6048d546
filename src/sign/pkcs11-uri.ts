/** Names of keys in tokens: https://www.rfc-editor.org/rfc/rfc7512. A PIN never stands in one: command lines are for everybody to read. */
import { RfoError } from '../error.ts'

export interface TokenUri {
  /** absolute path of the PKCS#11 library */
  readonly module: string
  /** what must be true of the token, trailing blanks aside */
  readonly token: Readonly<Partial<Record<'label' | 'manufacturerID' | 'model' | 'serialNumber', string>>>
  readonly slot?: number
  /** CKA_LABEL */
  readonly object?: string
  /** CKA_ID */
  readonly id?: Buffer
  /** absolute path of a file whose first line is the PIN */
  readonly pinFile?: string
}

export function isTokenUri(text: string): boolean {
  return text.startsWith('pkcs11:')
}

/** The URI up to its query, to be printed. */
export function printableTokenUri(text: string): string {
  return text.split('?')[0] ?? ''
}

const tokenAttributes = { token: 'label', manufacturer: 'manufacturerID', model: 'model', serial: 'serialNumber' } as const

/** Throws RFO_SIGN_TOKEN (exit usage). What is not known is refused: it would narrow down which key is meant. */
export function parseTokenUri(text: string): TokenUri {
  const [path = '', query = '', ...more] = text.slice('pkcs11:'.length).split('?')
  if (text.length > 4096 || more.length > 0) throw malformed('not a URI')
  const of = attributes(path, ';')
  const asked = attributes(query, '&')
  const token: Record<string, string> = {}
  for (const [name, as] of Object.entries(tokenAttributes)) {
    const value = take(of, name)
    if (value !== undefined) token[as] = value.toString('utf8')
  }
  const [slot, object, id, type] = ['slot-id', 'object', 'id', 'type'].map((name) => take(of, name))
  const [module, pinSource] = [take(asked, 'module-path')?.toString('utf8'), take(asked, 'pin-source')?.toString('utf8')]
  if (asked.has('pin-value'))
    throw malformed('a PIN on a command line is everybody’s to read', 'set RFO_KEY_PASSWORD, or give pin-source=file:<path>')
  const [unknown] = [...of.keys(), ...asked.keys()]
  if (unknown !== undefined) throw malformed(`${unknown.slice(0, 60)} is not known`)
  if (module?.startsWith('/') !== true) throw malformed('module-path, an absolute path, is missing')
  if (type !== undefined && type.toString() !== 'private') throw malformed('only type=private signs')
  if (object === undefined && id === undefined) throw malformed('neither object nor id names the key')
  if (slot !== undefined && !/^\d{1,10}$/.test(slot.toString())) throw malformed('slot-id is not a number')
  const pinFile = pinSource?.replace(/^file:(\/\/(?=\/))?/, '')
  if (pinFile?.startsWith('/') === false) throw malformed('pin-source wants file:<absolute path>')
  return {
    module,
    token,
    ...(slot === undefined ? {} : { slot: Number(slot.toString()) }),
    ...(object === undefined ? {} : { object: object.toString('utf8') }),
    ...(id === undefined ? {} : { id }),
    ...(pinFile === undefined ? {} : { pinFile }),
  }
}

function attributes(text: string, separator: string): Map<string, Buffer> {
  const found = new Map<string, Buffer>()
  for (const part of text.split(separator)) {
    if (part === '') continue
    const [, name, value] = /^([a-z][a-z0-9-]*)=([^=;?&#\s]*)$/.exec(part) ?? []
    if (name === undefined || value === undefined) throw malformed('an attribute is not name=value')
    if (found.has(name)) throw malformed(`${name} stands twice`)
    found.set(name, unescaped(value))
  }
  return found
}

/** Percent-encoding gives bytes, not characters: an id is none. https://www.rfc-editor.org/rfc/rfc3986#section-2.1 */
function unescaped(text: string): Buffer {
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) throw malformed('% is not followed by two hex digits')
  return Buffer.concat(
    text.split(/(%[0-9A-Fa-f]{2})/).map((part, at) => (at % 2 === 1 ? Buffer.from(part.slice(1), 'hex') : Buffer.from(part, 'utf8'))),
  )
}

function take(from: Map<string, Buffer>, name: string): Buffer | undefined {
  const value = from.get(name)
  from.delete(name)
  return value
}

/** Never quotes the URI: what somebody took for one may hold a PIN. */
function malformed(why: string, next = 'pkcs11:token=<label>;object=<label>?module-path=<library>'): RfoError {
  return new RfoError('RFO_SIGN_TOKEN', `can't use the token: ${why}`, { exit: 'usage', next })
}
