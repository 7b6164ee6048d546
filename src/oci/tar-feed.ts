/** Bytes into tar-stream's parser at the pace at which its entries are read. https://github.com/mafintosh/tar-stream#extracting */
import type { Extract } from 'tar-stream'

/** Resolves when all is written, or when nobody reads any more. */
export async function feedTar(source: AsyncIterable<Uint8Array>, parser: Extract): Promise<void> {
  for await (const chunk of source) {
    if (parser.destroyed) return
    if (!parser.write(chunk)) await drained(parser)
  }
  parser.end(undefined)
}

/** A parser that nobody reads any more never drains: its end counts too. */
function drained(parser: Extract): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      parser.off('drain', done)
      parser.off('close', done)
      resolve()
    }
    parser.on('drain', done)
    parser.on('close', done)
    if (parser.destroyed) done()
  })
}
