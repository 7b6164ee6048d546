/** The XML of a repository's metadata as events. A file may be large, but no element deep and no text long. */
import { SaxesParser } from 'saxes'
import { RfoError } from '../../error.ts'

export interface XmlHandler {
  /** names as they stand there: `rpm:entry` */
  open(name: string, attributes: Readonly<Record<string, string>>): void
  /** `text`: what stood directly in the element, up to 4096 characters */
  close(name: string, text: string): void
}

const deepest = 16
const longestText = 4096
/** characters without an element's beginning or end */
const longestGap = 4 * 1024 * 1024
/** openEuler's longest list has about 300 MB */
const mostBytes = 4 * 1024 ** 3

/** `name` is for messages. Throws RFO_RPM_METADATA. */
export async function readXml(bytes: AsyncIterable<Uint8Array>, name: string, handler: XmlHandler): Promise<void> {
  const parser = new SaxesParser({ xmlns: false })
  const bad = (what: string): RfoError => badMetadata(name, what)
  const texts: string[] = []
  let since = 0
  let total = 0
  parser.on('error', (error) => {
    throw bad(error.message)
  })
  // an entity of its own could name another, and so on
  parser.on('doctype', () => {
    throw bad('it declares a document type')
  })
  parser.on('opentag', (tag) => {
    since = 0
    if (texts.push('') > deepest) throw bad('its elements are too deep')
    handler.open(tag.name, tag.attributes)
  })
  parser.on('text', (text) => {
    const before = texts.at(-1)
    if (before !== undefined && before.length < longestText) texts[texts.length - 1] = (before + text).slice(0, longestText)
  })
  parser.on('closetag', (tag) => {
    since = 0
    handler.close(tag.name, texts.pop() ?? '')
  })
  const decoder = new TextDecoder('utf-8', { fatal: true })
  try {
    for await (const chunk of bytes) {
      since += chunk.length
      total += chunk.length
      if (total > mostBytes) throw bad(`more than ${mostBytes} bytes`)
      if (since > longestGap) throw bad('an element that does not end')
      parser.write(decoder.decode(chunk, { stream: true }))
    }
    parser.write(decoder.decode())
    parser.close()
  } catch (thrown) {
    if (thrown instanceof TypeError) throw bad('it is not UTF-8')
    throw thrown
  }
}

export function badMetadata(name: string, what: string): RfoError {
  return new RfoError('RFO_RPM_METADATA', `the repository's ${name} can't be read: ${what}`, { exit: 'untrusted' })
}
