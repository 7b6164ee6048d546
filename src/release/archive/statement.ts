/** Whose release an archive holds: asked before a byte of it is believed. */
import { ReleasePredicate } from '../../attest/release.ts'
import { predicateTypes } from '../../attest/statement.ts'
import { toRfoError } from '../../error.ts'
import type { PublicKey } from '../../sign/key.ts'
import type { Trust } from '../../sign/trust.ts'
import { type VerifiedStatement, verifyBundle } from '../../sign/verify.ts'
import { type ReleaseFiles, smallFile } from '../shelf.ts'
import { bundlePath, maxStatementBytes, statementPath } from '../verify/files.ts'
import { untrusted } from '../verify/finding.ts'
import { judgeTrust, namedKeys, refuseKey } from '../verify/trust.ts'

export interface Trusting {
  readonly keys: readonly PublicKey[]
  readonly trust?: Trust
  /** ms since 1970: when it is judged */
  readonly at: number
}

/** Throws what verify would find of the statement, of its signer, and of what trust metadata says of the release. */
export async function trustedStatement(from: ReleaseFiles, { keys, trust, at }: Trusting): Promise<ReleasePredicate> {
  const bundle = await smallFile(from, bundlePath, 2 * maxStatementBytes)
  if (bundle === undefined) throw untrusted('RFO_VERIFY_MISSING', 'no signature of the release statement', bundlePath)
  let verified: VerifiedStatement
  try {
    verified = verifyBundle(bundle, { keys: [...keys, ...namedKeys(trust)], predicateType: predicateTypes.release })
  } catch (thrown) {
    throw toRfoError(thrown).at(bundlePath)
  }
  const parsed = ReleasePredicate.safeParse(verified.statement.predicate)
  if (!parsed.success) throw untrusted('RFO_VERIFY_STATEMENT', 'not a release statement', bundlePath)
  const statement = await smallFile(from, statementPath, maxStatementBytes)
  if (statement?.equals(verified.payload) !== true)
    throw untrusted('RFO_VERIFY_STATEMENT', 'this is not the statement that was signed', statementPath)
  const [finding] = [
    ...refuseKey(trust, verified.key, parsed.data.epoch, bundlePath),
    ...judgeTrust(trust, parsed.data, verified.key, at).findings,
  ]
  if (finding !== undefined) throw finding
  return parsed.data
}
