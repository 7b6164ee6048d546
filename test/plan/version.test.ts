import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  compareVersions,
  defaultUpstream,
  parseUpstreamVersion,
  parseVersion,
  spell,
  spellRpm,
  spellTag,
  spellUrl,
  type Version,
} from '../../src/plan/version.ts'

const small = fc.integer({ min: 0, max: 40 })
const rfor: fc.Arbitrary<Version> = fc
  .record({
    major: small,
    minor: small,
    patch: small,
    pre: fc.option(fc.record({ kind: fc.constant('rc' as const), number: small }), { nil: undefined }),
    by: fc.constant('rfor' as const),
    revision: fc.integer({ min: 1, max: 40 }),
  })
  .map(({ pre, ...rest }) => (pre === undefined ? rest : { ...rest, pre }))

describe('spelling', () => {
  test('v1.24.8+rfor1, everywhere it goes', () => {
    const version = parseVersion('v1.24.8+rfor1')
    expect([spell(version), spellTag(version), spellRpm(version), spellUrl(version)]).toEqual([
      'v1.24.8+rfor1',
      'v1.24.8-rfor1',
      '1.24.8~rfor1',
      'v1.24.8%2Brfor1',
    ])
    expect(spellRpm(parseVersion('v1.24.8-rc2+rfor1'))).toBe('1.24.8~rc2~rfor1')
    expect(spell(defaultUpstream(parseVersion('v1.24.8-rc2+rfor3')))).toBe('v1.24.8-rc2+rke2r1')
  })

  test('every version comes back from its spelling, and its tag is a tag', () => {
    fc.assert(
      fc.property(rfor, (version) => {
        expect(parseVersion(spell(version))).toEqual(version)
        expect(spellTag(version)).toMatch(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/)
        expect(decodeURIComponent(spellUrl(version))).toBe(spell(version))
      }),
    )
  })
})

describe('order', () => {
  test('candidates before releases, rfor10 after rfor9', () => {
    const inOrder = [
      'v1.23.17+rfor1',
      'v1.24.8-rc1+rfor2',
      'v1.24.8-rc2+rfor1',
      'v1.24.8-rc10+rfor1',
      'v1.24.8+rfor1',
      'v1.24.8+rfor2',
      'v1.24.8+rfor10',
      'v1.24.10+rfor1',
    ]
    expect(inOrder.map(parseVersion).toSorted(compareVersions).map(spell)).toEqual(inOrder)
    expect(inOrder.toReversed().map(parseVersion).toSorted(compareVersions).map(spell)).toEqual(inOrder)
    const upstream = ['v1.25.0-alpha1+rke2r1', 'v1.25.0-beta1+rke2r1', 'v1.25.0-rc1+rke2r1', 'v1.25.0+rke2r1', 'v1.25.0+rke2r2']
    expect(upstream.toReversed().map(parseUpstreamVersion).toSorted(compareVersions).map(spell)).toEqual(upstream)
  })

  test('is a total order, equal only when spelt the same', () => {
    fc.assert(
      fc.property(rfor, rfor, rfor, (a, b, c) => {
        expect(Math.sign(compareVersions(a, b))).toBe(-Math.sign(compareVersions(b, a)) + 0)
        expect(compareVersions(a, b) === 0).toBe(spell(a) === spell(b))
        const [first, , last] = [a, b, c].toSorted(compareVersions)
        expect(compareVersions(first!, last!)).toBeLessThanOrEqual(0)
      }),
    )
  })
})

test.each([
  '1.24.8+rfor1',
  'v1.24+rfor1',
  'v1.24.8',
  'v1.24.8+rke2r1',
  'v1.24.8-rfor1',
  'v01.24.8+rfor1',
  'v1.24.8+rfor0',
  'v1.24.8-beta1+rfor1',
  'v1.24.8+rfor1\u2028',
  'v1.24.8+rfor1\n',
  'v9999999999.1.1+rfor1',
  '',
  '../v1.24.8+rfor1',
])('no version of RFO: %j', (text) => {
  expect(() => parseVersion(text)).toThrow(
    expect.objectContaining({ code: 'RFO_PLAN_VERSION', exit: 'usage', next: expect.stringContaining('vX.Y.Z[-rcN]+rforN') }),
  )
})

test('RKE2’s one tag with a line separator in its name is refused', () => {
  expect(() => parseUpstreamVersion('v1.25.15-rc1+rke2r2\u2028')).toThrow(expect.objectContaining({ code: 'RFO_PLAN_VERSION' }))
  expect(spell(parseUpstreamVersion('v1.25.15-rc1+rke2r2'))).toBe('v1.25.15-rc1+rke2r2')
})
