/** Tars of our own, read strictly: files alone, headers exactly as oci/tar-header.ts writes them, so that no two readers see two things. */

import { pull } from '../content/pull.ts'
import { RfoError } from '../error.ts'
import { blockSize, headerBlocks, padding } from '../oci/tar-header.ts'

export interface TarFile {
  readonly name: string
  /** bytes */
  readonly size: number
  /** seconds */
  readonly mtime: number
  /** What of it is not read is read over when the next entry is asked for. */
  readonly body: AsyncIterable<Uint8Array>
}

/** Throws RFO_PACK_TAR, also for a tar that ends early and for anything behind its end. */
export async function* readTarFiles(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarFile, void, undefined> {
  const input = pull(source, () => refused('it ends too early'))
  try {
    for (;;) {
      const block = await input.exactly(blockSize)
      if (isZero(block)) break
      const { name, size, mtime } = parseHeader(block)
      let left = size
      const body = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
        while (left > 0) {
          const bytes = await input.some(left)
          left -= bytes.length
          yield bytes
        }
      }
      yield { name, size, mtime, body: { [Symbol.asyncIterator]: body } }
      while (left > 0) left -= (await input.some(left)).length
      if (!isZero(await input.exactly(padding(size)))) throw refused(`something stands behind ${name}`)
    }
    if (!isZero(await input.exactly(blockSize))) throw refused('one block of zeros alone does not end it')
    if (!(await input.ended())) throw refused('something stands behind its end')
  } finally {
    await input.close()
  }
}

function parseHeader(block: Buffer): { name: string; size: number; mtime: number } {
  const text = (at: number, width: number): string => block.toString('latin1', at, at + width).replace(/\0.*$/s, '')
  const octal = (at: number, width: number): number => Number.parseInt(text(at, width), 8)
  const header = { name: text(0, 100), size: octal(124, 12), mtime: octal(136, 12) }
  const numbers = Number.isSafeInteger(header.size) && Number.isSafeInteger(header.mtime)
  // an absurd name gets a pax header in front, and so does not compare equal
  if (!numbers || !headerBlocks({ ...header, type: 'file', mode: 0o644, link: '' }).equals(block)) {
    throw refused(`the header of ${JSON.stringify(header.name)} is not one that we write`)
  }
  return header
}

function isZero(block: Uint8Array): boolean {
  return block.every((byte) => byte === 0)
}

function refused(why: string): RfoError {
  return new RfoError('RFO_PACK_TAR', `not a tar as we write them: ${why}`, { exit: 'untrusted' })
}
