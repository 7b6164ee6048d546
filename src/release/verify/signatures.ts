/**
 * The signatures that lie beside files. No list covers them, so each must hold, in canonical bytes. The keys of SM2 and PGP
 * are those that the signed statement lists; one that a person gives in addition must be the very same.
 */
import type { ReleasePredicate } from '../../attest/release.ts'
import { predicateTypes } from '../../attest/statement.ts'
import { type RfoError, toRfoError } from '../../error.ts'
import { digestOf } from '../../oci/digest.ts'
import { chartNameOf, provenanceText } from '../../pack/chart-provenance.ts'
import type { PublicKey } from '../../sign/key.ts'
import { type PgpPublicKey, readPgpPublicKey, verifyClearSigned, verifyDetached } from '../../sign/pgp.ts'
import { readSm2PublicKey, type Sm2PublicKey, verifySm2 } from '../../sign/sm2.ts'
import { isExport } from '../../sign/trust-files.ts'
import { verifyTrustMetadata } from '../../sign/trust-metadata.ts'
import { verifyBlob, verifyBlobBundle, verifyBundle } from '../../sign/verify.ts'
import { fileStatements } from '../file-statements.ts'
import { keyPaths, signatureSuffix, sm2Statement } from '../signed-paths.ts'
import type { Claim } from './claims.ts'
import { maxStatementBytes, signaturePaths, statementPath } from './files.ts'
import { untrusted } from './finding.ts'
import { verifyPackages } from './packages.ts'
import type { ReleasePlace } from './place.ts'
import { refuseCarried } from './trust.ts'

/** Signatures and keys are small; a chart is not, and etcd would refuse one of this size. */
const maxSignatureBytes = 1024 * 1024

export interface OtherKeys {
  /** when given: the release must be signed by one of them too */
  readonly sm2: readonly Sm2PublicKey[]
  readonly pgp: readonly PgpPublicKey[]
}

export interface VerifiedSignatures {
  readonly claims: readonly Claim[]
  readonly findings: readonly RfoError[]
  /** fingerprints of the keys that the statement lists beside its own */
  readonly keys: { readonly sm2: string | undefined; readonly pgp: string | undefined }
  /** of the checksum lists alone, by the release's key */
  readonly lists: readonly RfoError[]
}

export async function verifySignatures(
  place: ReleasePlace,
  predicate: ReleasePredicate,
  key: PublicKey,
  given: OtherKeys,
): Promise<VerifiedSignatures> {
  const sm2 = await otherKey(place, predicate, keyPaths.sm2, (bytes) => readSm2PublicKey(bytes.toString('utf8')), given.sm2)
  const pgp = await otherKey(place, predicate, keyPaths.helm, readPgpPublicKey, given.pgp)
  const trust = await trustFindings(place, predicate, key)
  const lists: RfoError[] = []
  const found = { sm2: [...sm2.findings], pgp: [...pgp.findings, ...(await rpmKeyFindings(place, predicate, pgp.key))] }
  const counts = { sm2: 0, pgp: 0 }
  const packages = await verifyPackages(place, predicate, pgp.key)
  found.pgp.push(...packages.findings)
  const single = await verifyFileBundles(place, predicate, key)
  for (const path of signaturePaths(predicate)) {
    const { kind, of } = kindOf(path)
    const findings = kind === 'key' ? lists : found[kind]
    try {
      const [signature, bytes] = [await place.small(path, maxSignatureBytes), await readSigned(place, of)]
      if (signature === undefined) {
        findings.push(untrusted('RFO_VERIFY_MISSING', 'no such signature', path))
        continue
      }
      if (bytes === undefined) continue // the list of files has told
      if (path.endsWith('.sig')) verifyBlob(bytes, signature, [key])
      else if (path.endsWith('.sigstore.json')) verifyBlobBundle(textOf(signature, path), bytes, [key])
      else if (path.endsWith('.sm2') && sm2.key !== undefined) await verifySm2(bytes, signature, [sm2.key])
      else if (path.endsWith('.asc') && pgp.key !== undefined) await verifyDetached(textOf(signature, path), bytes, pgp.key)
      else if (path.endsWith('.prov') && pgp.key !== undefined)
        await verifyClearSigned(textOf(signature, path), await provenanceText(bytes, chartNameOf(of), of.slice('charts/'.length)), pgp.key)
      if (kind !== 'key') counts[kind] += 1
    } catch (thrown) {
      findings.push(toRfoError(thrown).at(path))
    }
  }
  return {
    lists,
    keys: { sm2: sm2.key?.fingerprint, pgp: pgp.key?.fingerprint },
    findings: [...trust, ...single.findings, ...found.sm2, ...found.pgp],
    claims: [
      ...(trust.length === 0 ? [{ name: 'trust' as const, values: {} }] : []),
      ...(single.findings.length === 0 ? [{ name: 'bundles' as const, values: { count: single.count } }] : []),
      ...(sm2.key !== undefined && found.sm2.length === 0
        ? [{ name: 'sm2' as const, values: { count: counts.sm2, fingerprint: sm2.key.fingerprint } }]
        : []),
      ...(pgp.key !== undefined && found.pgp.length === 0
        ? [{ name: 'pgp' as const, values: { count: counts.pgp + packages.count, fingerprint: pgp.key.fingerprint } }]
        : []),
    ],
  }
}

/** One bundle a digest, and each signs exactly what the statement's list of files gives. */
async function verifyFileBundles(
  place: ReleasePlace,
  predicate: ReleasePredicate,
  key: PublicKey,
): Promise<{ readonly count: number; readonly findings: readonly RfoError[] }> {
  const wanted = fileStatements(predicate.files)
  const findings: RfoError[] = []
  for (const [path, payload] of wanted) {
    try {
      const bundle = await place.small(path, maxSignatureBytes)
      if (bundle === undefined) findings.push(untrusted('RFO_VERIFY_MISSING', 'no such signature', path))
      else if (!verifyBundle(textOf(bundle, path), { keys: [key], predicateType: predicateTypes.cosignSign }).payload.equals(payload))
        findings.push(untrusted('RFO_SIGN_SUBJECT', 'the bundle is about another file', path))
    } catch (thrown) {
      findings.push(toRfoError(thrown).at(path))
    }
  }
  return { count: wanted.size, findings }
}

function kindOf(path: string): { readonly kind: 'key' | 'sm2' | 'pgp'; readonly of: string } {
  if (path === sm2Statement) return { kind: 'sm2', of: statementPath }
  const suffix = signatureSuffix(path)
  return { kind: suffix === '.sm2' ? 'sm2' : suffix === '.prov' || suffix === '.asc' ? 'pgp' : 'key', of: path.slice(0, -suffix.length) }
}

async function readSigned(place: ReleasePlace, path: string): Promise<Buffer | undefined> {
  return await place.small(path, maxStatementBytes)
}

/** Text has one spelling: bytes that are not UTF-8 would read as the same. */
function textOf(bytes: Buffer, where: string): string {
  const text = bytes.toString('utf8')
  if (!Buffer.from(text, 'utf8').equals(bytes)) throw untrusted('RFO_VERIFY_BYTES', 'not UTF-8', where)
  return text
}

/** The bytes of a key's file, if they are the ones that the statement lists. */
async function listedKey(place: ReleasePlace, predicate: ReleasePredicate, path: string): Promise<Buffer | undefined> {
  const entry = predicate.files.find((file) => file.path === path)
  const bytes = entry === undefined ? undefined : await place.small(path, maxSignatureBytes)
  return bytes !== undefined && digestOf(bytes) === entry?.digest ? bytes : undefined // else the list of files has told
}

/** The PGP key that the statement lists; one that can't be read is none, and said where the keys are judged. */
export async function listedPgpKey(place: ReleasePlace, predicate: ReleasePredicate): Promise<PgpPublicKey | undefined> {
  return (await otherKey(place, predicate, keyPaths.helm, readPgpPublicKey, [])).key
}

interface OtherKey<T> {
  readonly key?: T
  readonly findings: readonly RfoError[]
}

/** A key beside the release's own: read from its listed file, and held against those that a person gives. */
async function otherKey<T extends { readonly fingerprint: string }>(
  place: ReleasePlace,
  predicate: ReleasePredicate,
  path: string,
  read: (bytes: Buffer) => T | Promise<T>,
  given: readonly T[],
): Promise<OtherKey<T>> {
  try {
    const bytes = await listedKey(place, predicate, path)
    if (bytes === undefined) return { findings: demanded(undefined, given, path) }
    const key = await read(bytes)
    return { key, findings: demanded(key, given, path) }
  } catch (thrown) {
    return { findings: [untrusted('RFO_VERIFY_KEY', toRfoError(thrown).message, path)] }
  }
}

/** dnf's copy is the key of helm's keyring, armored. */
async function rpmKeyFindings(place: ReleasePlace, predicate: ReleasePredicate, key: PgpPublicKey | undefined): Promise<RfoError[]> {
  try {
    const copy = key === undefined ? undefined : await listedKey(place, predicate, keyPaths.rpm)
    return copy?.toString('utf8') === key?.armored ? [] : [untrusted('RFO_VERIFY_KEY', 'not the key of helm-keyring', keyPaths.rpm)]
  } catch (thrown) {
    return [toRfoError(thrown).at(keyPaths.rpm)]
  }
}

/** A key that a person gives must be the release's: its absence is what an attacker would make. */
function demanded(
  key: { readonly fingerprint: string } | undefined,
  given: readonly { readonly fingerprint: string }[],
  where: string,
): RfoError[] {
  if (given.length === 0 || given.some(({ fingerprint }) => fingerprint === key?.fingerprint)) return []
  return [untrusted('RFO_VERIFY_KEY', `signed by ${key?.fingerprint ?? 'no such key'}, which is none of the given keys`, where)]
}

async function trustFindings(place: ReleasePlace, predicate: ReleasePredicate, key: PublicKey): Promise<RfoError[]> {
  try {
    const [metadata, release] = [await listedKey(place, predicate, keyPaths.metadata), await listedKey(place, predicate, keyPaths.release)]
    if (release?.toString('utf8') !== key.pem)
      return [untrusted('RFO_VERIFY_KEY', 'not the key that signed the statement', keyPaths.release)]
    if (metadata === undefined) return [untrusted('RFO_VERIFY_MISSING', 'no trust metadata', keyPaths.metadata)]
    const text = metadata.toString('utf8')
    if (isExport(text)) return refuseCarried(text, key, predicate.epoch)
    verifyTrustMetadata(text, key)
    return []
  } catch (thrown) {
    return [toRfoError(thrown).at(keyPaths.metadata)]
  }
}
