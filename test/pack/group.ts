/** A group of three images for a platform: two with zstd layers, rfo-runtime with gzip ones, all on one base. */
import type { ContentStore } from '../../src/content/store.ts'
import type { PlatformName } from '../../src/oci/platform.ts'
import type { GroupImage } from '../../src/pack/contents.ts'
import { epoch, printingImage } from '../build/image.ts'

export { epoch }
export const runtimeReference = 'docker.io/rfolabs/rfo-runtime:v1.24.8-rfor1'

/** `ballast` in bytes goes into the first image's layer. */
export async function smallGroup(store: ContentStore, platform: PlatformName, ballast = 0): Promise<GroupImage[]> {
  return [
    { reference: 'rfolabs/rfo-coredns:v1.9.3', manifest: await printingImage(store, platform, 'coredns\n', 'zstd', ballast) },
    { reference: 'docker.io/rfolabs/rfo-etcd:v3.5.4', manifest: await printingImage(store, platform, 'etcd\n', 'zstd') },
    { reference: runtimeReference, manifest: await printingImage(store, platform, 'runtime\n', 'gzip') },
  ]
}
