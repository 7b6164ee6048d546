/** A release that is about to leave this machine: nothing of it does before all of it has been verified. */
import type { ReleasePredicate } from '../attest/release.ts'
import type { Digest } from '../oci/digest.ts'
import type { ReleaseFiles } from '../release/shelf.ts'
import type { ReleasePlace } from '../release/verify/place.ts'
import type { CliContext } from './context.ts'
import { openTarget } from './open-target.ts'
import { isVersion } from './target.ts'
import { timeOf } from './today.ts'

export interface VerifiedRelease {
  /** closed by whoever asked */
  readonly files: ReleaseFiles
  readonly place: ReleasePlace
  readonly predicate: ReleasePredicate
  readonly root: Digest
  /** of the key that signed it */
  readonly fingerprint: string
}

/** By the keys of --key and --trust, as `verify` does it. Throws what `verify` would say: one failure, or all findings together. */
export async function verifiedRelease(context: CliContext, target: string): Promise<VerifiedRelease> {
  const { givenTrust, trustedKeys } = await import('./key-files.ts')
  const { verifyRelease } = await import('../release/verify/verify.ts')
  const trust = await givenTrust(context)
  const { place, files, close } = await openTarget(context, target)
  try {
    const { predicate, root, fingerprint, findings } = await verifyRelease({
      folder: place,
      ...(await trustedKeys(context)),
      ...(isVersion(target) ? { expect: target } : {}),
      ...(trust === undefined ? {} : { trust }),
      at: timeOf('--at', undefined, context),
    })
    if (findings.length > 0) throw new AggregateError(findings)
    return { files: await files(), place, predicate, root, fingerprint }
  } catch (thrown) {
    await close()
    throw thrown
  }
}
