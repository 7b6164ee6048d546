/** More signers of the release statement: each in a bundle of its own beside the first, over the very same bytes. */
import { join } from 'node:path'
import { predicateTypes } from '../../attest/statement.ts'
import { type RfoError, toRfoError } from '../../error.ts'
import type { PublicKey } from '../../sign/key.ts'
import { type VerifiedStatement, verifyBundle } from '../../sign/verify.ts'
import { maxStatementBytes } from './files.ts'
import { untrusted } from './finding.ts'
import { refuseSigner, type Signers } from './signers.ts'
import { readSmall } from './tree.ts'

/** Named for its signer, so that nobody counts twice and everybody sees whose is missing. */
export function cosignaturePath({ fingerprint }: PublicKey): string {
  return `evidence/release.${fingerprint.replace('sha256:', '')}.sigstore.json`
}

export function isCosignature(path: string): boolean {
  return /^evidence\/release\.[0-9a-f]{64}\.sigstore\.json$/.test(path)
}

export interface Cosigners {
  /** fingerprints, the first signer's among them */
  readonly signers: readonly string[]
  /** what lies there and holds; anything else of such a name is an extra */
  readonly paths: readonly string[]
  readonly findings: readonly RfoError[]
}

export async function verifyCosigners(
  folder: string,
  first: VerifiedStatement,
  keys: readonly PublicKey[],
  trusted: Signers,
): Promise<Cosigners> {
  const signers = [first.key.fingerprint]
  const paths: string[] = []
  const findings: RfoError[] = []
  for (const key of keys) {
    const path = cosignaturePath(key)
    try {
      const bundle = signers.includes(key.fingerprint) ? undefined : await readSmall(join(folder, path), maxStatementBytes * 2, path)
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
  return { signers, paths, findings }
}
