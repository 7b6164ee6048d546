/** What is hit, what suppresses it, and when nobody can tell. */
import { describe, expect, test } from 'vitest'
import { type Inside, judgeImage, overall, streamOfSystem } from '../../src/advisory/judge.ts'
import { goVersion, matcherOf } from '../../src/advisory/match.ts'
import { readOpenVex } from '../../src/advisory/openvex.ts'
import { readOsv } from '../../src/advisory/osv.ts'
import type { AdvisoryRecord } from '../../src/advisory/record.ts'
import { gathered } from '../../src/advisory/snapshot.ts'
import { documentText } from '../../src/advisory/text.ts'
import { defaultGate, GatePolicy, gateOf, type ReleaseGate } from '../../src/plan/gate.ts'
import { compareEvr } from '../../src/rpm/vercmp.ts'
import { type GoSaid, go, openVex, osv, type Said } from './documents.ts'

const record = (text: string): AdvisoryRecord => {
  const reading = readOsv(documentText(Buffer.from(text)))
  if (!('record' in reading)) throw new Error(JSON.stringify(reading))
  return reading.record
}
const day = (text: string): number => Date.parse(`${text}T00:00:00Z`)
const now = day('2026-11-28')

const openssl = {
  purl: 'pkg:rpm/openeuler/openssl-libs@3.0.12-5.oe2403sp1',
  name: 'openssl-libs',
  epoch: 1,
  source: 'openssl',
  evr: '3.0.12-5.oe2403sp1',
}
const image = (change: Partial<Inside> = {}): Inside => ({
  name: 'hardened-coredns',
  digest: `sha256:${'a'.repeat(64)}`,
  os: { id: 'openEuler', prettyName: 'openEuler 24.03 (LTS-SP1)' },
  rpmDatabase: 'ndb',
  rpms: [openssl],
  go: [],
  unexplained: 0,
  programs: 3,
  ...change,
})
interface Given {
  readonly said?: readonly Said[]
  readonly go?: readonly GoSaid[]
  readonly gate?: Partial<ReleaseGate>
  readonly vex?: string
  readonly at?: number
}
const judge = (inside: Inside, given: Given = {}) => {
  const records = [...(given.said ?? [{}]).map((each) => record(osv(each))), ...(given.go ?? []).map((each) => record(go(each)))]
  const at = given.at ?? now
  return judgeImage(inside, {
    matcher: matcherOf({ records: gathered(records) }, compareEvr, at),
    gate: { ...defaultGate, ...given.gate },
    date: at,
    vex: given.vex === undefined ? [] : readOpenVex(given.vex, 'vex.json'),
  })
}

describe('openEuler', () => {
  test('an older source package is hit, whatever the binary is called', () => {
    expect(judge(image())).toMatchObject({
      verdict: 'fail',
      stream: '24.03-LTS-SP1',
      findings: [
        { state: 'fails', advisory: 'openEuler-SA-2026-1001', component: 'openssl-libs', fixed: '3.0.12-10.oe2403sp1', severity: 'high' },
      ],
    })
  })
  test.each([
    ['the fixed version', { rpms: [{ ...openssl, evr: '3.0.12-10.oe2403sp1' }] }, []],
    ['a newer one by rpm’s order and not by text', { rpms: [{ ...openssl, evr: '3.0.12-11.oe2403sp1' }] }, []],
    [
      'another service pack',
      {},
      [{}, { stream: '24.03-LTS', fixed: '9-9' }, { stream: '24.03-LTS-SP1', source: 'zlib', fixed: '9-9' }].slice(1),
    ],
  ] as const)('%s is not', (_, change, said) => {
    expect(judge(image(change), said.length === 0 ? {} : { said })).toMatchObject({ verdict: 'pass', findings: [] })
  })
  test('an epoch counts when the advisory names one, and else does not', () => {
    const newer = image({ rpms: [{ ...openssl, epoch: 0, evr: '3.0.12-11.oe2403sp1' }] })
    expect(judge(newer, { said: [{ fixed: '1:3.0.12-10.oe2403sp1' }] }).verdict).toBe('fail')
    expect(judge(newer, { said: [{ fixed: '3.0.12-10.oe2403sp1' }] }).verdict).toBe('pass')
  })
  test.each([
    ['openEuler 24.03 (LTS-SP1)', '24.03-LTS-SP1'],
    ['openEuler 22.03 LTS', '22.03-LTS'],
    ['openEuler 22.03 (LTS-SP4)', '22.03-LTS-SP4'],
    ['openEuler 24.03 (LTS)', '24.03-LTS'],
    ['openEuler 23.09', undefined],
    ['openEuler 24.03 (LTS-SP1) my own', undefined],
  ])('%s is the stream %s', (prettyName, stream) => {
    expect(streamOfSystem({ id: 'openEuler', prettyName })).toBe(stream)
  })
})

describe('Go', () => {
  const linked = (module: string, version: string) =>
    image({
      os: null,
      rpmDatabase: 'none',
      rpms: [],
      go: [{ purl: `pkg:golang/${module}@${version}`, module, version, paths: ['/usr/bin/x'] }],
    })
  const any: Partial<ReleaseGate> = { fail: ['unknown', 'high'] }
  const hit = (version: string, events: readonly object[], module = 'example.com/m'): boolean =>
    judge(linked(module, version), { go: [{ module, events }], gate: any }).findings.length === 1
  test('ranges, pseudo-versions as pre-releases, +incompatible', () => {
    const events = [{ introduced: '0' }, { fixed: '1.2.3' }, { introduced: '1.3.0-0' }, { fixed: '1.3.1' }]
    expect(
      ['v1.2.2', 'v1.2.3-0.20260101000000-abcdefabcdef', 'v0.0.0-20200101000000-abcdefabcdef', 'v1.3.0-rc.1'].map((v) => hit(v, events)),
    ).toEqual([true, true, true, true])
    expect(['v1.2.3', 'v1.2.9', 'v1.3.1', 'v2.0.0+incompatible'].map((v) => hit(v, events))).toEqual([false, false, false, false])
    expect(hit('v1.0.0+incompatible', [{ introduced: '0' }])).toBe(true)
  })
  test('the standard library by Go’s own version', () => {
    const events = [{ introduced: '0' }, { fixed: '1.21.11' }, { introduced: '1.22.0-0' }, { fixed: '1.22.4' }]
    expect(['go1.21.10', 'go1.22', 'go1.22rc2', 'go1.22.3 X:boringcrypto'].map((v) => hit(v, events, 'stdlib'))).toEqual([
      true,
      true,
      true,
      true,
    ])
    expect(['go1.21.11', 'go1.22.4', 'go1.23.1'].map((v) => hit(v, events, 'stdlib'))).toEqual([false, false, false])
    expect(goVersion('go1.21rc2')).toBe('1.21.0-rc.2')
    expect(goVersion('devel go1.24-abc')).toBeUndefined()
  })
  test('a severity comes from openEuler’s word on the same CVE, and is else unknown', () => {
    const inside = linked('example.com/m', 'v1.0.0')
    expect(judge(inside, { said: [], go: [{}] })).toMatchObject({ verdict: 'pass', findings: [{ severity: 'unknown', state: 'below' }] })
    const csafLike: AdvisoryRecord = {
      ...(record(osv()) as Extract<AdvisoryRecord, { kind: 'openeuler' }>),
      cves: { 'CVE-2026-20001': 'critical' },
    }
    const matcher = matcherOf({ records: [csafLike, record(go())] }, compareEvr, now)
    expect(judgeImage(inside, { matcher, gate: defaultGate, date: now, vex: [] })).toMatchObject({
      verdict: 'fail',
      findings: [{ severity: 'critical', fixed: 'v1.2.3' }],
    })
  })
  test('a module of unknown version is said, and matches nothing', () => {
    const verdict = judge(linked('example.com/m', ''), { go: [{}] })
    expect(verdict).toMatchObject({ unversioned: ['example.com/m'], findings: [] })
  })
})

describe('policy', () => {
  test('grace counts from publication', () => {
    const given = { gate: { graceDays: 30 } }
    expect(judge(image(), { ...given, at: day('2026-10-30') })).toMatchObject({
      verdict: 'pass',
      findings: [{ state: 'grace', until: '2026-10-31' }],
    })
    expect(judge(image(), { ...given, at: day('2026-11-02') }).verdict).toBe('fail')
  })
  test('an old line is judged by what was published by its day', () => {
    const other = { number: 1002, published: '2020-01-01T00:00:00Z', source: 'zlib' }
    expect(judge(image(), { said: [{}, other], at: day('2026-09-01') })).toMatchObject({ verdict: 'pass', findings: [] })
  })
  test('severities, and what has no fix', () => {
    expect(judge(image(), { said: [{ severity: 'Low' }] })).toMatchObject({ verdict: 'pass', findings: [{ state: 'below' }] })
    const inside = image({
      os: null,
      rpms: [],
      rpmDatabase: 'none',
      go: [{ purl: 'pkg:golang/example.com/m@v1.0.0', module: 'example.com/m', version: 'v1.0.0', paths: [] }],
    })
    const open = { said: [], go: [{ events: [{ introduced: '0' }] }] }
    expect(judge(inside, { ...open, gate: { fail: ['unknown'] } })).toMatchObject({ verdict: 'pass', findings: [{ state: 'no-fix' }] })
    expect(judge(inside, { ...open, gate: { fail: ['unknown'], fixAvailable: false } }).verdict).toBe('fail')
  })
  test('lines by name, others live', () => {
    const policy = GatePolicy.parse({ lines: { 'v1.24': { asOf: '2023-01-01' } } })
    expect(gateOf(policy, 'v1.24.8+rfor1').mode).toEqual({ asOf: '2023-01-01' })
    expect(gateOf(policy, 'v1.34.1+rfor1').mode).toBe('live')
  })
})

describe('VEX', () => {
  const trusting = { gate: { vex: [{ author: 'security@rfo.example', expires: '2027-01-01' }] } }
  const says = (change: object = {}, more: object = {}): string =>
    openVex(
      [
        {
          vulnerability: { name: 'CVE-2026-10001' },
          products: [{ '@id': 'pkg:oci/hardened-coredns', subcomponents: [{ '@id': 'pkg:rpm/openeuler/openssl-libs' }] }],
          status: 'not_affected',
          justification: 'vulnerable_code_not_in_execute_path',
          ...change,
        },
      ],
      more,
    )
  test('suppresses, and stays in the report with its statement', () => {
    expect(judge(image(), { ...trusting, vex: says() })).toMatchObject({
      verdict: 'pass',
      findings: [{ state: 'suppressed', statement: { id: 'https://rfo.example/vex/1#1', author: 'security@rfo.example' } }],
    })
  })
  test.each([
    ['of an author whom nobody believes', says({}, { author: 'someone@else.example' }), trusting],
    ['after its author’s time', says(), { gate: { vex: [{ author: 'security@rfo.example', expires: '2026-11-28' }] } }],
    ['about another image', says({ products: [{ '@id': 'pkg:oci/other' }] }), trusting],
    ['about another digest', says({ products: [{ '@id': `pkg:oci/hardened-coredns@sha256%3A${'b'.repeat(64)}` }] }), trusting],
    [
      'about another package',
      says({ products: [{ '@id': 'pkg:oci/hardened-coredns', subcomponents: [{ '@id': 'pkg:rpm/openeuler/zlib' }] }] }),
      trusting,
    ],
    ['about another version', says({ products: [{ '@id': 'pkg:rpm/openeuler/openssl-libs@1' }] }), trusting],
    ['about another CVE', says({ vulnerability: { name: 'CVE-2026-1' } }), trusting],
    ['that says affected', says({ status: 'affected' }), trusting],
    ['without products', says({ products: [] }), trusting],
  ])('nothing %s', (_, vex, given) => {
    expect(judge(image(), { ...given, vex })).toMatchObject({ verdict: 'fail', findings: [{ state: 'fails' }] })
  })
  test('the newest statement counts, and an advisory needs an answer to each of its CVEs', () => {
    const statement = (name: string, status: string, timestamp: string): object => ({
      vulnerability: { name },
      products: [{ '@id': 'pkg:oci/hardened-coredns' }],
      status,
      timestamp,
      impact_statement: 'none',
    })
    const older = statement('CVE-2026-10001', 'not_affected', '2026-10-05T00:00:00Z')
    const newer = statement('CVE-2026-10001', 'affected', '2026-10-06T00:00:00Z')
    expect(judge(image(), { ...trusting, vex: openVex([newer, older]) }).verdict).toBe('fail')
    expect(judge(image(), { ...trusting, vex: openVex([older, { ...newer, timestamp: '2026-10-04T00:00:00Z' }]) }).verdict).toBe('pass')
    expect(judge(image(), { ...trusting, vex: openVex([older, { ...newer, timestamp: '2026-10-05T00:00:00Z' }]) }).verdict).toBe('fail')
    const two = [{}, { cve: 'CVE-2026-10002' }]
    expect(judge(image(), { ...trusting, said: two, vex: openVex([older]) }).verdict).toBe('fail')
    const whole = statement('openEuler-SA-2026-1001', 'fixed', '2026-10-05T00:00:00Z')
    expect(judge(image(), { ...trusting, said: two, vex: openVex([whole]) }).verdict).toBe('pass')
  })
})

describe('what nobody can judge never passes', () => {
  test.each([
    ['openEuler without a database', { rpmDatabase: 'none', rpms: [] }, /without a database/],
    [
      'a stream of which nothing is known',
      { os: { id: 'openEuler', prettyName: 'openEuler 26.03 (LTS)' } },
      /nothing of openEuler 26\.03-LTS/,
    ],
    ['an innovation release', { os: { id: 'openEuler', prettyName: 'openEuler 25.09' } }, /no stream/],
    ['another distribution', { os: { id: 'debian', prettyName: 'Debian GNU/Linux 12' } }, /no advisories are read of Debian/],
    ['a program that says nothing', { os: null, rpms: [], rpmDatabase: 'none', unexplained: 1 }, /do not say what they are made of/],
    ['nothing at all', { os: null, rpms: [], rpmDatabase: 'none', programs: 0 }, /nothing inside says/],
  ] as const)('%s', (_, change, why) => {
    expect(judge(image(change))).toMatchObject({ verdict: 'undecided', why: expect.stringMatching(why) })
  })
  test('a listed image is unjudged until its day, and its findings stay', () => {
    const unjudged = [{ images: ['hardened-coredns'], author: 'a@rfo.example', reason: 'upstream’s', expires: '2027-01-01' }]
    const debian = image({ os: { id: 'debian', prettyName: 'Debian GNU/Linux 12' } })
    expect(judge(debian, { gate: { unjudged } })).toMatchObject({ verdict: 'unjudged', listed: { author: 'a@rfo.example' } })
    expect(judge(debian, { gate: { unjudged }, at: day('2027-01-01') })).toMatchObject({
      verdict: 'undecided',
      why: expect.stringContaining('ended on'),
    })
    // whoever can be judged is
    expect(judge(image(), { gate: { unjudged } }).verdict).toBe('fail')
  })
  test('of several the worst, and of none nothing', () => {
    expect(overall([{ verdict: 'pass' }, { verdict: 'unjudged' }])).toBe('pass')
    expect(overall([{ verdict: 'undecided' }, { verdict: 'pass' }])).toBe('undecided')
    expect(overall([{ verdict: 'undecided' }, { verdict: 'fail' }])).toBe('fail')
    expect(overall([])).toBe('undecided')
  })
})
