/**
 * The signatures that a release carries without a key. Like the keys of SM2 and PGP, who signs is what the signed statement
 * lists; whoever verifies may name identity, issuer and root himself, and then these count and nothing that came along.
 */
import type { ReleaseFileEntry, ReleasePredicate } from '../../attest/release.ts'
import { predicateTypes } from '../../attest/statement.ts'
import { type RfoError, toRfoError } from '../../error.ts'
import { digestOf } from '../../oci/digest.ts'
import { type TrustedIdentity, trustedIdentity, verifyIdentityBundle } from '../../sign/identity.ts'
import { readTrustedRoot } from '../../sign/trusted-root.ts'
import type { VerifiedStatement } from '../../sign/verify.ts'
import { identityText } from '../signatures.ts'
import { keylessStatement, keyPaths } from '../signed-paths.ts'
import { maxStatementBytes } from './files.ts'
import { undecided, untrusted } from './finding.ts'
import type { ReleasePlace } from './place.ts'

export interface KeylessVerdict {
  /** who must have signed the images too; absent: the release says of nobody that he did */
  readonly identity?: TrustedIdentity
  readonly findings: readonly RfoError[]
}

/** bytes */
const maxTrustFile = 1024 * 1024

export async function verifyKeyless(
  place: ReleasePlace,
  predicate: ReleasePredicate,
  signed: VerifiedStatement,
  given: TrustedIdentity | undefined,
): Promise<KeylessVerdict> {
  const [who, root] = [keyPaths.identity, keyPaths.trustedRoot].map((path) => predicate.files.find((file) => file.path === path))
  if (who === undefined || root === undefined) {
    if (given === undefined) return { findings: [] }
    const why = `nothing here is signed by ${given.identity}, nor by any other identity`
    return { findings: [undecided('RFO_VERIFY_KEYLESS', why, keylessStatement, 'ask its publisher, or leave out --identity')] }
  }
  let identity = given
  try {
    identity ??= await listedIdentity(place, who, root)
    const bundle = await place.small(keylessStatement, maxStatementBytes * 2)
    if (bundle === undefined) return { identity, findings: [untrusted('RFO_VERIFY_MISSING', 'no such signature', keylessStatement)] }
    const { payload } = verifyIdentityBundle(bundle, identity, { predicateType: predicateTypes.release })
    if (payload.equals(signed.payload)) return { identity, findings: [] }
    return { identity, findings: [untrusted('RFO_SIGN_SUBJECT', 'signed is another statement than the one by the key', keylessStatement)] }
  } catch (thrown) {
    return { ...(identity && { identity }), findings: [toRfoError(thrown).at(keylessStatement)] }
  }
}

/** What the release says itself, vouched for by its key. */
async function listedIdentity(place: ReleasePlace, who: ReleaseFileEntry, root: ReleaseFileEntry): Promise<TrustedIdentity> {
  const text = await listed(place, who)
  try {
    const { identity = '', issuer = '' } = JSON.parse(text) as { identity?: string; issuer?: string }
    const found = trustedIdentity(identity, issuer, readTrustedRoot(await listed(place, root)))
    if (identityText(found) === text) return found
  } catch (thrown) {
    throw untrusted('RFO_VERIFY_KEY', toRfoError(thrown).message, who.path)
  }
  throw untrusted('RFO_VERIFY_KEY', 'not in its canonical bytes', who.path)
}

async function listed(place: ReleasePlace, { path, digest }: ReleaseFileEntry): Promise<string> {
  const bytes = await place.small(path, maxTrustFile)
  if (bytes === undefined || digestOf(bytes) !== digest) throw untrusted('RFO_VERIFY_FILE', 'not what the statement lists', path)
  return bytes.toString('utf8')
}
