import { expect, test } from 'vitest'
import { noticesFor, parseNotice } from '../../src/plan/notice.ts'
import { parseVersion } from '../../src/plan/version.ts'
import { advisoriesOf, mergeAdvisories } from '../../src/rpm/merge.ts'
import { updateInfo } from '../../src/rpm/updateinfo.ts'

const notice = (id: string, fixed: string, more = '') =>
  parseNotice(
    `id: ${id}\ntitle: t\nseverity: Low\ncves: [CVE-2022-1001]\ndescription: d\nfixed: [${fixed}]\n${more}`,
    `pipelines/advisories/${id}.yaml`,
  )

test('a release says what it and earlier ones of its line mended, by id', () => {
  const all = [
    notice('RFO-SA-2022-1002', 'v1.23.14+rfor2, v1.24.8+rfor1'),
    notice('RFO-SA-2022-1001', 'v1.24.7+rfor1'),
    notice('RFO-SA-2022-1003', 'v1.24.8+rfor2'),
  ]
  const ids = (version: string) => noticesFor(parseVersion(version), all).map((each) => each.notice.id)
  expect(ids('v1.24.8+rfor1')).toEqual(['RFO-SA-2022-1001', 'RFO-SA-2022-1002'])
  expect(ids('v1.23.14+rfor1')).toEqual([])
  expect(ids('v1.23.15+rfor1')).toEqual(['RFO-SA-2022-1002'])
})

test.each([
  ['another name than its file', 'id: RFO-SA-2022-1002', 'RFO_PLAN_PIPELINE'],
  ['no version', 'fixed: [v1]', 'RFO_PLAN_PIPELINE'],
  ['two of a line', 'fixed: [v1.24.7+rfor1, v1.24.8+rfor1]', 'RFO_PLAN_PIPELINE'],
  ['another severity', 'severity: Bad', 'RFO_PLAN_YAML'],
  ['no CVE', 'cves: [RFO-1]', 'RFO_PLAN_YAML'],
])('refused: %s', (_what, line, code) => {
  const good = ['id: RFO-SA-2022-1001', 'title: t', 'severity: Low', 'cves: [CVE-2022-1001]', 'description: d', 'fixed: [v1.24.8+rfor1]']
  const text = good.map((each) => (each.split(':')[0] === line.split(':')[0] ? line : each)).join('\n')
  expect(() => parseNotice(text, 'pipelines/advisories/RFO-SA-2022-1001.yaml')).toThrow(expect.objectContaining({ code, exit: 'usage' }))
})

test('advisories of two repositories are one list by id, and what is no list of them is refused', async () => {
  const list = (id: string, title: string) => {
    const notices = noticesFor(parseVersion('v1.24.8+rfor1'), [{ ...notice(id, 'v1.24.8+rfor1'), title }])
    const made = updateInfo({ notices, arch: 'x86_64', release: '1', vendor: 'a "b"', epoch: 1_669_200_000 })
    return made === undefined ? [] : [made]
  }
  const there = await advisoriesOf([...list('RFO-SA-2022-1002', 'old')])
  const [merged] = mergeAdvisories(
    new Map([...there, ...(await advisoriesOf(list('RFO-SA-2022-1003', 'x')))]),
    await advisoriesOf(list('RFO-SA-2022-1002', 'new')),
  )
  expect([...(merged?.text ?? '').matchAll(/<(?:id|title)>([^<]+)/g)].map(([, text]) => text)).toEqual([
    'RFO-SA-2022-1002',
    'new',
    'RFO-SA-2022-1003',
    'x',
  ])
  expect(merged?.text).toContain('<issued date="2022-11-23 00:00:00"/>')
  expect(mergeAdvisories(new Map(), new Map())).toEqual([])
  for (const text of [
    '<updates><update><id>a</id></update><update><id>a</id></update></updates>',
    '<updates><update></update></updates>',
    '<!DOCTYPE x><updates/>',
    '<updates><!-- <update><id>a</id></update> --></updates><',
  ])
    await expect(advisoriesOf([{ kind: 'updateinfo', text }])).rejects.toMatchObject({ code: 'RFO_RPM_METADATA', exit: 'untrusted' })
})
