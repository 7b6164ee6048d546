/** A verdict by counting. Whatever called the run passed, is not asked. */
import type { TestCase } from './junit.ts'
import { printableName } from './printable.ts'
import type { SonobuoyRun } from './sonobuoy.ts'

export interface Verdict {
  /** WARNED: what failed is all known */
  readonly result: 'PASSED' | 'WARNED' | 'FAILED'
  /** Why it failed, one phrase each; empty when it passed. */
  readonly why: readonly string[]
  /** Specs that the suite selected; null when the run does not say. */
  readonly asked: number | null
  /** Specs that began: passed and failed. */
  readonly ran: number
  readonly passed: number
  /** With those that were cut or panicked. */
  readonly failed: number
  readonly skipped: number
  /** Nodes of the suite itself, such as `[SynchronizedBeforeSuite]`: sonobuoy counts them as specs, this does not. */
  readonly suiteNodes: number
  /** Names, printable and sorted; of at most `mostNames`, and so are the passes. */
  readonly failures: readonly string[]
  /** Those among `failed` that are excused, sorted by name. They are not in `failures`. */
  readonly known: readonly Excused[]
  readonly passes: readonly string[]
}

/** A failure that somebody answers for. */
export interface Excused {
  readonly spec: string
  readonly reason: string
  /** the last day on which it is excused, `2026-12-31` */
  readonly until: string
}

const mostNames = 10_000
const spec = '[It] '

/** `excused` are failures that are known on this platform; `today` in UTC, `2026-11-23`. */
export function verdictOf(run: SonobuoyRun, excused: readonly Excused[] = [], today = ''): Verdict {
  const specs = run.cases.filter(({ name }) => name.startsWith(spec))
  const nodes = run.cases.filter(({ name }) => !name.startsWith(spec))
  const passed = specs.filter(({ status }) => status === 'passed')
  const failed = specs.filter(({ status }) => status === 'failed')
  const ran = passed.length + failed.length
  const excuse = new Map(excused.map((each) => [each.spec, each]))
  const inTime = (each: Excused | undefined): boolean => each !== undefined && today <= each.until
  const unknown = failed.filter((each) => !inTime(excuse.get(nameOf(each))))
  const expired = unknown.flatMap((each) => excuse.get(nameOf(each)) ?? [])
  const known = excused.filter((each) => inTime(each) && failed.some((one) => nameOf(one) === each.spec))
  const why = [
    ...(ran === 0 ? ['no spec ran'] : []),
    ...(unknown.length > 0 ? [`${unknown.length} of ${ran} specs failed`] : []),
    ...expired.map(({ spec: name, until }) => `the excuse of ${printableName(name)} ended with ${until}`),
    ...(run.asked !== null && run.asked !== ran ? [`${ran} specs ran of ${run.asked} that were asked for`] : []),
    ...nodes.filter(({ status }) => status === 'failed').map(({ name }) => `the suite's ${printableName(name)} failed`),
    ...(run.reason === '' ? [] : [`the suite says: ${printableName(run.reason)}`]),
    ...(run.succeeded === false && failed.length === 0 && run.reason === '' ? ['the suite says that it did not succeed'] : []),
  ]
  return {
    result: why.length > 0 ? 'FAILED' : known.length > 0 ? 'WARNED' : 'PASSED',
    why: why.slice(0, 20),
    asked: run.asked,
    ran,
    passed: passed.length,
    failed: failed.length,
    skipped: specs.length - ran,
    suiteNodes: nodes.length,
    failures: names(unknown),
    known: known.toSorted((a, b) => (a.spec < b.spec ? -1 : 1)),
    passes: names(passed),
  }
}

function names(cases: readonly TestCase[]): readonly string[] {
  return cases.map(nameOf).sort().slice(0, mostNames)
}

function nameOf({ name }: TestCase): string {
  return printableName(name.slice(spec.length))
}
