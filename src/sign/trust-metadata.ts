/**
 * Trust metadata: TUF's root role (https://theupdateframework.github.io/specification/latest/#file-formats-root). For now one
 * key, the release's own, holds every role; rotation, revocation and targets have their places in the form already.
 */
import { createHash } from 'node:crypto'
import { Metadata, MetadataKind, Root, Signature } from '@tufjs/models'
import { canonicalJson, type Json, parseJson } from '../oci/json.ts'
import type { PublicKey, SigningKey } from './key.ts'
import { refused } from './refusal.ts'

type JsonObject = Parameters<typeof Metadata.fromJSON>[1]

const roles = ['root', 'snapshot', 'targets', 'timestamp'] as const

/** Long-term releases are kept for years, and whoever carries one has no network to ask for a newer root. */
const validYears = 5

/** Canonical JSON. `epoch`: seconds since 1970, of the release. */
export async function trustMetadata(key: SigningKey, epoch: number): Promise<string> {
  const { keyID, body } = tufKeyOf(key.publicKey)
  const expires = new Date(epoch * 1000)
  expires.setUTCFullYear(expires.getUTCFullYear() + validYears)
  const root = Root.fromJSON({
    _type: 'root',
    spec_version: '1.0.31',
    version: 1,
    expires: expires.toISOString().replace(/\.\d+Z$/, 'Z'),
    consistent_snapshot: false,
    keys: { [keyID]: body },
    roles: Object.fromEntries(roles.map((name) => [name, { keyids: [keyID], threshold: 1 }])),
  })
  const metadata = new Metadata(root)
  // the library signs at once and we can't: a token answers later
  let signed: Buffer = Buffer.alloc(0)
  metadata.sign((bytes) => {
    signed = bytes
    return new Signature({ keyID, sig: '' })
  }, false)
  const { signature } = await key.sign(signed)
  metadata.sign(() => new Signature({ keyID, sig: signature.toString('hex') }), false)
  const text = canonicalJson(metadata.toJSON() as Json)
  verifyTrustMetadata(text, key.publicKey)
  return text
}

/** That the metadata is signed by the key that it names for every role, and that this is the given one. Throws RFO_SIGN_*. */
export function verifyTrustMetadata(text: string, key: PublicKey): void {
  let metadata: Metadata<Root>
  try {
    metadata = Metadata.fromJSON(MetadataKind.Root, parseJson(text) as JsonObject)
    metadata.verifyDelegate('root', metadata)
  } catch (cause) {
    throw refused('RFO_SIGN_TRUST', 'not TUF root metadata that its own key signed', cause)
  }
  const { keyID } = tufKeyOf(key)
  for (const name of roles) {
    if (!metadata.signed.roles[name]?.keyIDs.includes(keyID))
      throw refused('RFO_SIGN_TRUST', `${key.fingerprint} is not named for the role ${name}`)
  }
}

/** https://theupdateframework.github.io/specification/latest/#keytype-ecdsa */
function tufKeyOf(key: PublicKey) {
  const body = { keytype: 'ecdsa', scheme: 'ecdsa-sha2-nistp256', keyval: { public: key.pem } }
  return { keyID: createHash('sha256').update(canonicalJson(body)).digest('hex'), body }
}
