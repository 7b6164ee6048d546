/** Real results, made small by recorded/reduce.py; the whole ones when RFO_TEST_CONFORMANCE names their folder. */
import { createReadStream, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { gunzipSync, gzipSync } from 'node:zlib'
import { pack } from 'tar-stream'
import { describe, expect, test } from 'vitest'
import { readSonobuoy } from '../../src/conformance/sonobuoy.ts'
import { testResult } from '../../src/conformance/statement.ts'
import { verdictOf } from '../../src/conformance/verdict.ts'
import { RfoError } from '../../src/error.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { canonicalJson } from '../../src/oci/json.ts'

const recorded = join(import.meta.dirname, 'recorded')
const bytesOf = (name: string): Buffer => readFileSync(join(recorded, `sonobuoy-${name}.tar.gz`))
const read = (bytes: Uint8Array) => readSonobuoy(Readable.from([bytes]))
const report = 'plugins/e2e/results/global/junit_01.xml'

async function tarball(files: Readonly<Record<string, string>>): Promise<Buffer> {
  const tar = pack()
  for (const [name, body] of Object.entries(files)) tar.entry({ name }, body)
  tar.finalize()
  const chunks: Uint8Array[] = []
  for await (const chunk of tar) chunks.push(chunk as Uint8Array)
  return gzipSync(Buffer.concat(chunks))
}
const suite = (cases: string, tests: number, head = ''): string =>
  `${head}<testsuites><testsuite tests="${tests}">${cases}</testsuite></testsuites>`
const refusal = { code: 'RFO_CONFORMANCE_RESULTS', exit: 'untrusted' }

describe('recorded runs', () => {
  test.each([
    ['passed', 'PASSED', { asked: 1, ran: 1, passed: 1, failed: 0, suiteNodes: 4 }],
    ['failed', 'FAILED', { asked: 3, ran: 3, passed: 1, failed: 2, suiteNodes: 4 }],
    ['zero', 'FAILED', { asked: 0, ran: 0, passed: 0, failed: 0, suiteNodes: 2 }],
    ['v1.25.4-mixed', 'FAILED', { asked: 329, ran: 9, passed: 3, failed: 6, suiteNodes: 11 }],
  ])('%s: %s', async (name, result, counts) => {
    expect(verdictOf(await read(bytesOf(name)))).toMatchObject({ result, ...counts })
  })

  test('zero specs: sonobuoy says passed, the count does not', async () => {
    const run = await read(bytesOf('zero'))
    expect(run).toMatchObject({ sonobuoyStatus: 'passed', succeeded: true, sonobuoy: 'v0.57.5' })
    expect(verdictOf(run).why).toEqual(['no spec ran'])
  })

  test('failures that are known, until the day on which nobody answers for them any more', async () => {
    const run = await read(bytesOf('failed'))
    const excused = verdictOf(run).failures.map((spec) => ({ spec, reason: 'upstream', until: '2022-12-31' }))
    expect(excused).toHaveLength(2)
    expect(verdictOf(run, excused, '2022-12-31')).toMatchObject({ result: 'WARNED', why: [], failed: 2, failures: [], known: excused })
    expect(verdictOf(run, excused.slice(1), '2022-12-31')).toMatchObject({
      result: 'FAILED',
      why: ['1 of 3 specs failed'],
      failures: [excused[0]?.spec],
    })
    const late = verdictOf(run, excused, '2023-01-01')
    expect(late).toMatchObject({ result: 'FAILED', known: [] })
    expect(late.why).toContain(`the excuse of ${excused[0]?.spec} ended with 2022-12-31`)
    const input = { platform: 'linux/amd64', version: 'v1.25.4+rfor1', results: { digest: digestOf('x'), size: 1 } } as const
    expect(testResult(verdictOf(run, excused, '2022-01-01'), run, input)).toMatchObject({
      result: 'WARNED',
      warnedTests: excused.map(({ spec }) => spec),
      failedTests: [],
    })
  })

  test('says what was run against what', async () => {
    expect(await read(bytesOf('v1.25.4-mixed'))).toMatchObject({
      kubernetes: { version: 'v1.25.4+rfor1', platform: 'linux/amd64' },
      plugin: { image: 'registry.k8s.io/conformance:v1.25.4-rfor1', focus: '\\[Conformance\\]' },
      reason: 'Interrupted by Timeout',
    })
  })

  const whole = process.env.RFO_TEST_CONFORMANCE ?? ''
  if (whole === '') process.stderr.write('whole conformance results are not read: RFO_TEST_CONFORMANCE names no folder\n')
  test.skipIf(whole === '').each([
    ['passed', { asked: 1, passed: 1, failed: 0, skipped: 6729, suiteNodes: 4 }],
    ['failed', { asked: 3, passed: 1, failed: 2, skipped: 6727, suiteNodes: 4 }],
    ['zero', { asked: 0, passed: 0, failed: 0, skipped: 6730, suiteNodes: 2 }],
    // sonobuoy says 154 passed: these 143 and the 11 nodes of the suite
    ['v1.25.4-mixed', { asked: 329, passed: 143, failed: 15, skipped: 6909, suiteNodes: 11 }],
  ])('%s, whole; with the suite nodes it is what sonobuoy counted', async (name, counts) => {
    const verdict = verdictOf(await readSonobuoy(createReadStream(join(whole, `sonobuoy-${name}.tar.gz`))))
    expect(verdict).toMatchObject(counts)
    const status = JSON.parse(readFileSync(join(whole, `sonobuoy-${name}.status.json`), 'utf8'))
    const { passed = 0, failed = 0, skipped = 0 } = status.plugins[0]['result-counts']
    expect([verdict.passed + verdict.suiteNodes, verdict.failed, verdict.skipped]).toEqual([passed, failed, skipped])
  })
})

describe('counting', () => {
  const pass = '<testcase name="[It] a" status="passed"/>'
  test('fewer than asked for is a failure, and so is a suite node that failed', async () => {
    const files = { [report]: suite(pass, 1), 'plugins/e2e/results/global/e2e.log': 'x\nWill run 2 of 9 specs\n' }
    expect(verdictOf(await read(await tarball(files)))).toMatchObject({ result: 'FAILED', why: ['1 specs ran of 2 that were asked for'] })
    const node = suite(`${pass}<testcase name="[BeforeSuite]" status="failed"/>`, 2)
    expect(verdictOf(await read(await tarball({ [report]: node })))).toMatchObject({ result: 'FAILED', asked: null, passed: 1, failed: 0 })
  })

  test('a failure below a case outweighs its status, an unknown status is no pass, names are one line', async () => {
    const cases =
      '<testcase name="[It] b&#10;&#x202e;&lt;c&gt;" status="passed"><failure/></testcase><testcase name="[It] d" status="fine"/>'
    const verdict = verdictOf(await read(await tarball({ [report]: suite(cases, 2) })))
    expect(verdict).toMatchObject({ ran: 2, failed: 2, failures: ['b <c>', 'd'] })
  })

  test('several reports of one run are one run', async () => {
    const skipped = '<testcase name="[It] a" status="skipped"><skipped/></testcase>'
    const files = { [report]: suite(skipped + skipped, 2), [report.replace('01', '02')]: suite(pass + skipped, 2) }
    expect(verdictOf(await read(await tarball(files)))).toMatchObject({ ran: 1, passed: 1, skipped: 1, result: 'PASSED' })
  })
})

describe('statement', () => {
  const results = { digest: digestOf('results'), size: 7 }
  test('is the same bytes each time, with the counts as annotations', async () => {
    const run = await read(bytesOf('passed'))
    const made = testResult(verdictOf(run), run, { platform: 'linux/amd64', version: 'v1.33.4+rfor1', results })
    expect(made).toMatchObject({
      result: 'PASSED',
      configuration: [{ annotations: { platform: 'linux/amd64', size: 7, counts: { ran: 1, passed: 1 } } }],
      passedTests: ['[sig-node] Pods should be submitted and removed [NodeConformance] [Conformance]'],
      failedTests: [],
    })
    const again = await read(bytesOf('passed'))
    const second = testResult(verdictOf(again), again, { platform: 'linux/amd64', version: 'v1.33.4+rfor1', results })
    expect(canonicalJson(second)).toBe(canonicalJson(made))
  })

  test("another platform's results are refused", async () => {
    const run = await read(bytesOf('passed'))
    expect(() => testResult(verdictOf(run), run, { platform: 'linux/arm64', version: 'v1', results })).toThrow(
      /of linux\/amd64, not of linux\/arm64/,
    )
  })
})

describe('hostile results', () => {
  const bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
  test.each<[string, Readonly<Record<string, string>>]>([
    ['no report', { 'serverversion.json': '{}' }],
    ['a path out', { '../x': 'x', [report]: suite('', 0) }],
    ['an absolute path', { '/x': 'x', [report]: suite('', 0) }],
    ['an entity bomb', { [report]: suite('<testcase name="&b;"/>', 1, bomb) }],
    ['an unknown entity', { [report]: suite('<testcase name="&b;"/>', 1) }],
    ['fewer cases than announced', { [report]: suite('<testcase name="[It] a"/>', 2) }],
    ['a huge count', { [report]: suite('', 1).replace('"1"', '"99999999999999999999"') }],
    ['XML that ends early', { [report]: '<testsuites><testsuite tests="0">' }],
    ['other XML', { [report]: '<html/>' }],
    ['nesting', { [report]: suite('<a>'.repeat(99) + '</a>'.repeat(99), 0) }],
    ['a server version that is none', { [report]: suite('', 0), 'serverversion.json': '[]' }],
    ['a large fact', { [report]: suite('', 0), 'meta/config.json': ' '.repeat(2 ** 20 + 1) }],
  ])('%s', async (_, files) => {
    await expect(read(await tarball(files))).rejects.toMatchObject(refusal)
  })

  test('a report of more than 64 MiB', async () => {
    await expect(read(await tarball({ [report]: ' '.repeat(64 * 2 ** 20 + 1) }))).rejects.toMatchObject(refusal)
  })

  test('cut anywhere', async () => {
    const bytes = bytesOf('passed')
    for (let length = 0; length < bytes.length; length += 97) {
      await expect(read(bytes.subarray(0, length))).rejects.toMatchObject(refusal)
    }
  })

  test('500 mutations, of the gzip and of what is in it: an answer or a refusal, never anything else', async () => {
    const bytes = bytesOf('failed')
    const tar = gunzipSync(bytes)
    let seed = 1
    const next = (below: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
      return (seed >>> 8) % below
    }
    for (let round = 0; round < 500; round += 1) {
      const mutant = Buffer.from(round % 4 === 0 ? bytes : tar)
      for (let n = 0; n <= next(4); n += 1) mutant[next(mutant.length)] = next(256)
      const outcome = await read(round % 4 === 0 ? mutant : gzipSync(mutant, { level: 1 })).catch((error: unknown) => error)
      if (outcome instanceof Error) expect(outcome).toBeInstanceOf(RfoError)
    }
  })

  test('ends when it is told to', async () => {
    const stop = new AbortController()
    async function* endless() {
      yield gzipSync(Buffer.alloc(0))
      await new Promise((resolve) => setTimeout(resolve, 10))
      stop.abort(new Error('enough'))
      for (;;) {
        yield Buffer.alloc(0)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    }
    await expect(readSonobuoy(endless(), stop.signal)).rejects.toThrow('enough')
  })
})
