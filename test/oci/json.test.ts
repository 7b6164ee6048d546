import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalJson, type Json, parseJson } from '../../src/oci/json.ts'

describe('parseJson', () => {
  test('reads what JSON.parse reads, whatever the strings hold', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        for (const text of [JSON.stringify(value), JSON.stringify(value, null, 2)]) expect(parseJson(text)).toEqual(JSON.parse(text))
      }),
    )
  })

  test.each([
    ['plain', '{"a":1,"a":1}'],
    ['spelt in another way', '{"ab":1,"\\u0061b":2}'],
    ['after a string that ends with a backslash', '{"a":"\\\\","b":"{\\"","a":2}'],
    ['far down', '[{"x":[{},{"y":{"z":1,"k":[1,{"q":2}],"z":3}}]}]'],
    ['with white space', '{ "a" : 1 ,\n\t"a" : 2 }'],
    ['a name that objects have', '{"__proto__":1,"__proto__":2}'],
  ])('refuses a name twice: %s', (_, text) => {
    expect(() => parseJson(text)).toThrow(expect.objectContaining({ code: 'RFO_OCI_JSON', exit: 'untrusted' }))
  })

  test.each(['{"a":{"a":1},"b":[{"a":1},{"a":2}]}', '["a","a"]', '{"a":"b","b":"a"}', '{}', '"a"', '[[],{}]'])('takes %s', (text) => {
    expect(canonicalJson(parseJson(text) as Json)).toBe(canonicalJson(JSON.parse(text)))
  })

  test('refuses what would exhaust the stack of those who walk it', () => {
    const deep = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
    expect(() => parseJson(deep(100_000))).toThrow(expect.objectContaining({ code: 'RFO_OCI_JSON' }))
    expect(parseJson(deep(50))).toBeDefined()
  })

  test('what is no JSON is a SyntaxError, as ever', () => {
    for (const text of ['', '{"a":1,}', '{"a"', '"']) expect(() => parseJson(text)).toThrow(SyntaxError)
  })
})
