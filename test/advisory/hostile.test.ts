/**
 * Seeded changes of documents of each format, and of snapshots: a right answer, a defect or a typed error; never a hang, never
 * anything else thrown. RFO_MUTATIONS is how many of each.
 */
import { describe, expect, test } from 'vitest'
import { readOpenVex } from '../../src/advisory/openvex.ts'
import { decodeSnapshot, encodeSnapshot, type SourceKind } from '../../src/advisory/snapshot.ts'
import { readDocument } from '../../src/advisory/source.ts'
import { RfoError } from '../../src/error.ts'
import { csaf, cvrf, go, openVex, osv } from './documents.ts'

const count = Number(process.env.RFO_MUTATIONS ?? 400)

/** https://en.wikipedia.org/wiki/Xorshift : the same on every machine */
function random(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state % below
  }
}

const pieces = [
  '{',
  '}',
  '[',
  ']',
  '"',
  ':',
  ',',
  '<',
  '>',
  '&',
  '\\u0000',
  '9e999',
  '-1',
  'null',
  '"__proto__":1,',
  '\u0000',
  '<!DOCTYPE',
  ']]>',
  '𝟙',
]

function mutated(bytes: Buffer, next: (below: number) => number): Buffer {
  let changed = Buffer.from(bytes)
  for (let left = 1 + next(4); left > 0; left -= 1) {
    const at = next(changed.length + 1)
    const span = next(40)
    const [before, after] = [changed.subarray(0, at), changed.subarray(at)]
    switch (next(6)) {
      case 0:
        changed = Buffer.from(before)
        break
      case 1:
        changed = Buffer.concat([before, after.subarray(Math.min(span, after.length))])
        break
      case 2:
        changed = Buffer.concat([before, Buffer.from(pieces[next(pieces.length)] ?? ''), after])
        break
      case 3:
        changed = Buffer.concat([before, after.subarray(0, span), after])
        break
      case 4:
        if (at < changed.length) changed[at] = next(256)
        break
      default:
        changed = Buffer.concat([
          before,
          before.subarray(Math.max(0, at - span)),
          Buffer.alloc(next(200), pieces[next(pieces.length)] ?? ' '),
          after,
        ])
    }
  }
  return changed
}

const vex = openVex([{ vulnerability: { name: 'CVE-2026-1' }, products: [{ '@id': 'pkg:oci/x' }], status: 'fixed' }])
const documents: readonly (readonly [SourceKind, string])[] = [
  ['openeuler-csaf', csaf()],
  ['openeuler-cvrf', cvrf()],
  ['openeuler-osv', osv()],
  ['go', go()],
  ['openvex', vex],
]

describe(`${count} changes`, () => {
  test.each(documents)('of %s', (kind, text) => {
    const next = random(20261128)
    let whole = 0
    for (let n = 0; n < count; n += 1) {
      const bytes = mutated(Buffer.from(text), next)
      const begun = performance.now()
      const found = readDocument(bytes, n % 2 === 0 ? kind : 'any')
      expect(performance.now() - begun).toBeLessThan(5000)
      if (found !== undefined && 'record' in found.reading) {
        whole += 1
        // what was accepted can be written and read: nothing strange got into it
        const source = { kind, from: 'x', documents: 1, defects: {} }
        const made = encodeSnapshot({
          schema: 'rfo-build.advisories/1',
          taken: '2026-11-28T00:00:00Z',
          sources: [source],
          records: [found.reading.record],
          vex: [],
        })
        expect(decodeSnapshot(made.bytes, 'x').records.length).toBe(1)
      }
    }
    if (kind !== 'openvex') expect(whole).toBeGreaterThan(0)
    expect(Object.prototype).not.toHaveProperty('1')
  })

  test('of an OpenVEX document that is ours', () => {
    const next = random(1)
    for (let n = 0; n < count; n += 1) {
      try {
        readOpenVex(mutated(Buffer.from(vex), next).toString('utf8'), 'x')
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(RfoError)
      }
    }
  })

  test('of a snapshot', () => {
    const next = random(2)
    const source = { kind: 'go', from: 'x', documents: 1, defects: {} } as const
    const { bytes } = encodeSnapshot({
      schema: 'rfo-build.advisories/1',
      taken: '2026-11-28T00:00:00Z',
      sources: [source],
      records: [],
      vex: [],
    })
    for (let n = 0; n < count; n += 1) {
      try {
        decodeSnapshot(mutated(bytes, next), 'x')
      } catch (thrown) {
        expect(thrown).toMatchObject({ code: 'RFO_ADVISORY_SNAPSHOT' })
      }
    }
  })
})
