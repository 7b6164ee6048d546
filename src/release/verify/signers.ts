/** Who may sign what: a policy's names, held against the key that made a signature. The signature itself has held by then. */
import type { RfoError } from '../../error.ts'
import type { PolicySigner, SignedKind, VerifyPolicy } from '../../plan/verify-policy.ts'
import type { PublicKey } from '../../sign/key.ts'
import { untrusted } from './finding.ts'

/** What a person gives: keys whose signatures can be checked. Whether one may sign something is the policy's matter. */
export interface Signers {
  readonly policy: VerifyPolicy
  /** who signed the statement; undefined while that is being found out */
  readonly statement?: PublicKey
}

/** Exactly, and never more: a name of the policy is this signer, or it is not. */
export function isSigner(name: PolicySigner, by: PublicKey): boolean {
  return 'key' in name && name.key === by.fingerprint
}

export function maySign({ policy, statement }: Signers, kind: SignedKind, by: PublicKey): boolean {
  const named = kind === 'statement' ? policy.signers.statement?.anyOf : policy.signers[kind]
  if (named !== undefined) return named.some((name) => isSigner(name, by))
  // images and what is said of them come from whoever made the release; tests from anybody who is trusted
  return kind === 'statement' || kind === 'tests' || by.fingerprint === statement?.fingerprint
}

/** A signature that holds, by somebody who may not make it. */
export function refuseSigner(signers: Signers, kind: SignedKind, by: PublicKey, where: string): RfoError | undefined {
  if (maySign(signers, kind, by)) return undefined
  return untrusted('RFO_VERIFY_SIGNER', `signed by ${by.fingerprint}, who may not sign ${kind} by the policy`, where)
}
