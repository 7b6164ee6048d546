import { expect, test } from 'vitest'
import { fingerprint } from '../../src/graph/fingerprint.ts'
import { content } from './rig.ts'

const a = content('a')
const b = content('b')

test('golden: changing it forgets every recorded result', () => {
  expect(fingerprint({ key: { rule: 'image@1', level: 9 } }, { base: a })).toMatchInlineSnapshot(
    `"sha256:0fed6828f372eccc09a7cc82fd499e7404e4a28dbdcec1e0f04a019df9ab7c20"`,
  )
})

test('key, input names and contents decide; the order of names and words about content do not', () => {
  const print = fingerprint({ key: 1 }, { a, b })
  expect(fingerprint({ key: 1 }, { b, a })).toBe(print)
  expect(fingerprint({ key: 1 }, { a: { ...a, annotations: { x: 'y' }, platform: { os: 'linux', architecture: 'arm64' } }, b })).toBe(print)
  expect(fingerprint({ key: 2 }, { a, b })).not.toBe(print)
  expect(fingerprint({ key: 1 }, { a: b, b: a })).not.toBe(print)
  expect(fingerprint({ key: 1 }, { a, c: b })).not.toBe(print)
  expect(fingerprint({ key: 1 }, { a: { ...a, mediaType: 'text/html' }, b })).not.toBe(print)
})
