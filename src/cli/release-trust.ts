/** The trust metadata that a release carries: the project's, when it has some. */
import { join } from 'node:path'
import { RfoError } from '../error.ts'
import type { ReleaseKeys } from '../release/signatures.ts'
import { refuseKey, refuseOtherKey } from '../release/verify/trust.ts'
import type { PublicKey } from '../sign/key.ts'
import type { Trust } from '../sign/trust.ts'
import type { CliContext } from './context.ts'
import { givenTrust } from './key-files.ts'

export interface ProjectTrust {
  readonly trust: Trust
  /** exported */
  readonly text: string
}

/** `--trust`, or trust/ in the project. */
export async function projectTrust(context: CliContext): Promise<ProjectTrust | undefined> {
  const trust = await givenTrust({ trustDir: context.trustDir ?? join(context.cwd, 'trust') })
  return trust === undefined ? undefined : { trust, text: (await import('../sign/trust-files.ts')).exportText(trust) }
}

/** Nobody who trusts the metadata would take the release. `epoch`: seconds. */
export function refuseUnnamed({ trust }: ProjectTrust, { key: { publicKey }, sm2, pgp }: ReleaseKeys, epoch: number): void {
  refuseUnnamedKey(trust, publicKey)
  const [why] = [
    ...refuseKey(trust, publicKey, epoch, 'trust'),
    ...refuseOtherKey(trust, 'sm2', sm2?.publicKey.fingerprint, epoch),
    ...refuseOtherKey(trust, 'pgp', pgp?.publicKey.fingerprint, epoch),
  ]
  if (why !== undefined) throw unusable(why.message)
}

/** A signature by a key that the metadata does not name is to its readers a file too many. */
export function refuseUnnamedKey(trust: Trust, { fingerprint }: PublicKey): void {
  if (!trust.says.keys.keys.some((each) => each.fingerprint === fingerprint)) throw unusable(`${fingerprint} is not named`)
}

function unusable(why: string): RfoError {
  return new RfoError('RFO_CLI_KEY', `trust metadata does not let this key sign: ${why}`, {
    exit: 'usage',
    next: 'rfo-build keys rotate --release-key <file>, or sign with a key that it names: rfo-build trust show',
  })
}
