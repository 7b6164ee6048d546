/** A small base and an image upon it, made by the code under test. */

import { assembleImage } from '../../src/build/assemble.ts'
import { compressLayer } from '../../src/build/compress.ts'
import { type LayerEntry, writeLayerTar } from '../../src/build/layer.ts'
import type { ContentStore } from '../../src/content/store.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import type { Platform, PlatformName } from '../../src/oci/platform.ts'
import { platformOf } from '../../src/oci/platform.ts'
import { standInProgram } from '../../src/sandbox/elf.ts'

export const epoch = 1_668_470_400

export async function oneLayer(store: ContentStore, entries: readonly LayerEntry[], encoding: 'zstd' | 'gzip', createdBy: string) {
  return { ...(await compressLayer(await writeLayerTar(entries, store, epoch), encoding, store)), createdBy }
}

export async function smallBase(store: ContentStore, platform: PlatformName): Promise<Descriptor> {
  const text = Buffer.from('NAME="small"\nID=small\n')
  const layer = await oneLayer(
    store,
    [
      { path: '/etc/os-release', bytes: text, mode: 0o644 },
      { path: '/tmp', directory: true, mode: 0o1777 },
    ],
    'gzip',
    'the base',
  )
  return await assembleImage(
    {
      layers: [layer],
      platform,
      config: { cmd: ['/bin/sh'], env: { PATH: '/usr/bin:/bin', LANG: 'C' } },
      labels: { base: 'small' },
      epoch: epoch - 1000,
    },
    store,
  )
}

/** Prints `text`; its layer is over 32 MiB, so that it has several zstd frames. */
export async function printingImage(
  store: ContentStore,
  platform: PlatformName,
  text: string,
  encoding: 'zstd' | 'gzip' = 'zstd',
  ballast = 0,
) {
  const { architecture }: Platform = platformOf(platform)
  const entries: LayerEntry[] = [
    { path: '/usr/bin/say', bytes: standInProgram(architecture, text), mode: 0o755 },
    { path: '/usr/bin/sag', link: 'say' },
    ...(ballast === 0 ? [] : [{ path: '/usr/share/ballast', bytes: noise(ballast), mode: 0o644 }]),
  ]
  const base = await smallBase(store, platform)
  const layer = await oneLayer(store, entries, encoding, 'the program')
  return await assembleImage(
    { base, layers: [layer], platform, config: { entrypoint: ['/usr/bin/say'] }, labels: { own: 'yes' }, epoch },
    store,
  )
}

/** The same everywhere; like programs: partly random, partly repeated from near and far. */
export function noise(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  let state = 1
  for (let at = 0; at < length; at += 1) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    const fresh = (state >>> 24) & (at % 3 === 0 ? 0xff : 0x0f)
    const back = at & 4096 ? 70_001 : 1_500_007
    bytes[at] = at & 2048 && at > back ? (bytes[at - back] ?? 0) : fresh
  }
  return bytes
}
