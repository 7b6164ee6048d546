/** One architecture's repository, and the specs, as files of a release. */
import { pushBytes } from '../content/read.ts'
import type { ContentStore } from '../content/store.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import { type RpmExtent, rpmExtent } from './extent.ts'
import type { RpmPackage } from './package.ts'
import {
  type RepositoryList,
  type RepositoryPackage,
  type RepositoryPlace,
  repomdPath,
  repositoryFiles,
  repositoryFolder,
  repositoryLists,
  sourceFolder,
  unsignedMetadata,
} from './repository.ts'
import { packagePath, sourcePath } from './repository-entries.ts'
import { writeSourceRpm } from './source-rpm.ts'
import { renderSpec } from './spec.ts'
import { type WriteRpmOptions, type WrittenRpm, writeRpm } from './write.ts'

export interface RpmReleaseFile {
  /** below the release's folder */
  readonly path: string
  readonly content: Descriptor
  /** Of an RPM, its main header and payload; of repomd.xml, all that the lists say: what the release's root lists instead of `content`. */
  readonly unsigned?: { readonly digest: Digest; readonly size: number }
}

/** Packages of one architecture and the metadata over them; everything is pushed. `make`: by whom, the writer unless told. */
export async function writeRepository(
  packages: readonly [RpmPackage, ...RpmPackage[]],
  place: RepositoryPlace,
  store: ContentStore,
  options: WriteRpmOptions,
  advisories?: RepositoryList,
  make: (pkg: RpmPackage) => Promise<WrittenRpm> = (pkg) => writeRpm(pkg, store, options),
): Promise<readonly RpmReleaseFile[]> {
  const folder = repositoryFolder(place, packages[0].arch)
  const files: RpmReleaseFile[] = []
  const listed: ListedRpm[] = []
  for (const pkg of packages) {
    const { rpm } = await make(pkg)
    const extent = await rpmExtent(rpm, store, options.signal)
    listed.push({ pkg, rpm, extent, compression: options.compression })
    files.push({
      path: `${folder}/${packagePath(pkg)}`,
      content: rpm,
      unsigned: { digest: extent.unsigned, size: extent.unsignedSize },
    })
  }
  return [...files, ...(await writeLists(folder, listed, store, options, advisories))]
}

/** Sources of packages of all architectures, one a name, and the metadata over them. `sources`: by their names in the specs. */
export async function writeSourceRepository(
  packages: readonly RpmPackage[],
  sources: ReadonlyMap<string, Descriptor>,
  store: ContentStore,
  options: WriteRpmOptions,
): Promise<readonly RpmReleaseFile[]> {
  const files: RpmReleaseFile[] = []
  const listed: ListedRpm[] = []
  for (const pkg of packages) {
    const { rpm, source } = await writeSourceRpm(pkg, sources, store, options)
    const extent = await rpmExtent(rpm, store, options.signal)
    listed.push({ pkg, rpm, extent, source, compression: options.compression })
    files.push({
      path: `${sourceFolder}/${sourcePath(pkg)}`,
      content: rpm,
      unsigned: { digest: extent.unsigned, size: extent.unsignedSize },
    })
  }
  return [...files, ...(await writeLists(sourceFolder, listed, store, options))]
}

type ListedRpm = RepositoryPackage & { readonly extent: RpmExtent }

async function writeLists(
  folder: string,
  listed: readonly ListedRpm[],
  store: ContentStore,
  options: WriteRpmOptions,
  advisories?: RepositoryList,
): Promise<readonly RpmReleaseFile[]> {
  const files: RpmReleaseFile[] = []
  const lists = [...repositoryLists(listed, options), ...(advisories === undefined ? [] : [advisories])]
  const unsigned = unsignedMetadata(lists, new Map(listed.map(({ rpm, extent }) => [rpm.digest, extent.unsigned])))
  for (const { path, bytes } of repositoryFiles(lists, options)) {
    const content = await pushBytes(store, mediaTypes.octets, bytes)
    files.push({ path: `${folder}/${path}`, content, ...(path === repomdPath ? { unsigned } : {}) })
  }
  return files
}

/** One spec a name: it is the same text for every architecture. */
export function specFiles(packages: readonly RpmPackage[]): readonly { readonly path: string; readonly text: string }[] {
  const byName = new Map(packages.map((pkg) => [pkg.name, pkg]))
  return [...byName.values()].map((pkg) => ({ path: `rpm/specs/${pkg.name}.spec`, text: renderSpec(pkg) }))
}
