/** Every file that the statement lists, hashed once; everything else must be a file that no list can cover. */
import type { ReleaseFileEntry, ReleasePredicate } from '../../attest/release.ts'
import type { RfoError } from '../../error.ts'
import { checksumListNames, checksumLists } from '../lists.ts'
import {
  fileBundlePath,
  isChart,
  isKeyFile,
  isRepositoryIndex,
  keylessStatement,
  keyPaths,
  programArchitecture,
  provenancePath,
  sm2Statement,
} from '../signed-paths.ts'
import { untrusted } from './finding.ts'
import { unsignedFindings } from './packages.ts'
import type { ReleasePlace } from './place.ts'
import type { Hashed } from './tree.ts'

export const statementPath = 'evidence/release.json'
/** The statement of a release of thousands of images stays far below. */
export const maxStatementBytes = 64 * 1024 * 1024
export const bundlePath = 'evidence/release.sigstore.json'
/** Of what is not signed yet: says all that is to be signed. */
export const handoverPath = 'evidence/unsigned.json'

/** A checksum list of a release of thousands of files stays far below. */
const maxListBytes = 16 * 1024 * 1024

/** `hashed`: every listed file that is there. What is read out of a file is read after its digest has held. */
export async function verifyFiles(
  place: ReleasePlace,
  predicate: ReleasePredicate,
  hashed: ReadonlyMap<string, Hashed>,
): Promise<RfoError[]> {
  const findings = predicate.files.flatMap((file) => fileFindings(file, hashed.get(file.path)))
  const bad = findings.map(({ where = '' }) => where)
  for (const file of predicate.files) {
    const readFrom = isRepositoryIndex(file.path) ? file.path.slice(0, file.path.lastIndexOf('/')) : file.path
    if (!bad.some((path) => path.startsWith(readFrom))) findings.push(...(await unsignedFindings(place, predicate, file)))
  }
  return findings
}

function fileFindings(file: ReleaseFileEntry, found: Hashed | undefined): RfoError[] {
  const wrong = (what: string): RfoError[] => [untrusted('RFO_VERIFY_FILE', what, file.path)]
  if (found === undefined) return [untrusted('RFO_VERIFY_MISSING', 'the statement lists a file that is not there', file.path)]
  if (found.size !== file.size) return wrong(`${found.size} bytes, the statement says ${file.size}`)
  if (found.digest !== file.digest) return wrong(`is ${found.digest}, the statement says ${file.digest}`)
  if (found.listed !== undefined) return wrong(`the archive says that it is ${found.listed}`)
  return found.sm3 === undefined || found.sm3 === file.sm3 ? [] : wrong(`its SM3 is ${found.sm3}, the statement says ${file.sm3}`)
}

export function checksumPaths(predicate: ReleasePredicate): string[] {
  return predicate.platforms.flatMap((platform) => Object.values(checksumListNames(platform)))
}

/** The lists that installers read say the same as the statement; made again from it, they are the same bytes. */
export async function verifyChecksumLists(place: ReleasePlace, predicate: ReleasePredicate): Promise<RfoError[]> {
  const sums = new Set(checksumPaths(predicate))
  const summed = predicate.files.filter((file: ReleaseFileEntry) => !isKeyFile(file.path) && !sums.has(file.path))
  const findings: RfoError[] = []
  for (const expected of checksumLists(predicate.platforms, summed)) {
    const found = await place.small(expected.path, maxListBytes)
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
