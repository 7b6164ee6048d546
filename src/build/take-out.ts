/** Files out of an image, without unpacking the rest of it. */
import { createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { extract } from 'tar-stream'
import { readBytes } from '../content/read.ts'
import type { ContentReader } from '../content/store.ts'
import { unzstd } from '../content/zstd.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { parseManifest } from '../oci/manifest.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import { feedTar, plainly } from '../oci/tar-feed.ts'

/**
 * Absolute path in the image → file to write, executable. Each comes from the topmost layer that has it; one pass over a
 * layer. Gives the paths that no layer has.
 */
export async function takeOut(
  image: Descriptor,
  wanted: ReadonlyMap<string, string>,
  store: ContentReader,
  signal?: AbortSignal,
): Promise<string[]> {
  const left = new Map(wanted)
  const { layers } = parseManifest(await readBytes(store, image))
  for (const layer of layers.toReversed()) {
    if (left.size === 0) break
    const parser = extract({})
    const onward = (source: AsyncIterable<Uint8Array>): Promise<void> => feedTar(source, parser)
    const bytes = store.fetch(layer, signal)
    const fed =
      layer.mediaType === mediaTypes.layerGzip
        ? pipeline(bytes, createGunzip(), onward)
        : onward(layer.mediaType === mediaTypes.layerZstd ? unzstd(bytes) : bytes)
    fed.catch((cause: Error) => parser.destroy(cause))
    for await (const entry of parser) {
      const path = `/${entry.header.name.replace(/^(\.?\/)+/, '')}`
      const file = entry.header.type === 'file' ? left.get(path) : undefined
      if (file === undefined) entry.resume()
      else {
        await pipeline(plainly(entry as AsyncIterable<Uint8Array>), createWriteStream(file, { mode: 0o755 }))
        left.delete(path)
      }
    }
    await fed
  }
  return [...left.keys()]
}
