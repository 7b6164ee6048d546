/** kube-bench: RFO's profile, what it is asked, what it prints, and the verdict. The real one runs in test/real and .ci/run. */
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { findKubeBench } from '../../src/cli/test-cis.ts'
import { type CisCheck, readCis } from '../../src/conformance/cis.ts'
import { cisCounted, cisReport, cisVerdict } from '../../src/conformance/cis-verdict.ts'
import { kubeBenchFacts, runKubeBench } from '../../src/conformance/kube-bench.ts'
import { exec } from '../../src/exec.ts'
import { type CisPlan, cisPlan, kubeBenchConfig } from '../../src/plan/cis-profile.ts'
import { tool } from '../tools.ts'

const kubeBench = tool('kube-bench')
const root = join(import.meta.dirname, '..', '..')
const file = 'conformance/cis.yaml'
const own = async (): Promise<CisPlan> => cisPlan({ file, text: await readFile(join(root, file), 'utf8') }, 'v1.25.4+rfor1')
/** kube-bench 0.12.0 on a local cluster of v1.25.4+rfor1, reduced by reduce-kube-bench.py beside it. */
const recorded = (): Promise<Buffer> => readFile(join(import.meta.dirname, 'recorded', 'kube-bench-v1.25.4.json'))

const nodes = 'nodes: { master: {}, etcd: {}, controlplane: {}, node: {}, policies: {} }'
const plan = (skip: Readonly<Record<string, string>> = {}): CisPlan => ({
  benchmark: 'cis-1.7',
  targets: ['master'],
  skip: new Map(Object.entries(skip)),
  nodes: { master: { apiserver: { bins: ['kube-apiserver'] } }, etcd: {}, controlplane: {}, node: {}, policies: {} },
})
type Status = 'PASS' | 'FAIL' | 'WARN' | 'INFO'
const totals = (statuses: readonly Status[]): object =>
  Object.fromEntries(
    (['PASS', 'FAIL', 'WARN', 'INFO'] as const).map((word) => [
      `total_${word.toLowerCase()}`,
      statuses.filter((each) => each === word).length,
    ]),
  )
const report = (results: Readonly<Record<string, Status>>, change: object = {}): Buffer =>
  Buffer.from(
    JSON.stringify({
      Controls: [
        {
          version: 'cis-1.7',
          tests: [
            {
              results: Object.entries(results).map(([number, status]) => ({
                test_number: number,
                test_desc: `Ensure \u001b[31m${number}`,
                status,
                remediation: 'Edit it\nand set\u0007 it.\n',
                expected_result: 'x',
              })),
            },
          ],
          ...totals(Object.values(results)),
          ...change,
        },
      ],
      Totals: totals(Object.values(results)),
    }),
  )
const checks = (results: Readonly<Record<string, Status>>): readonly CisCheck[] => readCis(report(results), 'cis-1.7')

describe('the profile', () => {
  test('RFO’s own says where a node has its files, and why a check is not looked at', async () => {
    const config = JSON.parse(kubeBenchConfig(await own(), { config: '/c', pki: '/p' })) as Record<string, never>
    expect(config).toMatchObject({
      node: { components: ['kubelet', 'proxy'], kubelet: { bins: ['kubelet'], confs: ['/c/kubelet.json'], cafile: ['/p/ca.crt'] } },
      policies: { components: [] },
      target_mapping: { 'cis-1.7': ['master', 'etcd', 'controlplane', 'node', 'policies'] },
    })
    expect(JSON.stringify(config)).not.toMatch(/[{](config|pki)[}]/)
  })

  test.each([
    ['a minor version with two benchmarks', "  b: { kubernetes: ['1.25'], skip: [] }", /1\.25 has two benchmarks/],
    ['a check that is skipped twice', "  b: { kubernetes: ['1.26'], skip: [{ checks: [1.1.1, 1.1.1], reason: x }] }", /skipped twice/],
    ['a skip without a reason', "  b: { kubernetes: ['1.26'], skip: [{ checks: [1.1.1], reason: '' }] }", /reason/],
    [
      'a skip of what is no number of a check',
      "  b: { kubernetes: ['1.26'], skip: [{ checks: ['1,2'], reason: x }] }",
      /number of a check/,
    ],
    ['a name that leads out of cfg', "  ../b: { kubernetes: ['1.26'], skip: [] }", /\.\.\/b/],
  ])('%s is refused with its place', (_, more, said) => {
    const text = `${nodes}\nbenchmarks:\n  a: { kubernetes: ['1.25'], skip: [] }\n${more}\n`
    expect(() => cisPlan({ file, text }, 'v1.25.4+rfor1')).toThrow(said)
  })

  test('a version that no benchmark is chosen for', () => {
    expect(() => cisPlan({ file, text: `${nodes}\nbenchmarks: {}\n` }, 'v1.99.0+rfor1')).toThrow(
      expect.objectContaining({ code: 'RFO_PLAN_CIS', exit: 'usage' }),
    )
  })
})

describe('what it prints', () => {
  test('is one line each of printable text, in the order of the benchmark', () => {
    expect(checks({ '1.10': 'PASS', '1.9': 'WARN' })).toEqual([
      expect.objectContaining({ number: '1.9', text: 'Ensure  [31m1.9', status: 'manual', remediation: ['Edit it', 'and set  it.'] }),
      expect.objectContaining({ number: '1.10', status: 'passed' }),
    ])
  })

  test.each([
    ['no JSON', Buffer.from('[FAIL] Failed to read config file')],
    ['not UTF-8', Buffer.from([0x7b, 0xff, 0x7d])],
    ['another form', Buffer.from('{"Controls":[{}],"Totals":{}}')],
    ['totals that it does not hold', report({ '1.1': 'PASS' }, { total_pass: 2 })],
    ['another benchmark', report({ '1.1': 'PASS' }, { version: 'cis-1.6' })],
    ['a status of its own', Buffer.from(report({ '1.1': 'PASS' }).toString().replace('"PASS"', '"GOOD"'))],
    ['a number that is none', report({ '1.1;2': 'PASS' })],
    ['a check twice', Buffer.from(report({ '1.1': 'PASS', '1.2': 'PASS' }).toString().replaceAll('"1.2"', '"1.1"'))],
    ['deep nesting', Buffer.from('['.repeat(100_000))],
  ])('%s is refused', (_, bytes) => {
    expect(() => readCis(bytes, 'cis-1.7')).toThrow(expect.objectContaining({ code: 'RFO_CONFORMANCE_RESULTS', exit: 'untrusted' }))
  })
})

describe('the verdict', () => {
  const all = { '1.1': 'PASS', '1.2': 'FAIL', '1.3': 'WARN', '1.4': 'INFO' } as const
  const skip = { '1.4': 'there are no static pods' }
  const excuse = { spec: 'cis 1.2', reason: 'upstream', until: '2026-12-31' }

  test('is a count; what was not looked at has the profile’s reason, in the report and in the statement', () => {
    const verdict = cisVerdict(checks(all), plan(skip), [], '2026-11-27')
    expect(verdict).toMatchObject({ result: 'FAILED', counts: { passed: 1, failed: 1, manual: 1, skipped: 1 } })
    expect(cisCounted(verdict, null)).toMatchObject({
      kind: 'cis',
      passed: ['cis 1.1'],
      failed: ['cis 1.2'],
      notProven: { 'cis 1.3': 'manual', 'cis 1.4': 'skipped: there are no static pods' },
    })
    expect(cisReport(verdict, 'v1')).toBe(
      [
        'cis-1.7: v1',
        '1 passed, 1 failed, 1 manual, 1 skipped',
        '',
        'Failed (1)',
        '  1.2 Ensure  [31m1.2',
        '    expected: x',
        '    Edit it',
        '    and set  it.',
        '',
        'For a person to look at (1)',
        '  1.3 Ensure  [31m1.3',
        '    expected: x',
        '    Edit it',
        '    and set  it.',
        '',
        'Not looked at (1)',
        '  1.4 Ensure  [31m1.4',
        '    because there are no static pods',
        '',
        'Passed (1)',
        '  1.1 Ensure  [31m1.1',
        '',
      ].join('\n'),
    )
  })

  test('a failure that is known is excused to its last day, and no longer', () => {
    const known = cisVerdict(checks(all), plan(skip), [excuse], '2026-12-31')
    expect([known.result, cisCounted(known, null).warned, cisCounted(known, null).failed]).toEqual(['WARNED', ['cis 1.2'], []])
    expect(cisVerdict(checks(all), plan(skip), [excuse], '2027-01-01').result).toBe('FAILED')
  })

  test('a skip of what the benchmark has not, or of what ran all the same, is an error', () => {
    for (const rotten of ['1.9', '1.1'])
      expect(() => cisVerdict(checks(all), plan({ ...skip, [rotten]: 'x' }), [], '')).toThrow(
        expect.objectContaining({ code: 'RFO_CONFORMANCE_PROFILE', exit: 'usage', message: expect.stringContaining(rotten) }),
      )
  })

  test('no check that passed or failed is no evidence', () => {
    const none = expect.objectContaining({ code: 'RFO_TEST_NONE', exit: 'undecided' })
    expect(() => cisVerdict(checks({ '1.3': 'WARN', '1.4': 'INFO' }), plan(skip), [], '')).toThrow(none)
    expect(() => cisVerdict(readCis(report({}, { tests: null }), 'cis-1.7'), plan(), [], '')).toThrow(none)
  })
})

describe('the program', () => {
  let scratch: string
  beforeEach(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'rfo-cis-'))
  })
  afterEach(() => rm(scratch, { recursive: true, force: true }))

  const fake = async (body: string): Promise<{ program: string; benchmarks: string }> => {
    const program = join(scratch, 'kube-bench')
    await writeFile(program, `#!${process.execPath}\n${body}`)
    await chmod(program, 0o755)
    await mkdir(join(scratch, 'cfg', 'cis-1.7'), { recursive: true })
    await writeFile(join(scratch, 'cfg', 'cis-1.7', 'master.yaml'), '---\n')
    return { program, benchmarks: join(scratch, 'cfg') }
  }
  const ran = async (body: string, seconds = 30): Promise<Buffer> =>
    await runKubeBench(
      { ...(await fake(body)), plan: plan({ '1.1': 'x', '1.2': 'y' }), folders: { config: '/c', pki: '/p' }, seconds },
      {
        exec: (argv, options) => exec(argv, { ...options, env: {} }),
        workDir: scratch,
        signal: new AbortController().signal,
      },
    )

  test('is told the benchmark, the profile, and what to leave out', async () => {
    expect(JSON.parse(String(await ran('console.log(JSON.stringify(process.argv.slice(2)))')))).toEqual([
      'run',
      `--config=${join(scratch, 'kube-bench.json')}`,
      `--config-dir=${join(scratch, 'cfg')}`,
      '--benchmark=cis-1.7',
      '--targets=master',
      '--skip=1.1,1.2',
      '--json',
    ])
  })

  test('that dies or hangs is said to have', async () => {
    await expect(ran('console.error("no config"); process.exit(1)')).rejects.toMatchObject({
      code: 'RFO_CONFORMANCE_DRIVER',
      exit: 'build',
      details: ['no config'],
    })
    await expect(ran('setInterval(() => {}, 1000)', 0.3)).rejects.toMatchObject({ code: 'RFO_CONFORMANCE_TIME' })
  })

  test('is the first on the PATH, with its benchmarks beside the file that it is', async () => {
    const { program, benchmarks } = await fake('')
    await mkdir(join(scratch, 'bin'))
    await symlink(program, join(scratch, 'bin', 'kube-bench'))
    const env = { PATH: `${join(scratch, 'empty')}:${join(scratch, 'bin')}` }
    expect(await findKubeBench(env)).toEqual({ program, benchmarks })
    await expect(findKubeBench(env, join(scratch, 'nowhere'))).rejects.toMatchObject({ code: 'RFO_TEST_DRIVER', exit: 'machine' })
    await expect(findKubeBench({ PATH: '' })).rejects.toMatchObject({ code: 'RFO_TEST_DRIVER', exit: 'machine' })
    expect(await kubeBenchFacts({ program, benchmarks }, 'cis-1.7')).toMatchObject({
      benchmark: 'cis-1.7',
      files: { 'master.yaml': expect.stringMatching(/^sha256:/) },
    })
    await expect(kubeBenchFacts({ program, benchmarks }, 'cis-9')).rejects.toMatchObject({ code: 'RFO_TEST_DRIVER' })
  })
})

test('a run on a node of a release, recorded: what is scored and was looked at holds', async () => {
  const plan = await own()
  const verdict = cisVerdict(readCis(await recorded(), 'cis-1.7'), plan, [], '')
  expect([verdict.result, verdict.counts]).toEqual(['PASSED', { passed: 66, failed: 0, manual: 49, skipped: 16 }])
  expect(Object.values(cisCounted(verdict, null).notProven).filter((why) => why.startsWith('skipped: '))).toHaveLength(plan.skip.size)
})

test.skipIf(kubeBench.skip)(
  'the real kube-bench takes the profile, and knows each check that is skipped',
  { timeout: 60_000 },
  async () => {
    const found = await findKubeBench({ PATH: process.env.PATH ?? '' })
    const workDir = await mkdtemp(join(tmpdir(), 'rfo-cis-'))
    try {
      const plan = await own()
      const json = await runKubeBench(
        { ...found, plan, folders: { config: '/nowhere', pki: '/nowhere' }, seconds: 50 },
        {
          exec: (argv, options) => exec(argv, { ...options, env: { PATH: '/usr/bin:/bin' } }),
          workDir,
          signal: new AbortController().signal,
        },
      )
      const { counts, checks: looked } = cisVerdict(readCis(json, plan.benchmark), plan, [], '')
      expect([looked.length, counts.skipped]).toEqual([131, plan.skip.size])
    } finally {
      await rm(workDir, { recursive: true })
    }
  },
)
