/**
 * Packages get their signatures inside: other files than those that were made, and everything that names them by digest changes
 * with them. The root lists what stays.
 */
import { gunzipSync } from 'node:zlib'
import { pushBytes, readBytes } from '../content/read.ts'
import type { ContentStore } from '../content/store.ts'
import type { Digest } from '../oci/digest.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import type { PlatformName } from '../oci/platform.ts'
import { listKinds, type RepositoryList, relisted, repositoryFiles } from '../rpm/repository.ts'
import { signRpm } from '../rpm/sign.ts'
import { rpmMediaType } from '../rpm/write.ts'
import type { PgpKey } from '../sign/pgp.ts'
import { sm3 } from './listing.ts'
import { checksumLists } from './lists.ts'
import type { FileRecord } from './predicate.ts'
import { isChecksumList, isKeyFile, isPackage, isRepositoryIndex, isRepositoryList } from './signed-paths.ts'

/** bytes, unpacked: the lists of a repository of hundreds of packages stay below */
export const maxRepositoryList = 64 * 1024 * 1024

interface Made {
  readonly platforms: readonly PlatformName[]
  readonly files: readonly FileRecord[]
  /** seconds since 1970 */
  readonly epoch: number
}

/** The same release's files with signed packages; without packages they are as they were. */
export async function signPackages({ platforms, files, epoch }: Made, pgp: PgpKey, store: ContentStore): Promise<readonly FileRecord[]> {
  const packages = new Map<string, FileRecord>()
  for (const file of files) {
    if (!isPackage(file.path)) continue
    const { digest, size } = file
    const signed = await signRpm({ mediaType: rpmMediaType, digest, size }, store, (header) => pgp.packet(header, epoch))
    packages.set(file.path, { ...file, digest: signed.digest, size: signed.size, sm3: await sm3(store, signed) })
  }
  if (packages.size === 0) return files
  const metadata: FileRecord[] = []
  for (const index of files.filter(({ path }) => isRepositoryIndex(path))) {
    const folder = index.path.slice(0, -'repodata/repomd.xml'.length)
    const own = files.filter(({ path }) => path.startsWith(folder))
    const digests = new Map(own.flatMap(({ path, digest }): [Digest, Digest][] => [[digest, packages.get(path)?.digest ?? digest]]))
    const lists = await readLists(own, store)
    for (const { path, bytes } of repositoryFiles(relisted(lists, digests), { epoch })) {
      const record = await recordOf(`${folder}${path}`, bytes, store)
      metadata.push(record.path === index.path && index.unsigned !== undefined ? { ...record, unsigned: index.unsigned } : record)
    }
  }
  const kept = files.filter(({ path }) => !isRepositoryIndex(path) && !isRepositoryList(path) && !isChecksumList(path))
  const all = [...kept.map((file) => packages.get(file.path) ?? file), ...metadata]
  const summed = all.filter(({ path }) => !isKeyFile(path))
  for (const { path, text } of checksumLists(platforms, summed)) all.push(await recordOf(path, Buffer.from(text), store))
  return all
}

async function readLists(files: readonly FileRecord[], store: ContentStore): Promise<readonly RepositoryList[]> {
  return await Promise.all(
    listKinds(files.map(({ path }) => path)).map(async (kind) => {
      const file = files.find(({ path }) => isRepositoryList(path) && path.endsWith(`-${kind}.xml.gz`))
      if (file === undefined) throw new Error(`a repository without ${kind}`)
      const packed = await readBytes(store, { mediaType: mediaTypes.octets, digest: file.digest, size: file.size }, maxRepositoryList)
      return { kind, text: gunzipSync(packed, { maxOutputLength: maxRepositoryList }).toString('utf8') }
    }),
  )
}

async function recordOf(path: string, bytes: Buffer, store: ContentStore): Promise<FileRecord> {
  const { digest, size } = await pushBytes(store, mediaTypes.octets, bytes)
  return { path, digest, size, sm3: await sm3(store, { digest, size }) }
}
