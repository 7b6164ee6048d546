/**
 * Trust metadata of a release whose project has none of its own (./trust.ts): TUF's root role alone, in which the release's key
 * holds every role. https://theupdateframework.github.io/specification/v1.0.33/#file-formats-root
 */
import { Root } from '@tufjs/models'
import type { PublicKey, SigningKey } from './key.ts'
import { refused } from './refusal.ts'
import { readRole, roles, signRole, specVersion, timeText, tufKeyOf, verifyRole } from './tuf.ts'

/** Long-term releases are kept for years, and whoever carries one has no network to ask for a newer root. */
const validYears = 5

/** Canonical JSON. `epoch`: seconds since 1970, of the release. */
export async function trustMetadata(key: SigningKey, epoch: number): Promise<string> {
  const { keyID, body } = tufKeyOf(key.publicKey)
  const expires = new Date(epoch * 1000)
  expires.setUTCFullYear(expires.getUTCFullYear() + validYears)
  const root = Root.fromJSON({
    _type: 'root',
    spec_version: specVersion,
    version: 1,
    expires: timeText(expires.getTime()),
    consistent_snapshot: false,
    keys: { [keyID]: body },
    roles: Object.fromEntries(roles.map((name) => [name, { keyids: [keyID], threshold: 1 }])),
  })
  const { text } = await signRole('root', root, [key])
  verifyTrustMetadata(text, key.publicKey)
  return text
}

/** That the metadata is signed by the key that it names for every role, and that this is the given one. Throws RFO_SIGN_*. */
export function verifyTrustMetadata(text: string, key: PublicKey): void {
  const root = readRole('root', text, '')
  verifyRole(root, 'root', root, '')
  const { keyID } = tufKeyOf(key)
  for (const name of roles) {
    if (!root.metadata.signed.roles[name]?.keyIDs.includes(keyID))
      throw refused('RFO_SIGN_TRUST', `${key.fingerprint} is not named for the role ${name}`)
  }
}
