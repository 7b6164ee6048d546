/** More signers of the release statement: each in a bundle of its own beside the first, over the very same bytes. */
import { predicateTypes } from '../../attest/statement.ts'
import { type RfoError, toRfoError } from '../../error.ts'
import type { PublicKey } from '../../sign/key.ts'
import { readUnjudged, type VerifiedStatement, verifyBundle } from '../../sign/verify.ts'
import { maxStatementBytes } from './files.ts'
import { untrusted } from './finding.ts'
import type { ReleasePlace } from './place.ts'
import { refuseSigner, type Signers } from './signers.ts'

/** Named for its signer, so that nobody counts twice and everybody sees whose is missing. */
export function cosignaturePath({ fingerprint }: Pick<PublicKey, 'fingerprint'>): string {
  return `evidence/release.${fingerprint.replace('sha256:', '')}.sigstore.json`
}

export function isCosignature(path: string): boolean {
  return /^evidence\/release\.[0-9a-f]{64}\.sigstore\.json$/.test(path)
}

export interface Cosigners {
  /** fingerprints, the first signer's among them */
  readonly signers: readonly string[]
  /** fingerprints that others' bundles name: over this statement, and nobody gave the key to judge the signature with */
  readonly unjudged: readonly string[]
  /** what lies there and holds; anything else of such a name is an extra */
  readonly paths: readonly string[]
  readonly findings: readonly RfoError[]
}

/** more than ever stand for a release together */
const maxUnjudged = 16

/** `files`: all of the folder; `named`: every key that was given, those among them that may not sign any more too. */
export async function verifyCosigners(
  place: ReleasePlace,
  first: VerifiedStatement,
  { files, named, keys }: { readonly files: readonly string[]; readonly named: readonly PublicKey[]; readonly keys: readonly PublicKey[] },
  trusted: Signers,
): Promise<Cosigners> {
  const signers = [first.key.fingerprint]
  const paths: string[] = []
  const findings: RfoError[] = []
  for (const key of keys) {
    const path = cosignaturePath(key)
    try {
      const bundle = signers.includes(key.fingerprint) ? undefined : await place.small(path, maxStatementBytes * 2)
      if (bundle === undefined) continue
      paths.push(path)
      const { payload } = verifyBundle(bundle, { keys: [key], predicateType: predicateTypes.release })
      const refusal = payload.equals(first.payload)
        ? refuseSigner(trusted, 'statement', key, path)
        : untrusted('RFO_SIGN_SUBJECT', 'another statement than the release’s', path)
      if (refusal === undefined) signers.push(key.fingerprint)
      else findings.push(refusal)
    } catch (thrown) {
      findings.push(toRfoError(thrown).at(path))
    }
  }
  const unjudged = await readOthers(place, first, files, new Set(named.map(cosignaturePath)))
  return { signers, unjudged, paths: [...paths, ...unjudged.map((fingerprint) => cosignaturePath({ fingerprint }))], findings }
}

/** What is no bundle over this statement, or not where its key belongs, stays a file too many. */
async function readOthers(
  place: ReleasePlace,
  first: VerifiedStatement,
  files: readonly string[],
  known: ReadonlySet<string>,
): Promise<string[]> {
  const found: string[] = []
  for (const path of files.filter((file) => isCosignature(file) && !known.has(file)).slice(0, maxUnjudged)) {
    try {
      const text = await place.small(path, maxStatementBytes * 2)
      if (text === undefined) continue
      const { payload, fingerprint } = readUnjudged(text.toString('utf8'))
      if (fingerprint !== undefined && cosignaturePath({ fingerprint }) === path && payload.equals(first.payload)) found.push(fingerprint)
    } catch (thrown) {
      if (toRfoError(thrown).exit !== 'untrusted') throw thrown
    }
  }
  return found
}
