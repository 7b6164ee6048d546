/** A mirrored image: upstream's platform manifests byte for byte, chosen by platform. */
import { readBytes } from '../content/read.ts'
import type { ContentReader } from '../content/store.ts'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { parseImageConfig, parseIndex, parseManifest } from '../oci/manifest.ts'
import { isIndexType, isManifestType } from '../oci/mediatype.ts'
import { type Platform, type PlatformName, platformOf } from '../oci/platform.ts'

/**
 * Platform → its manifest, with our spelling of the platform. `index` may be the manifest of an image for one platform
 * alone. Throws RFO_BUILD_PLATFORM naming every platform that is lacking.
 */
export async function selectPlatforms<P extends PlatformName>(
  index: Descriptor,
  platforms: readonly P[],
  store: ContentReader,
): Promise<Record<P, Descriptor>> {
  const entries = await entriesOf(index, store)
  const found = new Map<P, Descriptor>()
  for (const name of platforms) {
    const platform = platformOf(name)
    const entry = entries.find((candidate) => candidate.platform !== undefined && runsOn(candidate.platform, platform))
    if (entry !== undefined) found.set(name, { mediaType: entry.mediaType, digest: entry.digest, size: entry.size, platform })
  }
  const lacking = platforms.filter((name) => !found.has(name))
  if (lacking.length > 0) {
    const held = entries.flatMap(({ platform }) =>
      platform === undefined || platform.os === 'unknown' ? [] : [`${platform.os}/${platform.architecture}`],
    )
    throw new RfoError(
      'RFO_BUILD_PLATFORM',
      `${index.digest} holds nothing for ${lacking.join(', ')}; it holds ${held.join(', ') || 'nothing'}`,
      {
        exit: 'lock',
        next: 'give the reason under `unsupported` in its pipeline',
      },
    )
  }
  return Object.fromEntries(found) as Record<P, Descriptor>
}

/** v8 is what arm64 means when nothing is said: https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md#platform-variants */
function runsOn(candidate: { readonly os: string; readonly architecture: string; readonly variant?: string }, platform: Platform): boolean {
  const plain =
    candidate.variant === undefined || candidate.variant === '' || (platform.architecture === 'arm64' && candidate.variant === 'v8')
  return candidate.os === platform.os && candidate.architecture === platform.architecture && plain
}

async function entriesOf(index: Descriptor, store: ContentReader): Promise<readonly Descriptor[]> {
  if (isIndexType(index.mediaType)) {
    return parseIndex(await readBytes(store, index)).manifests.filter((entry) => isManifestType(entry.mediaType))
  }
  if (!isManifestType(index.mediaType)) {
    throw new RfoError('RFO_BUILD_INDEX', `${index.digest} is a ${index.mediaType}, no image`, { exit: 'untrusted' })
  }
  const { config } = parseManifest(await readBytes(store, index))
  const { os, architecture } = parseImageConfig(await readBytes(store, config))
  return [{ mediaType: index.mediaType, digest: index.digest, size: index.size, platform: { os, architecture } }]
}
