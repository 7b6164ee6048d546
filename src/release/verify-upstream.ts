/** Upstream's signature of an image that is mirrored, by the key that its pipeline gives. */
import { predicateTypes } from '../attest/statement.ts'
import type { ContentReader } from '../content/store.ts'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type AttachedManifest, findReadable } from '../sign/find.ts'
import type { PublicKey } from '../sign/key.ts'
import { verifyBundle, verifySimpleSigning } from '../sign/verify.ts'

/**
 * As `cosign sign --key` leaves it: a `.sig` (cosign 2) or a bundle (cosign 3). Entries of a log are not looked at: the key
 * decides. Throws RFO_SIGN_UPSTREAM (exit untrusted) when none holds, and what the reader throws.
 */
export async function verifyUpstream(index: Descriptor, key: PublicKey, from: ContentReader, reference: string): Promise<void> {
  const { referrers, signature } = await findReadable(index, from)
  const tries = [
    ...referrers.map((each) => () => byBundle(index, each, key)),
    ...(signature?.layers ?? []).map((layer) => () => bySimple(index, layer, key)),
  ]
  if (tries.some(holds)) return
  throw new RfoError(
    'RFO_SIGN_UPSTREAM',
    tries.length === 0 ? 'upstream shows no signature' : `none of upstream’s ${tries.length} signatures is by ${key.fingerprint}`,
    { exit: 'untrusted', where: `${reference}@${index.digest}`, next: 'compare upstreamKey with what upstream publishes, or drop it' },
  )
}

function byBundle(subject: Descriptor, { layers: [layer] }: AttachedManifest, key: PublicKey): void {
  verifyBundle(layer?.bytes ?? '', { keys: [key], subject, predicateType: predicateTypes.cosignSign, spelling: 'any' })
}

function bySimple(subject: Descriptor, { descriptor, bytes }: AttachedManifest['layers'][number], key: PublicKey): void {
  verifySimpleSigning(bytes, descriptor.annotations?.['dev.cosignproject.cosign/signature'] ?? '', subject.digest, [key])
}

/** Others' signatures may lie there too. */
function holds(verify: () => void): boolean {
  try {
    verify()
    return true
  } catch (thrown) {
    if (thrown instanceof RfoError && thrown.exit === 'untrusted') return false
    throw thrown
  }
}
