import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compareVersions, parseVersion, spellRpm } from '../../src/plan/version.ts'
import { compareEvr, compareRpmVersions, parseEvr } from '../../src/rpm/vercmp.ts'
import { tool } from '../tools.ts'

const rpm = tool('rpm')

/** The interpreter that has rpm's own module; Debian's python3, whatever stands first on the PATH. */
const python = ['/usr/bin/python3', 'python3'].find((each) => spawnSync(each, ['-c', 'import rpm']).status === 0)
if (python === undefined) process.stderr.write('the test of versions against rpm is skipped: no python3 with the module rpm\n')

test('known orders', () => {
  const rising = [
    '0.9',
    '1.0~~',
    '1.0~rc1',
    '1.0~rc1^git1',
    '1.0',
    '1.0^',
    '1.0^git1',
    '1.0^git2',
    '1.0.a',
    '1.0.0',
    '1.0.1',
    '1.0.10',
    '1.1',
  ]
  for (const [n, a] of rising.entries()) {
    for (const [m, b] of rising.entries()) expect(Math.sign(compareRpmVersions(a, b)), `${a} ${b}`).toBe(Math.sign(n - m))
  }
  expect(compareRpmVersions('1.0', '1_0')).toBe(0)
  expect(compareRpmVersions('001', '1')).toBe(0)
  expect(compareEvr('1:0.1-1', '2.0-1')).toBe(1)
  expect(compareEvr('1.0-1', '1.0')).toBe(0)
  expect(parseEvr('2:1.0~rc1-3')).toEqual({ epoch: 2, version: '1.0~rc1', release: '3' })
})

test('packages of RFO rise with its versions', () => {
  const versions = fc
    .record({ minor: fc.nat(30), patch: fc.nat(20), pre: fc.option(fc.nat(12)), revision: fc.integer({ min: 1, max: 12 }) })
    .map(({ minor, patch, pre, revision }) => parseVersion(`v1.${minor}.${patch}${pre === null ? '' : `-rc${pre}`}+rfor${revision}`))
  fc.assert(
    fc.property(versions, versions, (a, b) => {
      expect(Math.sign(compareRpmVersions(spellRpm(a), spellRpm(b)))).toBe(Math.sign(compareVersions(a, b)))
    }),
  )
})

test.skipIf(rpm.skip)('rpm itself upgrades from candidates to releases, from one build to the next, and over a line', () => {
  const rising = [
    ...['v1.24.8-rc1+rfor1', 'v1.24.8-rc2+rfor1', 'v1.24.8-rc10+rfor1', 'v1.24.8+rfor1', 'v1.24.8+rfor2', 'v1.24.8+rfor10'],
    ...['v1.24.9-rc1+rfor1', 'v1.24.9+rfor1', 'v1.24.10+rfor1', 'v1.25.0-rc1+rfor1', 'v1.25.0+rfor1'],
  ].map((version) => spellRpm(parseVersion(version)))
  // upstream's build of a version is another package's; a plain version would be newer than both
  rising.push('1.25.0~rke2r1', '1.25.0')
  const pairs = rising.slice(1).map((version, n) => `%{lua: print(rpm.vercmp("${rising[n]}", "${version}"))}`)
  const judged = spawnSync(
    rpm.path,
    pairs.flatMap((pair) => ['--eval', pair]),
    { encoding: 'utf8' },
  )
  expect(judged.stdout.match(/-?\d+/g)).toEqual(pairs.map(() => '-1'))
})

test.skipIf(python === undefined)('the same order as rpm itself, for 200,000 pairs', () => {
  const piece = fc.constantFrom('0', '1', '2', '10', '01', 'a', 'b', 'rc', 'Z', '.', '-', '_', '+', '~', '^', '~~', '^^', '1.0')
  const pieces = fc.array(piece, { minLength: 1, maxLength: 6 }).map((each) => each.join(''))
  // librpm takes all but the empty one
  const printable = Array.from({ length: 0x7e - 0x20 }, (_, n) => String.fromCharCode(0x21 + n))
  const random = fc.string({ unit: fc.constantFrom(...printable, ...'0011~^..'), minLength: 1, maxLength: 12 })
  const real = fc.constantFrom(
    '1.2.11-19.oe2203',
    '3.0.12-10.oe2403sp1',
    '1.24.8~rfor1',
    '2.34-70',
    '20221110',
    '4.18.0~rc1^git20240101.abc',
  )
  // as two builds of one package differ: a character more, less, or another one
  const near = fc.tuple(fc.oneof(real, pieces), fc.nat(30), fc.nat(2), piece).map(([a, at, cut, put]): [string, string] => {
    const from = at % (a.length + 1)
    return [a, a.slice(0, from) + put + a.slice(from + cut)]
  })
  const pairs = fc.sample(fc.oneof(near, fc.tuple(pieces, pieces), fc.tuple(random, random)), { numRuns: 200_000, seed: 20221123 })
  const script = [
    'import json, rpm, sys',
    'pairs = json.load(sys.stdin)',
    "json.dump([rpm.labelCompare(('0', a, ''), ('0', b, '')) for a, b in pairs], sys.stdout)",
  ].join('\n')
  const judged = spawnSync(python!, ['-c', script], { input: JSON.stringify(pairs), encoding: 'utf8', maxBuffer: 1 << 24 })
  expect(judged.stderr).toBe('')
  const theirs: number[] = JSON.parse(judged.stdout)
  expect(new Set(theirs)).toEqual(new Set([-1, 0, 1]))
  const differing = pairs.filter(([a, b], n) => compareRpmVersions(a, b) !== theirs[n])
  expect(differing).toEqual([])
})
