/** Bytes into tar-stream's parser at the pace at which its entries are read. https://github.com/mafintosh/tar-stream#extracting */
import type { Extract } from 'tar-stream'
import { drained } from './drained.ts'

/** Resolves when all is written, or when nobody reads any more. */
export async function feedTar(source: AsyncIterable<Uint8Array>, parser: Extract): Promise<void> {
  for await (const chunk of source) {
    if (parser.destroyed) return
    if (!parser.write(chunk)) await drained(parser)
  }
  parser.end(undefined)
}
