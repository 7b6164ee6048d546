/** Tiny images for these tests: an index over platform manifests, in any store. */
import { pushBytes } from '../../src/content/read.ts'
import type { ContentStore } from '../../src/content/store.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { canonicalJson, type Json } from '../../src/oci/json.ts'
import { mediaTypes } from '../../src/oci/mediatype.ts'

export interface TinyImage {
  readonly index: Descriptor
  readonly platforms: readonly Descriptor[]
}

export async function tinyImage(store: ContentStore, seed: string): Promise<TinyImage> {
  const platforms: Descriptor[] = []
  for (const architecture of ['amd64', 'riscv64']) {
    const layer = await pushBytes(store, mediaTypes.layerTar, Buffer.alloc(1024, `${seed}${architecture}`))
    const rootfs = { type: 'layers', diff_ids: [layer.digest] }
    const config = await pushBytes(store, mediaTypes.config, canonicalJson({ architecture, os: 'linux', config: {}, rootfs }))
    const text = canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers: [layer] } as unknown as Json)
    platforms.push(await pushBytes(store, mediaTypes.manifest, text, { platform: { os: 'linux', architecture } }))
  }
  const text = canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: platforms } as unknown as Json)
  const index = await pushBytes(store, mediaTypes.index, text)
  await store.tag(index, `v-${digestOf(seed).slice(7, 19)}`)
  return { index, platforms }
}
