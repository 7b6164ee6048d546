/** The refusal of a release with stand-ins: genuine, but only to somebody who gave the sandbox's own key. */
import type { ReleasePredicate } from '../attest/release.ts'
import type { RfoError } from '../error.ts'
import type { PublicKey } from '../sign/key.ts'
import { statementPath } from './verify/files.ts'
import { condition } from './verify/finding.ts'

export function refuseStandIns(predicate: ReleasePredicate, key: PublicKey): RfoError[] {
  if (predicate.standIns.length === 0 && predicate.standInKey === undefined) return []
  if (predicate.standInKey === key.fingerprint) return []
  return [
    condition(
      'RFO_VERIFY_SANDBOX',
      `${predicate.standIns.length} inputs of this release are stand-ins: it is a sandbox release`,
      statementPath,
      'use a release that was made from real inputs; to test with this one, give the sandbox’s own key',
    ),
  ]
}
