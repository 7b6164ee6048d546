/** Each format, its known defects, and what is the same whichever way it came. */
import { describe, expect, test } from 'vitest'
import { readCsaf } from '../../src/advisory/csaf.ts'
import { readCvrf } from '../../src/advisory/cvrf.ts'
import { readOpenVex } from '../../src/advisory/openvex.ts'
import { readOsv } from '../../src/advisory/osv.ts'
import { advisoryId, type OpenEulerRecord, type Reading, streamOf } from '../../src/advisory/record.ts'
import { decodeSnapshot, encodeSnapshot, type Snapshot } from '../../src/advisory/snapshot.ts'
import { readDocument } from '../../src/advisory/source.ts'
import { documentText } from '../../src/advisory/text.ts'
import { csaf, cvrf, go, openVex, osv } from './documents.ts'

const text = (said: string) => documentText(Buffer.from(said))
const recordOf = (reading: Reading): OpenEulerRecord => {
  if (!('record' in reading) || reading.record.kind !== 'openeuler') throw new Error(JSON.stringify(reading))
  return reading.record
}
const affected = [{ stream: '24.03-LTS-SP1', source: 'openssl', fixed: '3.0.12-10.oe2403sp1' }]

describe('one advisory of openEuler is the same', () => {
  test.each([
    ['CSAF', () => readCsaf(text(csaf()))],
    ['CVRF', () => readCvrf(text(cvrf()))],
    ['OSV', () => readOsv(text(osv()))],
  ])('in %s', (_, read) => {
    const record = recordOf(read())
    expect(record).toMatchObject({ id: 'openEuler-SA-2026-1001', severity: 'high', affected })
    expect(Object.keys(record.cves)).toEqual(['CVE-2026-10001'])
    expect(record.published.slice(0, 10)).toBe('2026-10-01')
  })

  test('once in a snapshot, with what any of them says, whatever their order', () => {
    const records = [readCsaf(text(csaf())), readCvrf(text(cvrf({ severity: 'Critical' }))), readOsv(text(osv()))].map(recordOf)
    const source = { kind: 'openeuler-csaf', from: 'a folder', documents: 3, defects: {} } as const
    const of = (some: readonly OpenEulerRecord[]): Snapshot => ({
      schema: 'rfo-build.advisories/1',
      taken: '2026-11-01T00:00:00Z',
      sources: [source],
      records: some,
      vex: [],
    })
    const made = encodeSnapshot(of(records))
    expect(encodeSnapshot(of(records.toReversed())).digest).toBe(made.digest)
    const read = decodeSnapshot(made.bytes, 'here')
    expect(read.digest).toBe(made.digest)
    expect(read.records).toMatchObject([
      { id: 'openEuler-SA-2026-1001', severity: 'critical', cves: { 'CVE-2026-10001': 'critical' }, affected },
    ])
  })
})

describe('known oddities of openEuler’s documents', () => {
  test.each([
    ['openEuler:24.03-LTS-SP1', '24.03-LTS-SP1'],
    ['cpe:/a:openEuler:openEuler:22.03-LTS', '22.03-LTS'],
    ['cpe:/a:openEuler:openEuler-22.03-LTS', '22.03-LTS'],
    ['openEuler-22.03-LTS', '22.03-LTS'],
    ['cpe:/a:openeuler:openeuler:20.03-LTS-LTS-SP4', '20.03-LTS-SP4'],
    ['cpe:/a:openEuler:openEuler:20.03-lts-sp1', '20.03-LTS-SP1'],
    ['openEuler:24.03', undefined],
    ['cpe:/a:openEuler:openEuler', undefined],
  ])('%s is the stream %s', (said, stream) => {
    expect(streamOf(said)).toBe(stream)
  })

  test('a CPE with a dash where others have a colon', () => {
    const record = recordOf(readCvrf(text(cvrf({ cpe: 'openEuler-22.03-LTS', stream: '22.03-LTS', fixed: '1.1.1m-2.oe2203' }))))
    expect(record.affected).toEqual([{ stream: '22.03-LTS', source: 'openssl', fixed: '1.1.1m-2.oe2203' }])
  })

  test('one identifier in any case and of both databases', () => {
    for (const id of ['openEuler-SA-2024-1234', 'openeuler-sa-2024-1234', 'OESA-2024-1234'])
      expect(advisoryId(id)).toBe('openEuler-SA-2024-1234')
    expect(advisoryId('CVE-2024-1234')).toBeUndefined()
  })

  test('bytes that are no UTF-8 are replaced and counted', () => {
    const bytes = Buffer.concat([Buffer.from(csaf().replace('An update', 'XX update').split('XX')[0] ?? ''), Buffer.from([0xff, 0xfe])])
    const rest = Buffer.from(csaf().split('An update')[1] ?? '')
    const found = readDocument(Buffer.concat([bytes, rest]), 'openeuler-csaf')
    expect(found?.reading).toMatchObject({ badUtf8: true, record: { id: 'openEuler-SA-2026-1001', affected } })
  })

  test('empty, broken and strange documents are defects and nothing worse', () => {
    const reading = (said: string, kind: Parameters<typeof readDocument>[1]) => readDocument(Buffer.from(said), kind)?.reading
    expect(reading('', 'openeuler-csaf')).toEqual({ defect: 'empty' })
    expect(reading(' \n', 'openeuler-cvrf')).toEqual({ defect: 'empty' })
    expect(reading(csaf().slice(0, -9), 'openeuler-csaf')).toEqual({ defect: 'broken' })
    expect(reading(cvrf().slice(0, 500), 'openeuler-cvrf')).toEqual({ defect: 'broken' })
    expect(reading('<html><body>404</body></html>', 'openeuler-cvrf')).toEqual({ defect: 'unknown-form' })
    expect(reading('{"document":{}}', 'openeuler-csaf')).toEqual({ defect: 'unknown-form' })
    expect(reading('[]', 'go')).toEqual({ defect: 'unknown-form' })
    expect(reading(go({ withdrawn: '2026-10-03T00:00:00Z' }), 'go')).toEqual({ nothing: 'withdrawn' })
  })

  test('a document of a CVE in the VEX profile is whole and no advisory; an advisory is one whatever its profile', () => {
    const of = (category: string, id: string): Reading =>
      readCsaf(text(csaf().replace('csaf_security_advisory', category).replace('openEuler-SA-2026-1001', id)))
    expect(of('csaf_vex', 'CVE-2026-10001')).toEqual({ nothing: 'csaf-vex' })
    expect(of('csaf_vex', 'vendor-1')).toEqual({ nothing: 'csaf-vex' })
    expect(of('csaf_security_advisory', 'CVE-2026-10001')).toEqual({ nothing: 'csaf-vex' })
    expect(of('csaf_security_advisory', 'vendor-1')).toEqual({ defect: 'unknown-form' })
    expect(recordOf(of('csaf_vex', 'openEuler-SA-2026-1001')).affected).toEqual(affected)
  })

  test('a document type is refused: an entity could stand for a gigabyte', () => {
    const bomb = cvrf().replace('<cvrfdoc', '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><cvrfdoc')
    expect(readCvrf(text(bomb))).toEqual({ defect: 'broken' })
  })

  test('branches within branches without an end are not followed', () => {
    const deep = '{"branches":['.repeat(5000) + ']}'.repeat(5000)
    const document = `{"document":{"tracking":{"id":"openEuler-SA-2026-1001"}},"product_tree":${deep}}`
    expect(recordOf(readCsaf(text(document))).affected).toEqual([])
  })
})

describe('Go’s database', () => {
  const ranges = (events: readonly object[]) => {
    const reading = readOsv(text(go({ events })))
    return 'record' in reading && reading.record.kind === 'go' ? reading.record.affected[0]?.ranges : undefined
  }
  test('events become ranges', () => {
    expect(ranges([{ introduced: '0' }, { fixed: '1.0.0' }, { introduced: '1.1.0' }, { fixed: '1.1.2' }])).toEqual([
      { introduced: '0', fixed: '1.0.0' },
      { introduced: '1.1.0', fixed: '1.1.2' },
    ])
    expect(ranges([{ introduced: '1.0.0' }])).toEqual([{ introduced: '1.0.0' }])
    expect(ranges([])).toEqual([{ introduced: '0' }])
  })
})

describe('OpenVEX', () => {
  const statement = { vulnerability: { name: 'CVE-2026-1' }, products: [{ '@id': 'pkg:oci/x' }], status: 'not_affected' }
  test('not_affected needs a reason', () => {
    expect(() => readOpenVex(openVex([statement]), 'x.json')).toThrow(/needs a justification/)
    expect(readOpenVex(openVex([{ ...statement, justification: 'component_not_present' }]), 'x.json')).toMatchObject([
      { id: 'https://rfo.example/vex/1#1', author: 'security@rfo.example', timestamp: '2026-10-05T00:00:00Z', status: 'not_affected' },
    ])
  })
  test.each([
    ['an unknown status', openVex([{ ...statement, status: 'fine' }])],
    ['an unknown justification', openVex([{ ...statement, justification: 'because' }])],
    ['another context', openVex([], { '@context': 'https://example.com' })],
    ['no author', openVex([], { author: undefined })],
    ['two equal names', '{"@context":"https://openvex.dev/ns","@context":"https://openvex.dev/ns"}'],
    ['no JSON', '{'],
  ])('%s is refused', (_, said) => {
    expect(() => readOpenVex(said, 'x.json')).toThrow(expect.objectContaining({ code: 'RFO_ADVISORY_VEX', exit: 'usage' }))
  })
})

test('a snapshot that is none, or is changed, is refused', () => {
  const source = { kind: 'go', from: 'x', documents: 0, defects: {} } as const
  const { bytes } = encodeSnapshot({
    schema: 'rfo-build.advisories/1',
    taken: '2026-11-01T00:00:00Z',
    sources: [source],
    records: [],
    vex: [],
  })
  expect(decodeSnapshot(bytes, 'x').records).toEqual([])
  for (let at = 0; at < bytes.length; at += 1) {
    const changed = Buffer.from(bytes)
    changed[at] = (changed[at] ?? 0) ^ 0x10
    // the frame carries a checksum of its content; what is in its header changes nothing that is said
    try {
      expect(decodeSnapshot(changed, 'x').records).toEqual([])
    } catch (thrown) {
      expect(thrown).toMatchObject({ code: 'RFO_ADVISORY_SNAPSHOT', exit: 'untrusted' })
    }
  }
  expect(() => decodeSnapshot(Buffer.from('{}'), 'x')).toThrow(expect.objectContaining({ code: 'RFO_ADVISORY_SNAPSHOT' }))
})
