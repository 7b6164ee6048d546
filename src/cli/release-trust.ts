/** The trust metadata that a release carries: the project's, when it has some. */
import { join } from 'node:path'
import { RfoError } from '../error.ts'
import type { ReleaseKeys } from '../release/signatures.ts'
import { refuseKey } from '../release/verify/trust.ts'
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
export function refuseUnnamed({ trust }: ProjectTrust, { key: { publicKey } }: ReleaseKeys, epoch: number): void {
  const named = trust.says.keys.keys.some(({ fingerprint }) => fingerprint === publicKey.fingerprint)
  const [why] = refuseKey(trust, publicKey, epoch, 'trust')
  if (named && why === undefined) return
  throw new RfoError(
    'RFO_CLI_KEY',
    `trust metadata does not let this key sign: ${why?.message ?? `${publicKey.fingerprint} is not named`}`,
    {
      exit: 'usage',
      next: 'rfo-build keys rotate --release-key <file>, or sign with a key that it names: rfo-build trust show',
    },
  )
}
