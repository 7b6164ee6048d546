/** What a policy demands of a release as a whole: what must be there, how old it may be, of which sources. */
import type { ReleasePredicate } from '../../attest/release.ts'
import type { RfoError } from '../../error.ts'
import type { VerifyPolicy } from '../../plan/verify-policy.ts'
import { keyPaths } from '../signed-paths.ts'
import type { Claim } from './claims.ts'
import { bundlePath, statementPath } from './files.ts'
import { condition, undecided, untrusted } from './finding.ts'

export interface Judged {
  readonly findings: readonly RfoError[]
  readonly claims: readonly Claim[]
}

/** seconds */
const day = 86_400

/** `at`: ms since 1970. A clock before the release's own time is told with its trust, see trust.ts. */
export function judgeAge(policy: VerifyPolicy, { epoch }: ReleasePredicate, at: number | undefined): Judged {
  const { maxAgeDays } = policy
  if (maxAgeDays === undefined) return { findings: [], claims: [] }
  const age = at === undefined ? Number.NaN : Math.floor(at / 1000) - epoch
  if (!(age >= 0)) return { findings: [], claims: [] }
  if (age > maxAgeDays * day)
    return told(
      undecided(
        'RFO_VERIFY_STALE',
        `the release is from ${dayOf(epoch)}, more than ${maxAgeDays} days ago`,
        statementPath,
        'get a newer release',
      ),
    )
  return { findings: [], claims: [{ name: 'age', values: { days: Math.floor(age / day), most: maxAgeDays } }] }
}

export function judgeUpstream(policy: VerifyPolicy, { upstream }: ReleasePredicate): RfoError[] {
  if (policy.upstreamCommits?.includes(upstream.commit) !== false) return []
  return [
    condition('RFO_VERIFY_SOURCE', `it rebuilds ${upstream.version} at ${upstream.commit}, which the policy does not allow`, statementPath),
  ]
}

/** `keys`: fingerprints of those that the statement lists. What they signed is looked at elsewhere. */
export function judgeOtherKeys(
  policy: VerifyPolicy,
  keys: { readonly sm2?: string | undefined; readonly pgp?: string | undefined },
): RfoError[] {
  return (['sm2', 'pgp'] as const).flatMap((kind) => {
    const [wanted, found] = [policy.signers[kind], keys[kind]]
    const where = kind === 'sm2' ? keyPaths.sm2 : keyPaths.helm
    if (wanted === undefined) return []
    if (found === undefined)
      return [condition('RFO_VERIFY_UNSIGNED_BY', `no signatures by ${kind.toUpperCase()}, which the policy asks for`, where)]
    if (wanted === 'any' || wanted.includes(found)) return []
    return [untrusted('RFO_VERIFY_SIGNER', `${kind.toUpperCase()} signatures by ${found}, which is no key of the policy`, where)]
  })
}

/** `attested`: predicate types by manifest. What is attached beyond them is refused with the images. */
export function judgePredicates(policy: VerifyPolicy, attested: ReadonlyMap<string, readonly string[]>): RfoError[] {
  return [...attested].flatMap(([what, types]) =>
    policy.predicates
      .filter((type) => !types.includes(type))
      .map((type) => undecided('RFO_VERIFY_PREDICATE', `nothing attested of the type ${type}`, what)),
  )
}

/** Distinct signers of the statement, all of whom may sign it. */
export function judgeThreshold(policy: VerifyPolicy, signers: readonly string[]): RfoError[] {
  const threshold = policy.signers.statement?.threshold ?? 1
  if (signers.length >= threshold) return []
  return [
    untrusted(
      'RFO_VERIFY_THRESHOLD',
      `signed by ${signers.length} of those who may, ${threshold} are asked for: ${signers.join(', ')}`,
      bundlePath,
    ),
  ]
}

function told(finding: RfoError): Judged {
  return { findings: [finding], claims: [] }
}

function dayOf(epoch: number): string {
  return new Date(epoch * 1000).toISOString().slice(0, 10)
}
