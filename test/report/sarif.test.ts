/** SARIF 2.1.0 as its specification asks for it: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html */
import { expect, test } from 'vitest'
import { RfoError } from '../../src/error.ts'
import { sarifText } from '../../src/report/sarif.ts'

interface Log {
  readonly version: string
  readonly runs: readonly {
    readonly tool: { readonly driver: { readonly name: string; readonly rules: readonly { readonly id: string }[] } }
    readonly invocations: readonly { readonly executionSuccessful: boolean; readonly exitCode: number }[]
    readonly results: readonly {
      readonly ruleId: string
      readonly ruleIndex: number
      readonly level: string
      readonly message: { readonly text: string }
      readonly locations?: readonly Record<string, { artifactLocation?: { uri: string } }>[]
    }[]
  }[]
}

const findings = [
  new RfoError('RFO_VERIFY_FILE', 'is sha256:b', { exit: 'untrusted', where: 'charts/a+b c.tgz', next: 'fetch it again' }),
  new RfoError('RFO_VERIFY_UNTESTED', 'no result', { exit: 'undecided', where: 'evidence/test-result.linux-amd64.sigstore.json' }),
  new RfoError('RFO_VERIFY_FILE', 'is \u001b[31msha256:c', { exit: 'untrusted', where: 'rfo.linux-amd64' }),
  new RfoError('RFO_VERIFY_ORIGIN', 'mirrored', { exit: 'condition', where: 'docker.io/rancher/pause:3.6' }),
  new RfoError('RFO_VERIFY_ODD', 'somewhere', { exit: 'untrusted', where: '/etc/passwd' }),
]

const read = (list: readonly RfoError[]): Log => JSON.parse(sarifText(list, { toolVersion: '1.2.3', target: 'v1' })) as Log

test('a rule is a code, a result points to its rule', () => {
  const [run] = read(findings).runs
  const ids = run?.tool.driver.rules.map(({ id }) => id) ?? []
  expect(ids).toEqual(['RFO_VERIFY_FILE', 'RFO_VERIFY_ODD', 'RFO_VERIFY_ORIGIN', 'RFO_VERIFY_UNTESTED'])
  for (const result of run?.results ?? []) expect(ids[result.ruleIndex]).toBe(result.ruleId)
  expect(run?.results.map(({ level }) => level)).toEqual(['error', 'warning', 'error', 'error', 'error'])
  expect(run?.invocations).toEqual([{ executionSuccessful: true, exitCode: 3 }])
})

test('a place is a relative URI of a file, or a name: never a path of the machine', () => {
  const places = read(findings).runs[0]?.results.map(({ locations }) => locations?.[0]?.['physicalLocation']?.artifactLocation?.uri)
  expect(places).toEqual([undefined, 'evidence/test-result.linux-amd64.sigstore.json', 'rfo.linux-amd64', undefined, undefined])
})

test('no escape sequence passes', () => {
  expect(sarifText(findings, { toolVersion: '1.2.3', target: 'v1' })).not.toMatch(/\\u001b/)
})

test('without findings the list of results is there, and empty: §3.14.23', () => {
  expect(read([])).toMatchObject({ version: '2.1.0', runs: [{ results: [], invocations: [{ exitCode: 0 }] }] })
})
