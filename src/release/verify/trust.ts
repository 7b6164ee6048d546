/**
 * What trust metadata says of one release: whether its key may sign it, whether it is withdrawn or older than the oldest that
 * is still good, and whether the metadata is itself too old to know.
 */
import type { ReleasePredicate } from '../../attest/release.ts'
import { type RfoError, toRfoError } from '../../error.ts'
import { compareVersions, minorLine, parseVersion } from '../../plan/version.ts'
import { type PublicKey, readPublicKey } from '../../sign/key.ts'
import { expiryOf, newerTrust, openTrust, rootOf, type Trust } from '../../sign/trust.ts'
import { isExport, readExport } from '../../sign/trust-files.ts'
import type { OtherKey, Window } from '../../sign/trust-targets.ts'
import { timeText } from '../../sign/tuf.ts'
import { keyPaths } from '../signed-paths.ts'
import type { Claim } from './claims.ts'
import { statementPath } from './files.ts'
import { condition, undecided, untrusted } from './finding.ts'
import type { ReleasePlace } from './place.ts'

/** bytes */
const maxTrustBytes = 16 * 1024 * 1024

export interface TrustVerdict {
  readonly claims: readonly Claim[]
  readonly findings: readonly RfoError[]
}

/** Everybody who was ever named, so that a revoked key is told from an unknown one: `judgeTrust` says who counts. */
export function namedKeys(trust: Trust | undefined): PublicKey[] {
  return (trust?.says.keys.keys ?? []).map(({ pem }) => readPublicKey(pem))
}

/**
 * What the release carries may be newer than what was given; then it counts, for it follows from the root that was given.
 * Older is usual, another root is not.
 */
export async function newestTrust(
  place: ReleasePlace,
  given: Trust | undefined,
): Promise<{ readonly trust?: Trust; readonly findings: RfoError[] }> {
  if (given === undefined) return { findings: [] }
  try {
    const text = (await place.small(keyPaths.metadata, maxTrustBytes))?.toString('utf8') ?? ''
    if (!isExport(text)) return { trust: given, findings: [] }
    const carried = newerTrust(given, readExport(text, keyPaths.metadata))
    return { trust: carried.state === 'newer' ? carried.trust : given, findings: [] }
  } catch (thrown) {
    return { trust: given, findings: [toRfoError(thrown).at(keyPaths.metadata)] }
  }
}

/** `at`: ms since 1970 by the verifier's clock, or as he says. */
export function judgeTrust(trust: Trust | undefined, predicate: ReleasePredicate, key: PublicKey, at: number | undefined): TrustVerdict {
  const clock = clockFindings(predicate, at)
  if (trust === undefined) return { claims: [], findings: clock }
  const signer = refuseKey(trust, key, predicate.epoch, statementPath)
  const release = releaseFindings(trust, predicate)
  const fresh = at === undefined ? [] : freshFindings(trust, at)
  const expiry = expiryOf(trust)
  const root = rootOf(trust).metadata.signed.version
  return {
    findings: [...clock, ...signer, ...release, ...fresh],
    claims: [
      ...(signer.length === 0 ? [{ name: 'authorized' as const, values: { fingerprint: key.fingerprint, root } }] : []),
      ...(release.length === 0 ? [{ name: 'current' as const, values: { version: predicate.version } }] : []),
      ...(fresh.length === 0 && at !== undefined ? [{ name: 'fresh' as const, values: { until: timeText(expiry.at) } }] : []),
    ],
  }
}

/** Whether metadata lets a key sign what has this time. `epoch`: seconds. A key that it does not name was given by the person. */
export function refuseKey(
  trust: Trust | undefined,
  { fingerprint }: Pick<PublicKey, 'fingerprint'>,
  epoch: number,
  where: string,
): RfoError[] {
  if (trust === undefined) return []
  const { keys, otherKeys = [], revoked } = trust.says.keys
  const gone = revoked.find((each) => each.fingerprint === fingerprint)
  if (gone !== undefined)
    return [untrusted('RFO_VERIFY_REVOKED', `${fingerprint} is revoked since ${gone.at}: ${printable(gone.reason)}`, where)]
  const named: Window | undefined = [...keys, ...otherKeys].find((each) => each.fingerprint === fingerprint)
  const time = epoch * 1000
  const early = named?.from !== undefined && time < Date.parse(named.from)
  const late = named?.until !== undefined && time >= Date.parse(named.until)
  if (!early && !late) return []
  const window = `${named?.from ?? 'ever'} to ${named?.until ?? 'now'}`
  return [untrusted('RFO_VERIFY_PERIOD', `${fingerprint} signs releases of ${window}, and this one is of ${timeText(time)}`, where)]
}

/** The same of a key that signs beside, undefined = there is none: once one of its kind is named, it must be one of those. */
export function refuseOtherKey(
  trust: Trust | undefined,
  kind: OtherKey['kind'],
  fingerprint: string | undefined,
  epoch: number,
): RfoError[] {
  if (trust === undefined || fingerprint === undefined) return []
  const where = kind === 'sm2' ? keyPaths.sm2 : keyPaths.helm
  const named = (trust.says.keys.otherKeys ?? []).filter((each) => each.kind === kind)
  if (named.length > 0 && !named.some((each) => each.fingerprint === fingerprint))
    return [untrusted('RFO_VERIFY_KEY', `${fingerprint} is none of the keys of ${kind.toUpperCase()} that trust metadata names`, where)]
  return refuseKey(trust, { fingerprint }, epoch, where)
}

function releaseFindings(trust: Trust, { version }: ReleasePredicate): RfoError[] {
  const { withdrawn, lowest } = trust.says.releases
  const findings: RfoError[] = []
  const gone = withdrawn.find((each) => each.version === version)
  if (gone !== undefined) {
    const instead = gone.replacedBy === undefined ? 'choose another release' : `use ${gone.replacedBy}`
    findings.push(condition('RFO_VERIFY_WITHDRAWN', `${version} is withdrawn: ${printable(gone.reason)}`, statementPath, instead))
  }
  const own = parseVersion(version)
  const floor = lowest[minorLine(own)]
  if (floor !== undefined && compareVersions(own, parseVersion(floor)) < 0)
    findings.push(
      condition(
        'RFO_VERIFY_DOWNGRADE',
        `${version} is older than ${floor}, the lowest of its line`,
        statementPath,
        `use ${floor} or later`,
      ),
    )
  return findings
}

function freshFindings(trust: Trust, at: number): RfoError[] {
  const { role, at: end } = expiryOf(trust)
  if (at < end) return []
  return [
    undecided(
      'RFO_VERIFY_EXPIRED',
      `the trust metadata held until ${timeText(end)} (${role}): whether a key was revoked since then is not known`,
      keyPaths.metadata,
      'carry a newer export in: rfo-build trust import <file>; or say at which time you judge: --at <time>',
    ),
  ]
}

function clockFindings({ epoch }: ReleasePredicate, at: number | undefined): RfoError[] {
  if (at === undefined || at >= epoch * 1000) return []
  return [
    undecided(
      'RFO_VERIFY_CLOCK',
      `it is ${Number.isNaN(at) ? 'no time' : timeText(at)} by this clock, and the release is of ${timeText(epoch * 1000)}`,
      statementPath,
      'set the clock, or say what time it is: --at <time>',
    ),
  ]
}

/** What the release itself carries says the same: its own key may sign it. Throws RFO_SIGN_TRUST. */
export function refuseCarried(text: string, key: PublicKey, epoch: number): RfoError[] {
  const carried = openTrust(readExport(text, keyPaths.metadata))
  if (!carried.says.keys.keys.some(({ fingerprint }) => fingerprint === key.fingerprint))
    return [untrusted('RFO_SIGN_TRUST', `${key.fingerprint} is not named as a release key`, keyPaths.metadata)]
  return refuseKey(carried, key, epoch, keyPaths.metadata)
}

function printable(text: string): string {
  return text.replace(/\p{C}/gu, '?')
}
