/** rfo-release, which holds the key of whoever signs: made when the key is there, of what the packages say themselves. */
import type { ContentStore } from '../content/store.ts'
import { type PlatformName, platformNames } from '../oci/platform.ts'
import { parseVersion } from '../plan/version.ts'
import { tags } from '../rpm/header.ts'
import { readHeader } from '../rpm/install/read-header.ts'
import { rpmArch, rpmFileName } from '../rpm/package.ts'
import { releasePackage } from '../rpm/release-package.ts'
import { sourceFolder } from '../rpm/repository.ts'
import { rpmFront } from '../rpm/sign.ts'
import { rpmMediaType, writeRpm } from '../rpm/write.ts'
import type { PgpKey } from '../sign/pgp.ts'
import { sm3 } from './listing.ts'
import type { FileRecord } from './predicate.ts'
import { isRepositoryIndex } from './signed-paths.ts'

export interface Releasing {
  readonly version: string
  readonly platforms: readonly PlatformName[]
  readonly files: readonly FileRecord[]
  /** seconds since 1970 */
  readonly epoch: number
}

/** One a repository. */
export async function releasePackages(
  { version, platforms, files, epoch }: Releasing,
  pgp: PgpKey,
  store: ContentStore,
): Promise<FileRecord[]> {
  const made: FileRecord[] = []
  for (const { path } of files.filter((file) => isRepositoryIndex(file.path) && !file.path.startsWith(`${sourceFolder}/`))) {
    const [, channel = '', minor = '', os = '', arch = ''] =
      /^rpm\/([^/]+)\/([^/]+)\/openeuler\/([^/]+)\/([^/]+)\/repodata\//.exec(path) ?? []
    const platform = platformNames.find((name) => rpmArch(name) === arch)
    const common = files.find((file) => file.path.startsWith(`rpm/${channel}/${minor}/openeuler/${os}/${arch}/Packages/rfo-common-`))
    if (platform === undefined || common === undefined) throw new Error(`${path} is of no platform`)
    const front = await rpmFront(store.fetch({ mediaType: rpmMediaType, digest: common.digest, size: common.size }))
    const header = readHeader(front.header)
    const pkg = await releasePackage(
      {
        version: parseVersion(version),
        release: header.text(tags.release),
        vendor: header.text(tags.vendor),
        url: header.text(tags.url),
        packager: header.text(tags.packager),
        epoch,
        platform,
        platforms,
        place: { channel, minor, os },
        key: pgp.publicKey.armored,
      },
      store,
    )
    const { rpm } = await writeRpm(pkg, store, { epoch, compression: 'gzip', sign: (bytes) => pgp.packet(bytes, epoch) })
    made.push({ path: `rpm/${rpmFileName(pkg)}`, digest: rpm.digest, size: rpm.size, sm3: await sm3(store, rpm) })
  }
  return made
}
