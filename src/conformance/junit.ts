/**
 * JUnit as ginkgo 2 writes it: https://github.com/onsi/ginkgo/blob/v2.1.6/reporters/junit_report.go. saxes knows XML and
 * resolves its five entities alone; a document type, and with it every other entity, is refused.
 */
import { SaxesParser, type SaxesTagPlain } from 'saxes'
import { RfoError } from '../error.ts'
import { refused } from './refusal.ts'

export type SpecStatus = 'passed' | 'failed' | 'skipped'

export interface TestCase {
  /** With its node type in front, as in `[It] [sig-node] Pods …`. */
  readonly name: string
  readonly status: SpecStatus
}

export interface Junit {
  readonly cases: readonly TestCase[]
  /** ginkgo's own word on the whole suite; null when the file has none. */
  readonly succeeded: boolean | null
  /** Such as `Interrupted by Timeout`; empty when there is none. */
  readonly reason: string
}

/** bytes; a run of all 7000 specs has 4 MB */
const largest = 64 * 1024 * 1024
const mostCases = 200_000
/** UTF-16 code units; a name is compared whole and shown cut */
const longestName = 16_384
const deepest = 16

/** ginkgo's states: https://github.com/onsi/ginkgo/blob/v2.1.6/types/types.go#L525 */
const states: Readonly<Record<string, SpecStatus>> = {
  passed: 'passed',
  skipped: 'skipped',
  pending: 'skipped',
  failed: 'failed',
  interrupted: 'failed',
  aborted: 'failed',
  panicked: 'failed',
  timedout: 'failed',
}

/** Throws RFO_CONFORMANCE_RESULTS. The file must be whole: its suites say how many cases they hold. */
export async function readJunit(source: AsyncIterable<Uint8Array>): Promise<Junit> {
  const parser = new SaxesParser()
  const state = collect(parser)
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let size = 0
  try {
    for await (const chunk of source) {
      size += chunk.length
      if (size > largest) throw refused(`its JUnit is larger than ${largest} bytes`)
      parser.write(decoder.decode(chunk, { stream: true }))
    }
    parser.write(decoder.decode()).close()
  } catch (cause) {
    if (cause instanceof RfoError) throw cause
    throw refused('its JUnit is not XML in UTF-8, or ends too early', cause)
  }
  if (state.cases.length !== state.announced) throw refused(`its JUnit says ${state.announced} cases and holds ${state.cases.length}`)
  return { cases: state.cases, succeeded: state.succeeded, reason: state.reason }
}

interface Collected {
  readonly cases: TestCase[]
  announced: number
  succeeded: boolean | null
  reason: string
}

function collect(parser: SaxesParser): Collected {
  const found: Collected = { cases: [], announced: 0, succeeded: null, reason: '' }
  const open: string[] = []
  let current: { readonly name: string; status: SpecStatus | undefined } | undefined
  parser.on('doctype', () => {
    throw refused('its JUnit has a document type')
  })
  parser.on('opentag', (tag: SaxesTagPlain) => {
    const { name, attributes } = tag
    const parent = open.at(-1)
    open.push(name)
    if (open.length > deepest) throw refused(`its JUnit is nested deeper than ${deepest}`)
    if (parent === undefined && name !== 'testsuites' && name !== 'testsuite') throw refused('its XML is no JUnit')
    if (name === 'testsuite') found.announced += count(attributes.tests)
    else if (name === 'property') property(found, attributes)
    else if (name === 'testcase') {
      if (parent !== 'testsuite') throw refused('its JUnit has a case outside a suite')
      if (found.cases.length >= mostCases) throw refused(`its JUnit has more than ${mostCases} cases`)
      current = { name: caseName(attributes.name), status: stated(attributes.status) }
    } else if (parent === 'testcase' && current !== undefined) {
      // a failure below the case counts whatever the case says of itself
      if (name === 'failure' || name === 'error') current.status = 'failed'
      else if (name === 'skipped' && current.status !== 'failed') current.status = 'skipped'
    }
  })
  parser.on('closetag', (tag: SaxesTagPlain) => {
    open.pop()
    if (tag.name !== 'testcase' || current === undefined) return
    found.cases.push({ name: current.name, status: current.status ?? 'passed' })
    current = undefined
  })
  return found
}

function property(found: Collected, { name, value }: Readonly<Record<string, string>>): void {
  // several suites in one file: one that failed is enough
  if (name === 'SuiteSucceeded' && found.succeeded !== false) found.succeeded = value === 'true'
  if (name === 'SpecialSuiteFailureReason' && found.reason === '') found.reason = value ?? ''
}

function stated(status: string | undefined): SpecStatus | undefined {
  // what is not known is no pass
  return status === undefined ? undefined : Object.hasOwn(states, status) ? states[status] : 'failed'
}

function caseName(name: string | undefined): string {
  if (name === undefined || name === '' || name.length > longestName) throw refused('its JUnit has a case without a usable name')
  return name
}

function count(text: string | undefined): number {
  if (text === undefined || !/^\d{1,7}$/.test(text)) throw refused('a suite of its JUnit does not say how many cases it has')
  return Number(text)
}
