/**
 * Walks an image whose one layer is made while it is read: an ELF file of 160 MB (spooled), one of 30 MB (in memory), and
 * 20 MB of something else. Prints how much memory that took. Arguments: a temporary folder, and how the layer is packed.
 */
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { createGzip, createZstdCompress } from 'node:zlib'
import type { ContentReader } from '../../src/content/store.ts'
import { inventoryImage } from '../../src/inspect/inventory.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/mediatype.ts'
import { elf } from './images.ts'

const [, , tempDir = '', packing = 'gzip'] = process.argv
const files = [
  { name: 'usr/bin/large', head: elf('large'), size: 160_000_000 },
  { name: 'usr/bin/small', head: elf('small'), size: 30_000_000 },
  { name: 'usr/share/other', head: Buffer.alloc(0), size: 20_000_000 },
]

function header(name: string, size: number): Buffer {
  const bytes = Buffer.alloc(512)
  bytes.write(`${name}`, 0)
  bytes.write('0000755\0', 100)
  bytes.write(`${size.toString(8).padStart(11, '0')}\0`, 124)
  bytes.write('        ', 148)
  bytes.write('0', 156)
  bytes.write('ustar\u000000', 257)
  const sum = bytes.reduce((total, byte) => total + byte, 0)
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return bytes
}

function* tar(): Generator<Buffer> {
  const noise = Buffer.from(Array.from({ length: 65536 }, (_, n) => (n * 2654435761) >>> 24))
  for (const { name, head, size } of files) {
    yield header(name, size)
    yield head
    for (let left = size - head.length; left > 0; left -= noise.length) yield noise.subarray(0, Math.min(left, noise.length))
    yield Buffer.alloc((512 - (size % 512)) % 512)
  }
  yield Buffer.alloc(1024)
}

function layer(): AsyncIterable<Uint8Array> {
  const plain = Readable.from(tar(), { objectMode: false })
  return packing === 'plain' ? plain : plain.pipe(packing === 'gzip' ? createGzip({ level: 1 }) : createZstdCompress())
}

const diffId = createHash('sha256')
let bytes = 0
for (const chunk of tar()) {
  bytes += chunk.length
  diffId.update(chunk)
}
const config = JSON.stringify({
  os: 'linux',
  architecture: 'amd64',
  rootfs: { type: 'layers', diff_ids: [`sha256:${diffId.digest('hex')}`] },
})
const mediaType = { gzip: mediaTypes.layerGzip, zstd: mediaTypes.layerZstd, plain: mediaTypes.layerTar }[packing] ?? ''
const layerDigest = digestOf('made while it is read: nobody asks for its digest here')
const manifest = JSON.stringify({
  schemaVersion: 2,
  config: { mediaType: mediaTypes.config, digest: digestOf(config), size: config.length },
  layers: [{ mediaType, digest: layerDigest, size: bytes }],
})
const blobs = new Map<Digest, string>([config, manifest].map((text) => [digestOf(text), text]))
const store: ContentReader = {
  async *fetch(target: Descriptor) {
    if (target.digest === layerDigest) yield* layer()
    else yield Buffer.from(blobs.get(target.digest) ?? '')
  },
  exists: async () => true,
  resolve: async () => undefined,
  referrers: async () => [],
}
const inventory = await inventoryImage({ mediaType: mediaTypes.manifest, digest: digestOf(manifest), size: manifest.length }, store, {
  tempDir,
})
process.stdout.write(JSON.stringify({ files: inventory.files, bytes, rss: process.resourceUsage().maxRSS * 1024 }))
