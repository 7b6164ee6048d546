/**
 * Packages and the metadata over them. Signatures change these files: what the root lists of them is read out of them, and each
 * signature is held against the key that the statement lists.
 */
import { gunzipSync } from 'node:zlib'
import type { ReleaseFileEntry, ReleasePredicate } from '../../attest/release.ts'
import type { ContentReader } from '../../content/store.ts'
import { type RfoError, toRfoError } from '../../error.ts'
import { digestOf, hex } from '../../oci/digest.ts'
import { mediaTypes } from '../../oci/mediatype.ts'
import { rpmExtent } from '../../rpm/extent.ts'
import { tags } from '../../rpm/header.ts'
import { readHeader } from '../../rpm/install/read-header.ts'
import { listKinds, type PackedList, repomdPath, repomdText, unsignedMetadata } from '../../rpm/repository.ts'
import { rpmFront } from '../../rpm/sign.ts'
import { type PgpPublicKey, verifyDetached } from '../../sign/pgp.ts'
import { maxRepositoryList } from '../package-signatures.ts'
import { isPackage, isReleasePackage, isRepositoryIndex, isRepositoryList, keyPaths } from '../signed-paths.ts'
import { untrusted } from './finding.ts'
import type { ReleasePlace } from './place.ts'

type Part = NonNullable<ReleaseFileEntry['unsigned']>

/** That `unsigned` is what no signature changes of the file, whose own digest has held. */
export async function unsignedFindings(place: ReleasePlace, predicate: ReleasePredicate, file: ReleaseFileEntry): Promise<RfoError[]> {
  const { path, unsigned: said } = file
  const inside = isPackage(path) || isRepositoryIndex(path)
  if (said === undefined)
    return inside ? [untrusted('RFO_VERIFY_RPM', 'the statement does not say what of it no signature changes', path)] : []
  try {
    if (!inside) throw untrusted('RFO_VERIFY_RPM', 'no signature is inside of it')
    const found = isPackage(path) ? await packagePart(place, file) : await repositoryPart(place, predicate, file)
    if (found.digest === said.digest && found.size === said.size) return []
    return [untrusted('RFO_VERIFY_RPM', `without signatures it is ${found.digest}, the statement says ${said.digest}`, path)]
  } catch (thrown) {
    return [toRfoError(thrown).at(path)]
  }
}

async function packagePart(place: ReleasePlace, { path, digest, size }: ReleaseFileEntry): Promise<Part> {
  const { unsigned, unsignedSize } = await rpmExtent({ mediaType: mediaTypes.octets, digest, size }, fileReader(place, path))
  return { digest: unsigned, size: unsignedSize }
}

/** The lists are those of repomd.xml and name the packages beside them, as they lie and no other. */
async function repositoryPart(place: ReleasePlace, predicate: ReleasePredicate, index: ReleaseFileEntry): Promise<Part> {
  const below = index.path.slice(0, -repomdPath.length)
  const own = predicate.files.filter(({ path }) => path.startsWith(below))
  const packages = own.filter(({ path }) => isPackage(path))
  const listed = own.filter(({ path }) => isRepositoryList(path))
  const lists = await Promise.all(listKinds(listed.map(({ path }) => path)).map((kind) => readList(place, kind, listed)))
  const repomd = await place.small(index.path, index.size)
  if (listed.length !== lists.length || repomd?.toString('utf8') !== repomdText(lists, predicate.epoch))
    throw untrusted('RFO_VERIFY_RPM', 'is not about the lists beside it')
  for (const { kind, text } of lists) {
    // advisories name packages of earlier releases, too
    if (kind === 'updateinfo') continue
    const named = text.match(/\bpkgid="[0-9a-f]{64}"|pkgid="YES">[0-9a-f]{64}(?=<)/g)?.map((found) => found.replace(/"$/, '').slice(-64))
    if (
      (named ?? []).sort().join() !==
      packages
        .map(({ digest }) => hex(digest))
        .sort()
        .join()
    )
      throw untrusted('RFO_VERIFY_RPM', `its list ${kind} names other packages than lie there`)
  }
  return unsignedMetadata(lists, new Map(packages.map(({ digest, unsigned }) => [digest, unsigned?.digest ?? digest])))
}

async function readList(place: ReleasePlace, kind: PackedList['kind'], listed: readonly ReleaseFileEntry[]): Promise<PackedList> {
  const file = listed.find(({ path }) => path.endsWith(`-${kind}.xml.gz`))
  const bytes = file === undefined ? undefined : await place.small(file.path, maxRepositoryList)
  if (bytes === undefined) throw untrusted('RFO_VERIFY_RPM', `has no list ${kind}`)
  try {
    return { kind, bytes, text: gunzipSync(bytes, { maxOutputLength: maxRepositoryList }).toString('utf8') }
  } catch {
    throw untrusted('RFO_VERIFY_RPM', `its list ${kind} can't be unpacked`)
  }
}

/** Every package is signed by the key that signs packages, where there is one, and by nobody where there is none. */
export async function verifyPackages(
  place: ReleasePlace,
  predicate: ReleasePredicate,
  key: PgpPublicKey | undefined,
): Promise<{ readonly count: number; readonly findings: readonly RfoError[] }> {
  const findings: RfoError[] = []
  const packages = predicate.files.filter(({ path }) => isPackage(path) || isReleasePackage(path))
  for (const { path } of packages) {
    try {
      const { header, signatures } = await rpmFront(place.stream(path))
      const [signature, ...more] = signatures
      if (key === undefined) {
        if (signature !== undefined) findings.push(untrusted('RFO_VERIFY_KEY', `signed, and the statement lists no ${keyPaths.rpm}`, path))
        continue
      }
      if (signature === undefined || more.length > 0) throw untrusted('RFO_VERIFY_MISSING', 'not one signature of the package')
      await verifyDetached(signature, header, key)
      const held = hex(digestOf(key.armored))
      if (isReleasePackage(path) && !readHeader(header).strings(tags.fileDigests).includes(held))
        throw untrusted('RFO_VERIFY_KEY', 'puts another key on hosts than the one that signs packages')
    } catch (thrown) {
      // a file that is not there the list of files has told
      if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') findings.push(toRfoError(thrown).at(path))
    }
  }
  return { count: packages.length, findings }
}

/** One file as a reader of content; its digest has been checked by whoever hashed it. */
function fileReader(place: ReleasePlace, path: string): ContentReader {
  return {
    fetch: () => place.stream(path),
    exists: () => Promise.resolve(true),
    resolve: () => Promise.resolve(undefined),
    referrers: () => Promise.resolve([]),
  }
}
