/** A verdict by counting. Whatever called the run passed, is not asked. */
import type { TestCase } from './junit.ts'
import { printableName } from './printable.ts'
import type { SonobuoyRun } from './sonobuoy.ts'

export interface Verdict {
  readonly result: 'PASSED' | 'FAILED'
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
  readonly passes: readonly string[]
}

const mostNames = 10_000
const spec = '[It] '

export function verdictOf(run: SonobuoyRun): Verdict {
  const specs = run.cases.filter(({ name }) => name.startsWith(spec))
  const nodes = run.cases.filter(({ name }) => !name.startsWith(spec))
  const passed = specs.filter(({ status }) => status === 'passed')
  const failed = specs.filter(({ status }) => status === 'failed')
  const ran = passed.length + failed.length
  const why = [
    ...(ran === 0 ? ['no spec ran'] : []),
    ...(failed.length > 0 ? [`${failed.length} of ${ran} specs failed`] : []),
    ...(run.asked !== null && run.asked !== ran ? [`${ran} specs ran of ${run.asked} that were asked for`] : []),
    ...nodes.filter(({ status }) => status === 'failed').map(({ name }) => `the suite's ${printableName(name)} failed`),
    ...(run.reason === '' ? [] : [`the suite says: ${printableName(run.reason)}`]),
    ...(run.succeeded === false && failed.length === 0 && run.reason === '' ? ['the suite says that it did not succeed'] : []),
  ]
  return {
    result: why.length === 0 ? 'PASSED' : 'FAILED',
    why: why.slice(0, 20),
    asked: run.asked,
    ran,
    passed: passed.length,
    failed: failed.length,
    skipped: specs.length - ran,
    suiteNodes: nodes.length,
    failures: names(failed),
    passes: names(passed),
  }
}

function names(cases: readonly TestCase[]): readonly string[] {
  return cases
    .map(({ name }) => printableName(name.slice(spec.length)))
    .sort()
    .slice(0, mostNames)
}
