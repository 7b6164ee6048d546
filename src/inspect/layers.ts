/** Layers unpacked and thrown away: within a bound, to the bytes that the config names, and to paths that stay inside. */
import { readBytes } from '../content/read.ts'
import type { ContentReader } from '../content/store.ts'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { createDigester, type Digest } from '../oci/digest.ts'
import { maxManifestBytes, parseImageConfig, parseManifest } from '../oci/manifest.ts'
import { digested, unpackLayer } from './image.ts'
import { readTar, splitPath } from './tar.ts'

export interface Layer {
  readonly layer: Descriptor
  readonly diffId: Digest
}

/** The layers of a platform manifest. Throws RFO_INSPECT_DIFFID when its config names another number of them. */
export async function layersOf(manifest: Descriptor, from: ContentReader): Promise<Layer[]> {
  const { config, layers } = parseManifest(await readBytes(from, manifest, maxManifestBytes))
  const { diff_ids: diffIds } = parseImageConfig(await readBytes(from, config, maxManifestBytes)).rootfs
  if (diffIds.length !== layers.length)
    throw new RfoError('RFO_INSPECT_DIFFID', `${layers.length} layers, and its config ${diffIds.length} diff_ids`, { exit: 'untrusted' })
  return layers.map((layer, n) => ({ layer, diffId: diffIds[n] as Digest }))
}

/** Throws RFO_INSPECT_LAYER, _BOMB, _DIFFID, _TAR, _PATH. Constant memory. */
export async function checkLayer({ layer, diffId }: Layer, from: ContentReader): Promise<void> {
  const plain = createDigester()
  const read = async (source: AsyncIterable<Uint8Array>): Promise<void> => {
    for await (const entry of readTar(digested(source, plain))) {
      if (entry.kind === 'hardlink') splitPath(entry.target) // one that leaves the root is refused
      for await (const _ of entry.body) {
        // its digest is the layer's
      }
    }
  }
  await unpackLayer(layer, from, read)
  const found = plain.finish()
  if (found !== diffId)
    throw new RfoError('RFO_INSPECT_DIFFID', `the config says diff_id ${diffId}, the layer's bytes are ${found}`, { exit: 'untrusted' })
}
