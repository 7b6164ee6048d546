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

/** tar-stream's streams are not Node's: Node's pipeline takes them for its own and then misses how they fail. */
export async function* plainly(entry: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  yield* entry
}
