/** Every file that the statement lists, hashed once; everything else must be a file that no list can cover. */
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import type { ReleaseFileEntry, ReleasePredicate } from '../../attest/release.ts'
import type { ContentReader } from '../../content/store.ts'
import { type RfoError, toRfoError } from '../../error.ts'
import { mediaTypes } from '../../oci/mediatype.ts'
import { rpmExtent } from '../../rpm/extent.ts'
import { checksumListNames, checksumLists } from '../lists.ts'
import { isRooted } from '../root.ts'
import {
  fileBundlePath,
  isChart,
  isRepositoryIndex,
  keylessStatement,
  keyPaths,
  programArchitecture,
  provenancePath,
  sm2Statement,
} from '../signed-paths.ts'
import { untrusted } from './finding.ts'
import { type Hashed, readSmall } from './tree.ts'

export const statementPath = 'evidence/release.json'
/** The statement of a release of thousands of images stays far below. */
export const maxStatementBytes = 64 * 1024 * 1024
export const bundlePath = 'evidence/release.sigstore.json'
/** Of what is not signed yet: says all that is to be signed. */
export const handoverPath = 'evidence/unsigned.json'

/** A checksum list of a release of thousands of files stays far below. */
const maxListBytes = 16 * 1024 * 1024

/** `hashed`: every listed file that is there. What is read out of a file is read after its digest has held. */
export async function verifyFiles(folder: string, predicate: ReleasePredicate, hashed: ReadonlyMap<string, Hashed>): Promise<RfoError[]> {
  const findings: RfoError[] = []
  for (const file of predicate.files) {
    const found = hashed.get(file.path)
    if (found === undefined) findings.push(untrusted('RFO_VERIFY_MISSING', 'the statement lists a file that is not there', file.path))
    else if (found.size !== file.size)
      findings.push(untrusted('RFO_VERIFY_FILE', `${found.size} bytes, the statement says ${file.size}`, file.path))
    else if (found.digest !== file.digest)
      findings.push(untrusted('RFO_VERIFY_FILE', `is ${found.digest}, the statement says ${file.digest}`, file.path))
    else if (found.sm3 !== undefined && found.sm3 !== file.sm3)
      findings.push(untrusted('RFO_VERIFY_FILE', `its SM3 is ${found.sm3}, the statement says ${file.sm3}`, file.path))
    else findings.push(...(await unsignedFindings(folder, file)))
  }
  return findings
}

/** What of an RPM no signature changes is what the root lists: it is read out of the file, not believed. */
async function unsignedFindings(folder: string, file: ReleaseFileEntry): Promise<RfoError[]> {
  if (file.unsigned === undefined) return []
  try {
    const { unsigned, unsignedSize } = await rpmExtent(
      { mediaType: mediaTypes.octets, digest: file.digest, size: file.size },
      fileReader(join(folder, file.path)),
    )
    if (unsigned === file.unsigned.digest && unsignedSize === file.unsigned.size) return []
    return [untrusted('RFO_VERIFY_RPM', `its header and payload are ${unsigned}, the statement says ${file.unsigned.digest}`, file.path)]
  } catch (thrown) {
    return [toRfoError(thrown).at(file.path)]
  }
}

/** One file as a reader of content; its digest has been checked by whoever hashed it. */
function fileReader(path: string): ContentReader {
  return {
    fetch: () => createReadStream(path, { highWaterMark: 1 << 20 }),
    exists: () => Promise.resolve(true),
    resolve: () => Promise.resolve(undefined),
    referrers: () => Promise.resolve([]),
  }
}

export function checksumPaths(predicate: ReleasePredicate): string[] {
  return predicate.platforms.flatMap((platform) => Object.values(checksumListNames(platform)))
}

/** The lists that installers read say the same as the statement; made again from it, they are the same bytes. */
export async function verifyChecksumLists(folder: string, predicate: ReleasePredicate): Promise<RfoError[]> {
  const sums = new Set(checksumPaths(predicate))
  const summed = predicate.files.filter((file: ReleaseFileEntry) => isRooted(file.path) && !sums.has(file.path))
  const findings: RfoError[] = []
  for (const expected of checksumLists(predicate.platforms, summed)) {
    const found = await readSmall(join(folder, expected.path), maxListBytes, expected.path)
    if (found !== undefined && found.toString('utf8') !== expected.text) {
      findings.push(untrusted('RFO_VERIFY_CHECKSUMS', 'this list differs from the signed statement', expected.path))
    }
  }
  return findings
}

/** The signatures that a release has by its form and by the keys that its statement lists, besides the bundles of single files. */
export function signaturePaths(predicate: ReleasePredicate): string[] {
  const paths = predicate.files.map((file) => file.path)
  const [sm2, pgp] = [paths.includes(keyPaths.sm2), paths.includes(keyPaths.helm)]
  return [
    ...checksumPaths(predicate).flatMap((path) => [`${path}.sig`, `${path}.sigstore.json`, ...(sm2 ? [`${path}.sm2`] : [])]),
    ...(sm2 ? [sm2Statement] : []),
    ...(pgp ? paths.filter(isChart).map((path) => `${path}.prov`) : []),
    ...(pgp ? paths.filter(isRepositoryIndex).map((path) => `${path}.asc`) : []),
  ]
}

/** What runs on hosts, and in no image. */
export function programFiles(predicate: ReleasePredicate): ReleaseFileEntry[] {
  return predicate.files.filter((file) => programArchitecture(file.path) !== undefined)
}

/** Files beside the listed ones that a release has by its form; all others are extras. */
export function besidePaths(predicate: ReleasePredicate): string[] {
  return [
    statementPath,
    bundlePath,
    ...signaturePaths(predicate),
    ...(predicate.files.some((file) => file.path === keyPaths.identity) ? [keylessStatement] : []),
    ...predicate.files.map((file) => fileBundlePath(file.digest)),
    ...programFiles(predicate).map((file) => provenancePath(file.digest)),
    'oci/index.json',
    'oci/oci-layout',
  ]
}
