import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { UpstreamRelease } from '../../src/plan/component.ts'
import { parseYaml } from '../../src/plan/yaml.ts'
import { readCharts, readList, readUpstream } from '../../src/upstream/read.ts'

const root = join(import.meta.dirname, '../..')

describe.each(['v1.23.14+rke2r1', 'v1.24.8+rke2r1', 'v1.25.4+rke2r1', 'v1.34.10+rke2r1'])('%s', (version) => {
  const folder = join(root, 'test/plan/fixtures', version)
  const file = `pipelines/upstream/${version}.yaml`
  const recorded = parseYaml(UpstreamRelease, readFileSync(join(root, file), 'utf8'), file)

  test('lists and chart lines in RKE2’s text form read to what is recorded, in its order', () => {
    const lists = Object.fromEntries(
      readdirSync(folder)
        .filter((name) => name.startsWith('images-'))
        .map((name) => [name, readFileSync(join(folder, name), 'utf8')]),
    )
    const { commit, date, how } = recorded
    const chartDigests = Object.fromEntries(recorded.charts.map((chart) => [chart.name, chart.digest ?? '']))
    const read = readUpstream({
      version,
      commit,
      date,
      how,
      lists: { ...lists, 'images.txt': 'ignored' },
      charts: readFileSync(join(folder, 'charts.txt'), 'utf8'),
      chartDigests,
      unlisted: recorded.unlisted,
    })
    expect(read).toEqual(recorded)
    expect(Object.keys(read.groups)[0]).toBe('core')
  })
})

describe('lists that are none', () => {
  const complaint = (text: string): unknown => {
    try {
      return readList(text, 'images-core.txt')
    } catch (thrown) {
      return thrown
    }
  }
  test.each([
    ['docker.io/rancher/pause:3.6\ndocker.io/rancher/pause\n', 'images-core.txt:2:1'],
    ['docker.io/rancher/pause:3.6\ndocker.io/rancher/pause:3.6\n', 'images-core.txt:2:1'],
    ['docker.io/rancher/pause:3.6\u2028docker.io/rancher/klipper-lb:v0.3.5\n', 'images-core.txt:1:1'],
    ['docker.io/rancher/../../etc/passwd:3.6\n', 'images-core.txt:1:1'],
    ['docker.io/rancher/pause:3.6\r\n', 'images-core.txt:1:1'],
    ['\n', 'images-core.txt'],
  ])('%j', (text, where) => {
    expect(complaint(text)).toMatchObject({ exit: 'usage', where })
  })

  test('a group from two files, and no core', () => {
    const texts = { version: 'v1.24.8+rke2r1', commit: '0'.repeat(40), date: '2022-11-14T14:25:00+01:00', how: 'test', charts: '' }
    const list = 'docker.io/rancher/pause:3.6\n'
    expect(() => readUpstream({ ...texts, lists: { 'images-core.txt': list, 'rke2-images-core.linux-amd64.txt': list } })).toThrow(
      'two files',
    )
    expect(() => readUpstream({ ...texts, lists: { 'images-canal.txt': list, 'rke2-images-all.linux-amd64.txt': list } })).toThrow(
      'no list of the group core',
    )
  })
})

test('chart lines: packages, removed charts, what can’t be read', () => {
  expect(
    readCharts(
      'FROM scratch\nRUN CHART_VERSION="v3.24.103" CHART_FILE=/charts/rke2-calico-crd.yaml CHART_BOOTSTRAP=true /charts/build-chart.sh\nRUN CHART_VERSION="0.0.0" CHART_FILE=/charts/old.yaml /charts/build-chart.sh\n',
      {},
    ),
  ).toEqual([
    {
      name: 'rke2-calico-crd',
      version: 'v3.24.103',
      url: 'https://rke2-charts.rancher.io/assets/rke2-calico/rke2-calico-crd-v3.24.103.tgz',
      digest: null,
    },
  ])
  const yaml = 'charts:\n  - version: 1.46.201\n    filename: /charts/rke2-coredns.yaml\n'
  expect(readCharts(yaml, {})).toEqual([
    { name: 'rke2-coredns', version: '1.46.201', url: expect.stringContaining('/rke2-coredns/rke2-coredns-1.46.201.tgz'), digest: null },
  ])
  expect(() => readCharts(yaml.replace('1.46.201', '1.46'), {})).toThrow(expect.objectContaining({ where: 'charts:2:14' }))
  expect(() => readCharts(`${yaml}    package: ../x\n`, {})).toThrow(
    expect.objectContaining({ code: 'RFO_UPSTREAM_CHART', where: 'charts:2:5' }),
  )
  expect(() => readCharts('RUN CHART_VERSION="../x" CHART_FILE=/charts/a.yaml\n', {})).toThrow(
    expect.objectContaining({ code: 'RFO_UPSTREAM_CHART', where: 'charts:1:1' }),
  )
  expect(() => readCharts('RUN CHART_VERSION="1.0.0" CHART_FILE=/charts/a.yaml\n', { a: 'sha1:x' })).toThrow(
    expect.objectContaining({ code: 'RFO_UPSTREAM_CHART' }),
  )
})
