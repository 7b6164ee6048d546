/**
 * Writes the archive of one image whose layers are made while they are read, and reads it back: `large-child.ts DIR MEGABYTES`.
 * Prints `begun`, then one line of JSON: the archive and the peak of memory, or the error's code, and what is left in the store.
 */
import { createCipheriv } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { openDirectoryStore } from '../../src/content/directory.ts'
import type { ContentReader } from '../../src/content/store.ts'
import { RfoError } from '../../src/error.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { createDigester, type Digest, digestOf } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/mediatype.ts'
import { writeGroupArchive } from '../../src/pack/archive.ts'
import { checkGroupArchive } from '../../src/pack/read.ts'

const [, , dir = '', megabytes = '0'] = process.argv
const layerCount = 3

/** One megabyte again and again: what is measured must not be this. */
function* noise(seed: number): Generator<Buffer> {
  const piece = createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16)).update(Buffer.alloc(1 << 20))
  for (let left = Number(megabytes) / layerCount; left > 0; left -= 1) yield piece
}

const bodies = new Map<Digest, () => Iterable<Uint8Array>>()
function keep(mediaType: string, make: () => Iterable<Uint8Array>): Descriptor {
  const digester = createDigester()
  let size = 0
  for (const bytes of make()) {
    digester.update(bytes)
    size += bytes.length
  }
  const digest = digester.finish()
  bodies.set(digest, make)
  return { mediaType, digest, size }
}
const json = (mediaType: string, value: object): Descriptor => keep(mediaType, () => [Buffer.from(JSON.stringify(value))])

const layers = Array.from({ length: layerCount }, (_, i) => keep(mediaTypes.layerZstd, () => noise(i + 1)))
const config = json(mediaTypes.config, {
  os: 'linux',
  architecture: 'riscv64',
  rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digestOf(digest)) },
})
const manifest = json(mediaTypes.manifest, { schemaVersion: 2, config, layers })
const from: ContentReader = {
  async *fetch(target) {
    yield* bodies.get(target.digest)?.() ?? []
  },
  exists: async () => true,
  resolve: async () => undefined,
  referrers: async () => [],
}

const store = await openDirectoryStore(dir)
process.stdout.write('begun\n')
const result = await (async () => {
  try {
    const images = [{ reference: 'rfolabs/large:v1', manifest }]
    const archive = await writeGroupArchive({ platform: 'linux/riscv64', images, epoch: 0 }, from, store)
    await checkGroupArchive(createReadStream(store.blobPath(archive.digest), { highWaterMark: 1 << 20 }))
    return { archive, rss: process.resourceUsage().maxRSS * 1024 }
  } catch (thrown) {
    if (!(thrown instanceof RfoError)) throw thrown
    return { code: thrown.code, exit: thrown.exit }
  }
})()
const [blobs, tmp] = [await readdir(join(dir, 'blobs/sha256')), await readdir(join(dir, 'tmp'))]
process.stdout.write(JSON.stringify({ ...result, blobs, tmp }))
