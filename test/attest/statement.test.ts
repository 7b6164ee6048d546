import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { dirHash, parseStatement, predicateTypes, statement, statementBytes, subjectOf } from '../../src/attest/statement.ts'
import { RfoError } from '../../src/error.ts'
import { digestOf } from '../../src/oci/digest.ts'

const good = statement([subjectOf(digestOf('x'), 'x.tar')], predicateTypes.cyclonedx, { b: 1, a: [true, null] })
const bytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))

describe('statement', () => {
  test('its bytes are canonical and read back', () => {
    expect(statementBytes(good).toString()).toBe(
      `{"_type":"https://in-toto.io/Statement/v1","predicate":{"a":[true,null],"b":1},"predicateType":"https://cyclonedx.org/bom","subject":[{"digest":{"sha256":"${digestOf('x').slice(7)}"},"name":"x.tar"}]}`,
    )
    expect(parseStatement(statementBytes(good))).toEqual(good)
  })

  test('the type that cosign still writes is read', () => {
    expect(parseStatement(bytes({ ...good, _type: 'https://in-toto.io/Statement/v0.1' }))._type).toBe('https://in-toto.io/Statement/v0.1')
  })

  test.each([
    ['another type', { ...good, _type: 'https://in-toto.io/Statement/v2' }],
    ['a member that nobody knows', { ...good, extra: 1 }],
    ['no subject', { ...good, subject: [] }],
    ['a subject without a digest', { ...good, subject: [{ name: 'x', digest: {} }] }],
    ['a digest in capitals', { ...good, subject: [{ digest: { sha256: 'A'.repeat(64) } }] }],
    ['a short digest', { ...good, subject: [{ digest: { sha256: 'ab' } }] }],
    ['a subject member that nobody knows', { ...good, subject: [{ ...good.subject[0], downloadLocation: 'x' }] }],
    ['no predicate type', { ...good, predicateType: '' }],
    ['a list', [good]],
    ['null', null],
  ])('%s is refused', (_, value) => {
    expect(() => parseStatement(bytes(value))).toThrow(RfoError)
  })

  test('bytes that are no JSON in UTF-8 are refused, with exit untrusted', () => {
    for (const wrong of [
      Buffer.from('{'),
      Buffer.from([0xff, 0xfe]),
      Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), statementBytes(good)]),
    ]) {
      expect(() => parseStatement(wrong)).toThrow(expect.objectContaining({ code: 'RFO_ATTEST_STATEMENT', exit: 'untrusted' }))
    }
  })

  test('whatever the bytes, the answer is a statement or an RfoError', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((text) => Buffer.from(text)),
        ),
        (input) => {
          try {
            parseStatement(input)
          } catch (thrown) {
            expect(thrown).toBeInstanceOf(RfoError)
          }
        },
      ),
    )
  })

  test('a Go checksum becomes the digest set of the specification’s example', () => {
    // https://github.com/in-toto/attestation/blob/main/spec/v1/digest_set.md
    expect(dirHash('h1:Khu2En+0gcYPZ2kuIihfswbzxv/mIHXgzPZ018Oty48=')).toEqual({
      dirHash: '2a1bb6127fb481c60f67692e22285fb306f3c6ffe62075e0ccf674d7c3adcb8f',
    })
    expect(() => dirHash('h1:x')).toThrow(TypeError)
  })
})
