import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RfoError } from '../../src/error.ts'
import { parseJson } from '../../src/oci/json.ts'

function hasRepeatedKeys(text: string): boolean {
  try {
    parseJson(text)
    return false
  } catch (thrown) {
    if (thrown instanceof RfoError && thrown.code === 'RFO_OCI_JSON') return true
    throw thrown
  }
}

test.each([
  ['{"a":1,"a":2}', true],
  ['{"a":1,"\\u0061":2}', true],
  ['[{"a":{"b":1,"b":1}}]', true],
  ['{"a":"b","b":"a"}', false],
  ['{"a":["a","a"],"b":{"a":1}}', false],
  ['[{"a":1},{"a":1}]', false],
  ['{"a":"\\"a\\":1,","b":"{\\\\"}', false],
  ['{"a\\"":1,"a":2}', false],
  ['"a"', false],
])('%s: %s', (text, repeated) => {
  expect(hasRepeatedKeys(text)).toBe(repeated)
})

test('what JSON.stringify writes has no key twice; with one copied in front, it has', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue(), { minKeys: 1 }), (value) => {
      const text = JSON.stringify(value)
      const [key] = Object.keys(value)
      return !hasRepeatedKeys(text) && hasRepeatedKeys(`{${JSON.stringify(key)}:[],${text.slice(1)}`)
    }),
  )
})
