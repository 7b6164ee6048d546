/** What kube-bench prints with --json: https://github.com/aquasecurity/kube-bench/blob/v0.12.0/check/controls.go */
import { z } from 'zod'
import { printableName } from './printable.ts'
import { refused } from './refusal.ts'

/**
 * `manual`: nobody but a person can tell, or the benchmark does not score it and it does not hold; kube-bench's WARN.
 * `skipped`: it was not looked at; kube-bench's INFO.
 */
export type CisStatus = 'passed' | 'failed' | 'manual' | 'skipped'

export interface CisCheck {
  /** `1.2.17` */
  readonly number: string
  /** what must hold; printable, and so is what follows */
  readonly text: string
  readonly status: CisStatus
  /** what to do about it; lines */
  readonly remediation: readonly string[]
  /** why it is what it is, where kube-bench says */
  readonly reason: string
  /** what would have been right, where it looked */
  readonly expected: string
}

const statuses: Readonly<Record<'PASS' | 'FAIL' | 'WARN' | 'INFO', CisStatus>> = {
  PASS: 'passed',
  FAIL: 'failed',
  WARN: 'manual',
  INFO: 'skipped',
}
const count = z.int().min(0).max(100_000)
const text = z.string().max(1024 * 1024)
const Totals = { total_pass: count, total_fail: count, total_warn: count, total_info: count }
const Result = z.object({
  test_number: z.string().regex(/^\d{1,3}(\.\d{1,3}){1,5}$/),
  test_desc: text,
  status: z.enum(['PASS', 'FAIL', 'WARN', 'INFO']),
  remediation: text,
  reason: text.optional(),
  expected_result: text,
})
const Report = z.object({
  Controls: z
    .array(
      z.object({
        version: text,
        // absent where no check of it was asked for
        tests: z
          .array(z.object({ results: z.array(Result).max(10_000) }))
          .max(1000)
          .nullable(),
        ...Totals,
      }),
    )
    .max(100),
  Totals: z.object(Totals),
})
const mostLines = 60

/** Throws RFO_CONFORMANCE_RESULTS: it must be of that benchmark, name each check once, and hold what its totals say. */
export function readCis(json: Uint8Array, benchmark: string): readonly CisCheck[] {
  const report = parsed(json)
  const checks: CisCheck[] = []
  const seen = new Set<string>()
  for (const { version, tests, ...totals } of report.Controls) {
    if (version !== benchmark) throw refused(`of ${printableName(version)}, not of ${benchmark}`)
    const results = (tests ?? []).flatMap((group) => group.results)
    refuseOtherTotals(results, totals)
    for (const each of results) {
      if (seen.has(each.test_number)) throw refused(`check ${each.test_number} twice`)
      seen.add(each.test_number)
      checks.push({
        number: each.test_number,
        text: printableName(each.test_desc),
        status: statuses[each.status],
        remediation: each.remediation
          .split('\n')
          .slice(0, mostLines)
          .map(printableName)
          .filter((line) => line !== ''),
        reason: printableName(each.reason ?? ''),
        expected: printableName(each.expected_result),
      })
    }
  }
  refuseOtherTotals(
    report.Controls.flatMap(({ tests }) => (tests ?? []).flatMap((group) => group.results)),
    report.Totals,
  )
  return checks.sort(byNumber)
}

function parsed(json: Uint8Array): z.infer<typeof Report> {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json))
  } catch (cause) {
    throw refused('what kube-bench printed is not JSON', cause)
  }
  const result = Report.safeParse(value)
  if (!result.success) throw refused('what kube-bench printed has another form', result.error)
  return result.data
}

function refuseOtherTotals(results: readonly z.infer<typeof Result>[], totals: Readonly<Record<keyof typeof Totals, number>>): void {
  const words = { total_pass: 'PASS', total_fail: 'FAIL', total_warn: 'WARN', total_info: 'INFO' } as const
  for (const name of Object.keys(words) as (keyof typeof words)[]) {
    const held = results.filter(({ status }) => status === words[name]).length
    if (held !== totals[name]) throw refused(`it says ${totals[name]} ${words[name]} and holds ${held}`)
  }
}

function byNumber(a: CisCheck, b: CisCheck): number {
  const [left, right] = [a, b].map(({ number }) => number.split('.').map(Number)) as [number[], number[]]
  for (let index = 0; index < Math.max(left.length, right.length); index += 1) {
    const difference = (left[index] ?? -1) - (right[index] ?? -1)
    if (difference !== 0) return difference
  }
  return 0
}
