/** A verdict on a node by counting the checks of the CIS benchmark, and the report that people read. */
import { RfoError } from '../error.ts'
import type { Json } from '../oci/json.ts'
import type { CisPlan } from '../plan/cis-profile.ts'
import type { CisCheck, CisStatus } from './cis.ts'
import type { Counted } from './statement.ts'
import type { Excused, Verdict } from './verdict.ts'

export interface CisVerdict {
  readonly benchmark: string
  /** WARNED: what failed is all known */
  readonly result: Verdict['result']
  /** Those that failed and are excused count as failed. */
  readonly counts: Readonly<Record<CisStatus, number>>
  /** in the order of the benchmark; a skipped one has the profile's reason */
  readonly checks: readonly CisCheck[]
  /** failures that are excused */
  readonly known: readonly Excused[]
  /** failures that are not */
  readonly failures: readonly CisCheck[]
}

/** As plan.json's knownFailures and the statement name it: `cis 1.2.17`. */
export function cisName({ number }: Pick<CisCheck, 'number'>): string {
  return `cis ${number}`
}

/**
 * Throws RFO_CONFORMANCE_PROFILE (usage) when the profile skips what the benchmark has not, or what was looked at all the same;
 * RFO_TEST_NONE (undecided) when no check passed or failed. `today` in UTC, `2026-11-23`.
 */
export function cisVerdict(found: readonly CisCheck[], plan: CisPlan, excused: readonly Excused[], today: string): CisVerdict {
  const unknown = [...plan.skip.keys()].filter((number) => found.find((each) => each.number === number)?.status !== 'skipped')
  if (unknown.length > 0)
    throw new RfoError('RFO_CONFORMANCE_PROFILE', `the profile skips what ${plan.benchmark} does not have: ${unknown.join(', ')}`, {
      exit: 'usage',
      where: 'conformance/cis.yaml',
      next: `name checks of ${plan.benchmark} there`,
    })
  const checks = found.map((each) => ({ ...each, reason: plan.skip.get(each.number) ?? each.reason }))
  const of = (status: CisStatus): readonly CisCheck[] => checks.filter((each) => each.status === status)
  if (of('passed').length + of('failed').length === 0)
    throw new RfoError('RFO_TEST_NONE', 'no check passed or failed: that proves nothing', { exit: 'undecided' })
  const inTime = excused.filter(({ until }) => today <= until)
  const excuseOf = (check: CisCheck): Excused | undefined => inTime.find(({ spec }) => spec === cisName(check))
  const known = of('failed').flatMap((each) => excuseOf(each) ?? [])
  const failures = of('failed').filter((each) => excuseOf(each) === undefined)
  return {
    benchmark: plan.benchmark,
    result: failures.length > 0 ? 'FAILED' : known.length > 0 ? 'WARNED' : 'PASSED',
    counts: { passed: of('passed').length, failed: of('failed').length, manual: of('manual').length, skipped: of('skipped').length },
    checks,
    known,
    failures,
  }
}

/** For the statement: what was skipped and what a person has to look at is not proven. */
export function cisCounted(verdict: CisVerdict, judge: Json): Counted {
  const { checks, known, failures } = verdict
  const open = checks.filter(({ status }) => status === 'manual' || status === 'skipped')
  return {
    kind: 'cis',
    result: verdict.result,
    passed: checks.filter(({ status }) => status === 'passed').map(cisName),
    warned: known.map(({ spec }) => spec),
    failed: failures.map(cisName),
    notProven: Object.fromEntries(open.map((each) => [cisName(each), each.status === 'manual' ? 'manual' : `skipped: ${each.reason}`])),
    facts: {
      benchmark: verdict.benchmark,
      counts: { ...verdict.counts },
      kubeBench: judge,
      ...(known.length === 0 ? {} : { known: known.map(({ spec, reason, until }) => ({ spec, reason, until })) }),
    },
  }
}

const headings = [
  ['failed', 'Failed'],
  ['manual', 'For a person to look at'],
  ['skipped', 'Not looked at'],
  ['passed', 'Passed'],
] as const

/** Plain text: what failed comes first, with what to do about it. */
export function cisReport({ benchmark, counts, checks, known }: CisVerdict, about: string): string {
  const lines = [`${benchmark}: ${about}`, countsText(counts)]
  for (const [status, heading] of headings) {
    const these = checks.filter((each) => each.status === status)
    if (these.length === 0) continue
    lines.push('', `${heading} (${these.length})`)
    for (const each of these) lines.push(`  ${each.number} ${each.text}`, ...details(each, known).map((line) => `    ${line}`))
  }
  return `${lines.join('\n')}\n`
}

export function countsText({ passed, failed, manual, skipped }: CisVerdict['counts']): string {
  return `${passed} passed, ${failed} failed, ${manual} manual, ${skipped} skipped`
}

function details(check: CisCheck, known: readonly Excused[]): string[] {
  if (check.status === 'passed') return []
  if (check.status === 'skipped') return [`because ${check.reason}`]
  const excuse = known.find(({ spec }) => spec === cisName(check))
  return [
    ...(excuse === undefined ? [] : [`excused until ${excuse.until}: ${excuse.reason}`]),
    ...(check.expected === '' ? [] : [`expected: ${check.expected}`]),
    ...(check.reason === '' || check.reason === 'Test marked as a manual test' ? [] : [`kube-bench: ${check.reason}`]),
    ...check.remediation,
  ]
}
