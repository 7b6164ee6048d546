/** Small images that real tools accept: multi-arch, gzip and zstd layers, a referrer. */
import { createHash } from 'node:crypto'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { pack } from 'tar-stream'
import { gather } from '../../src/content/body.ts'
import { pushBytes } from '../../src/content/read.ts'
import type { ContentStore } from '../../src/content/store.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { canonicalJson, type Json } from '../../src/oci/json.ts'
import { mediaTypes } from '../../src/oci/mediatype.ts'

/** Bytes that look random and are the same each time. */
export function noise(seed: string, size: number): Buffer {
  const chunks: Buffer[] = []
  let block = createHash('sha512').update(seed).digest()
  for (let left = size; left > 0; left -= block.length) {
    block = createHash('sha512').update(block).digest()
    chunks.push(block.subarray(0, Math.min(left, block.length)))
  }
  return Buffer.concat(chunks)
}

async function tar(name: string, bytes: Buffer): Promise<Buffer> {
  const archive = pack()
  archive.entry({ name, size: bytes.length, mtime: new Date(0), mode: 0o644 }, bytes)
  archive.finalize()
  return await gather(archive as AsyncIterable<Uint8Array>)
}

const json = (value: unknown): string => canonicalJson(value as Json)

export interface Image {
  readonly index: Descriptor
  readonly manifests: readonly Descriptor[]
  /** all descriptors, each once */
  readonly all: readonly Descriptor[]
}

/** Two platforms; each with a gzip layer of its own and a zstd layer that both share. */
export async function pushImage(to: ContentStore, name: string, layerSize = 20_000): Promise<Image> {
  const all: Descriptor[] = []
  const push = async (mediaType: string, bytes: Uint8Array | string, extra: Partial<Descriptor> = {}): Promise<Descriptor> => {
    const target = await pushBytes(to, mediaType, bytes, extra)
    all.push(target)
    return target
  }
  const sharedTar = await tar(`${name}-shared`, noise(`${name}/shared`, layerSize))
  const shared = await push(mediaTypes.layerZstd, zstdCompressSync(sharedTar))
  const manifests: Descriptor[] = []
  for (const architecture of ['amd64', 'arm64']) {
    const ownTar = await tar(`${name}-${architecture}`, noise(`${name}/${architecture}`, layerSize))
    const own = await push(mediaTypes.layerGzip, gzipSync(ownTar))
    const config = await push(
      mediaTypes.config,
      json({
        architecture,
        os: 'linux',
        config: { Cmd: ['/x'] },
        rootfs: { type: 'layers', diff_ids: [digestOf(ownTar), digestOf(sharedTar)] },
      }),
    )
    const text = json({ schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers: [own, shared] })
    manifests.push(await push(mediaTypes.manifest, text, { platform: { os: 'linux', architecture } }))
  }
  const index = await push(mediaTypes.index, json({ schemaVersion: 2, mediaType: mediaTypes.index, manifests }))
  return { index, manifests, all }
}

/** A manifest about `subject`, as a signature or an SBOM is attached. */
export async function pushReferrer(to: ContentStore, subject: Descriptor, artifactType: string, text: string): Promise<Descriptor> {
  const config = await pushBytes(to, mediaTypes.empty, '{}')
  const layer = await pushBytes(to, 'text/plain', text)
  const { mediaType, digest, size } = subject
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    artifactType,
    config,
    layers: [layer],
    subject: { mediaType, digest, size },
    annotations: { 'org.example.text': text },
  }
  return await pushBytes(to, mediaTypes.manifest, json(manifest))
}
