/** Small images for tests: layers packed here, put into a memory store, pulled as a registry would serve them. */
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { type Header, pack } from 'tar-stream'
import { memoryStore } from '../../src/content/memory.ts'
import { pushBytes } from '../../src/content/read.ts'
import type { ContentStore } from '../../src/content/store.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/mediatype.ts'
import type { RpmPackage } from '../../src/sandbox/rpmdb.ts'

export type Entry = Partial<Header> & { readonly name: string; readonly body?: string | Buffer }

export async function tarOf(entries: readonly Entry[]): Promise<Buffer> {
  const packed = pack()
  for (const { body = '', ...header } of entries) packed.entry({ mtime: new Date(0), ...header }, Buffer.from(body))
  packed.finalize()
  const chunks: Buffer[] = []
  for await (const chunk of packed as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks)
}

export type Packing = 'plain' | 'gzip' | 'zstd' | 'frames'
const packings = {
  plain: { mediaType: mediaTypes.layerTar, squeeze: (bytes: Buffer) => bytes },
  gzip: { mediaType: mediaTypes.layerGzip, squeeze: (bytes: Buffer) => gzipSync(bytes) },
  zstd: { mediaType: mediaTypes.layerZstd, squeeze: (bytes: Buffer) => zstdCompressSync(bytes) },
  /** as zstd:chunked and pzstd write it */
  frames: {
    mediaType: mediaTypes.layerZstd,
    squeeze: (bytes: Buffer) =>
      Buffer.concat(
        Array.from({ length: Math.ceil(bytes.length / 700) }, (_, i) => zstdCompressSync(bytes.subarray(700 * i, 700 * i + 700))),
      ),
  },
} as const

export interface Image {
  readonly store: ContentStore
  readonly manifest: Descriptor
}

/** `diffIds` replaces those that the layers really have. */
export async function imageOf(
  tars: readonly Buffer[],
  how: { readonly packing?: Packing; readonly architecture?: string; readonly diffIds?: readonly string[] } = {},
): Promise<Image> {
  const store = memoryStore()
  const { mediaType, squeeze } = packings[how.packing ?? 'gzip']
  const layers: Descriptor[] = []
  for (const tar of tars) layers.push(await pushBytes(store, mediaType, squeeze(tar)))
  const config = await pushBytes(
    store,
    mediaTypes.config,
    JSON.stringify({
      os: 'linux',
      architecture: how.architecture ?? 'amd64',
      rootfs: { type: 'layers', diff_ids: how.diffIds ?? tars.map((tar) => digestOf(tar)) },
    }),
  )
  const manifest = await pushBytes(
    store,
    mediaTypes.manifest,
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers }),
  )
  return { store, manifest }
}

export async function image(layers: readonly (readonly Entry[])[], how: Parameters<typeof imageOf>[1] = {}): Promise<Image> {
  return await imageOf(await Promise.all(layers.map(tarOf)), how)
}

export function rpm(name: string, more: Partial<RpmPackage> = {}): RpmPackage {
  return {
    name,
    version: '1.0',
    release: '1.oe2403sp1',
    arch: 'x86_64',
    license: 'MIT',
    summary: name,
    vendor: 'http://openeuler.org',
    sourceRpm: `${name}-1.0-1.oe2403sp1.src.rpm`,
    digestAlgorithm: 8,
    files: [],
    provides: [name],
    requires: [],
    ...more,
  }
}

/** The smallest thing that counts as an ELF executable for amd64; `mark` makes it differ. */
export function elf(mark: string): Buffer {
  const bytes = Buffer.alloc(128)
  bytes.write('\x7fELF\x02\x01\x01', 0, 'latin1')
  bytes.writeUInt16LE(2, 16)
  bytes.writeUInt16LE(62, 18)
  bytes.write(mark, 64)
  return bytes
}

export const osRelease =
  'NAME="openEuler"\nVERSION="24.03 (LTS-SP1)"\nID="openEuler"\nVERSION_ID="24.03"\nPRETTY_NAME="openEuler 24.03 (LTS-SP1)"\n'
