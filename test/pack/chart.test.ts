/** Charts repacked: what changes, what stays, always the same bytes; hostile archives end in an answer. */
import { gunzipSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RfoError } from '../../src/error.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { repackChart } from '../../src/pack/chart.ts'
import { readChartArchive, writeChartArchive } from '../../src/pack/chart-archive.ts'
import { chartArtifact } from '../../src/pack/chart-artifact.ts'
import { chartReference } from '../../src/pack/chart-provenance.ts'
import { chartYaml, demo, demoWith, request, tarOf, tgzOf, valuesYaml } from './chart-files.ts'

const packed = await repackChart(request(await tgzOf(demo)))
const inside = await readChartArchive(packed.tgz, 'demo')
const file = (path: string): string => inside.get(path)?.toString() ?? ''

/** The code of what a promise is refused with; anything but RfoError is thrown on. */
async function refusal(repacked: Promise<unknown>): Promise<string> {
  try {
    await repacked
  } catch (thrown) {
    if (thrown instanceof RfoError) return `${thrown.code} ${thrown.message}`
    throw thrown
  }
  return 'taken'
}

describe('what changes', () => {
  test('Chart.yaml: two settings more, and nothing else', () => {
    expect(file('Chart.yaml')).toBe(`${chartYaml}kubeVersion: ">= v1.24.8"\nannotations:\n  fleet.cattle.io/bundle-id: rfo\n`)
    expect(packed.chart).toMatchObject({ name: 'demo', appVersion: '1.10', annotations: { 'fleet.cattle.io/bundle-id': 'rfo' } })
  })

  test('annotations and a kubeVersion that are there already', async () => {
    const with_ = `annotations:\n  a: "1"\n${chartYaml}kubeVersion: ">= 1.18"\n`
    const { tgz } = await repackChart(request(await tgzOf(demoWith({ name: 'demo/Chart.yaml', body: with_ }))))
    const text = (await readChartArchive(tgz, 'demo')).get('Chart.yaml')?.toString()
    expect(text).toBe(`annotations:\n  a: "1"\n  fleet.cattle.io/bundle-id: rfo\n${chartYaml}kubeVersion: ">= v1.24.8"\n`)
  })

  test('values.yaml: repositories and tags of rebuilt images; comments, keys and longer names stay', () => {
    expect(file('values.yaml')).toBe(
      valuesYaml
        .replace('repository: rancher/hardened-dns #', 'repository: rfolabs/hardened-dns #')
        .replace("'rancher/hardened-scaler'", "'rfolabs/hardened-scaler'")
        .replace('"rancher/hardened-cache"', '"rfolabs/hardened-cache"')
        .replace('v1.9.3-build20221011', 'v1.9.3-build20261123')
        .replace('tag: 1.30', 'tag: 1.3-build20261123'),
    )
  })

  test('a tag moves only beside its repository, and only from what the list has', async () => {
    const values = [
      'whole: rancher/hardened-dns:v1.9.3-build20221011',
      'other: docker.io/rancher/hardened-dns:v1.8.0-build20210101',
      "version: {image: rancher/hardened-dns, version: 'v1.9.3-build20221011'}",
      'older: {repository: rancher/hardened-dns, tag: v1.8.0-build20210101}',
      'twice: {repository: rancher/hardened-dns, image: rancher/hardened-dns, tag: v1.9.3-build20221011}',
      'theirs: {repository: rancher/else, tag: v1.9.3-build20221011}',
      'alone: v1.9.3-build20221011',
      '',
    ].join('\n')
    const { tgz } = await repackChart(request(await tgzOf(demoWith({ name: 'demo/values.yaml', body: values }))))
    expect((await readChartArchive(tgz, 'demo')).get('values.yaml')?.toString().split('\n')).toEqual([
      'whole: rfolabs/hardened-dns:v1.9.3-build20261123',
      'other: docker.io/rfolabs/hardened-dns:v1.8.0-build20210101',
      "version: {image: rfolabs/hardened-dns, version: 'v1.9.3-build20261123'}",
      'older: {repository: rfolabs/hardened-dns, tag: v1.8.0-build20210101}',
      'twice: {repository: rfolabs/hardened-dns, image: rfolabs/hardened-dns, tag: v1.9.3-build20261123}',
      'theirs: {repository: rancher/else, tag: v1.9.3-build20221011}',
      'alone: v1.9.3-build20221011',
      '',
    ])
  })

  test('all other files are the same bytes', () => {
    for (const { name, body } of demo) {
      const path = name.slice('demo/'.length)
      if (path !== 'Chart.yaml' && path !== 'values.yaml') expect(file(path)).toBe(body)
    }
    expect(inside.size).toBe(demo.length)
  })

  test('values of charts inside it, byte order marks, whole references', async () => {
    const sub = [
      { name: 'demo/charts/sub/Chart.yaml', body: 'apiVersion: v1\nname: sub\nversion: 1.0.0\n' },
      {
        name: 'demo/charts/sub/values.yaml',
        body: '\u{feff}image: docker.io/rancher/hardened-dns:v1\nblock: |-\n  rancher/hardened-dns\n',
      },
    ]
    const { tgz } = await repackChart(request(await tgzOf([...demo, ...sub])))
    const text = (await readChartArchive(tgz, 'demo')).get('charts/sub/values.yaml')?.toString()
    expect(text).toBe('\u{feff}image: docker.io/rfolabs/hardened-dns:v1\nblock: |-\n  rancher/hardened-dns\n')
  })
})

test('the artifact’s config is Chart.yaml as helm’s JSON has it: texts as they are spelt, truth values, nothing empty', async () => {
  const yaml =
    'apiVersion: v2\nname: demo\nversion: 1.10.0\nappVersion: 1.10\ndeprecated: true\nicon:\nkeywords: [a, 2]\nannotations: {on: yes}\n'
  const tgz = writeChartArchive('demo', new Map([['Chart.yaml', Buffer.from(yaml)]]), 0)
  const { blobs, descriptor, text } = await chartArtifact(tgz, 'demo', '1.10.0')
  expect(JSON.parse(blobs[0]?.bytes.toString('utf8') ?? '')).toEqual({
    apiVersion: 'v2',
    name: 'demo',
    version: '1.10.0',
    appVersion: '1.10',
    deprecated: true,
    keywords: ['a', '2'],
    annotations: { on: 'yes' },
  })
  expect(JSON.parse(text).layers.map(({ digest }: { digest: string }) => digest)).toEqual([digestOf(tgz)])
  expect(digestOf(text)).toBe(descriptor.digest)
  expect(chartReference('charts/rke2-demo-1.2.3+up4.tgz')).toEqual({
    name: 'rke2-demo',
    version: '1.2.3+up4',
    reference: 'charts/rke2-demo:1.2.3_up4',
  })
})

describe('always the same bytes', () => {
  test('whatever order, times, owners and folders upstream gave', async () => {
    const shuffled = [{ name: 'demo/', header: { type: 'directory' as const } }, ...demo.toReversed()].map((entry) => ({
      ...entry,
      header: { mtime: new Date(5e11), uid: 7, gname: 'x', mode: 0o600, ...('header' in entry ? entry.header : {}) },
    }))
    expect((await repackChart(request(await tgzOf(shuffled)))).tgz.equals(packed.tgz)).toBe(true)
  })

  test('golden: the tar, and the head of its gzip', () => {
    expect(digestOf(gunzipSync(packed.tgz))).toMatchInlineSnapshot(
      `"sha256:fc1d05b349efc06551983d2921136701a0015c7c526bfd686c2236f3c8fdc758"`,
    )
    expect(packed.tgz.subarray(0, 10).toString('hex')).toBe('1f8b08000000000002ff')
  })

  test('what was repacked can be repacked', async () => {
    expect((await repackChart(request(packed.tgz))).tgz.equals(packed.tgz)).toBe(true)
  })

  test('long paths come back', async () => {
    const files = new Map([`${'d/'.repeat(120)}é.yaml`, 'a'.repeat(150)].map((path) => [path, Buffer.from(path)]))
    expect([...(await readChartArchive(writeChartArchive('demo', files, 1), 'demo'))].sort()).toEqual([...files].sort())
  })
})

describe('hostile archives', () => {
  const entry = (name: string, header: object = {}, body = 'x') => demoWith({ name, body, header })
  test.each([
    ['a path that leaves', entry('demo/../evil')],
    ['an absolute path', entry('/demo/evil')],
    ['a backslash', entry('demo/..\\evil')],
    ['an empty name in the middle', entry('demo//evil')],
    ['a second top folder', entry('other/evil')],
    ['a file for a folder', entry('demo')],
    ['a symbolic link', entry('demo/link', { type: 'symlink', linkname: '/etc/passwd' }, '')],
    ['a hard link', entry('demo/link', { type: 'link', linkname: 'demo/values.yaml' }, '')],
    ['a device', entry('demo/null', { type: 'character-device' }, '')],
    ['a file that comes twice', [...demo, { name: 'demo/values.yaml', body: 'a: b' }]],
    ['a file below a file', entry('demo/values.yaml/evil')],
    ['another name', demoWith({ name: 'demo/Chart.yaml', body: chartYaml.replace('name: demo', 'name: dome') })],
    ['another version', demoWith({ name: 'demo/Chart.yaml', body: chartYaml.replace('401', '402') })],
    ['no Chart.yaml', demo.filter(({ name }) => name !== 'demo/Chart.yaml')],
    ['a Chart.yaml with a key twice', demoWith({ name: 'demo/Chart.yaml', body: `${chartYaml}name: demo\n` })],
    ['a Chart.yaml that is a list', demoWith({ name: 'demo/Chart.yaml', body: '- a\n' })],
    ['values that are no YAML', demoWith({ name: 'demo/values.yaml', body: 'a: [' })],
    ['values nested without end', demoWith({ name: 'demo/values.yaml', body: `a: ${'['.repeat(20_000)}` })],
    [
      'values that grow',
      demoWith({
        name: 'demo/values.yaml',
        body: `a: &a [${'x,'.repeat(50)}]\n${[...'bcdefg'].map((key, at) => `${key}: &${key} [${`*${'abcdef'[at]},`.repeat(50)}]`).join('\n')}\n`,
      }),
    ],
    ['a packed chart inside', entry('demo/charts/sub.tgz')],
    [
      "upstream's digest of a rebuilt image",
      demoWith({
        name: 'demo/values.yaml',
        body: `image: {repository: rancher/hardened-dns, tag: v1, digest: 'sha256:${'b'.repeat(64)}'}\n`,
      }),
    ],
    ['too many entries', Array.from({ length: 5001 }, (_, at) => ({ name: `demo/f${at}`, body: '' }))],
  ])('%s', async (_what, entries) => {
    expect(await refusal(repackChart(request(await tgzOf(entries))))).toMatch(/^RFO_PACK_CHART /)
  })

  test('a bomb, a cut, no gzip, no tar', async () => {
    const tar = await tarOf(demo)
    const tgz = await tgzOf(demo)
    for (const bytes of [
      gzipSync(Buffer.alloc(64 << 20)),
      tgz.subarray(0, tgz.length - 20),
      gzipSync(tar.subarray(0, 700)),
      tar,
      Buffer.alloc(0),
      gzipSync('no tar'),
    ])
      expect(await refusal(repackChart(request(bytes)))).toMatch(/^RFO_PACK_CHART /)
  })

  test('a version of Kubernetes that is none', async () => {
    expect(await refusal(repackChart(request(packed.tgz, { kubernetes: 'v1.24.8' })))).toMatch(/^RFO_PACK_KUBERNETES /)
  })

  test('bytes changed at random: an answer, and what is taken is still one folder of plain files', async () => {
    const tar = await tarOf(demo)
    const change = fc.tuple(fc.nat(tar.length - 1), fc.integer({ min: 0, max: 255 }))
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 6 }), async (changes) => {
        const bytes = Buffer.from(tar)
        for (const [at, value] of changes) bytes[at] = value
        const answer = await repackChart(request(gzipSync(bytes, { level: 1 }))).catch((thrown: unknown) => thrown)
        if (answer instanceof Error) expect(answer).toMatchObject({ code: 'RFO_PACK_CHART' })
        else
          for (const path of (await readChartArchive((answer as { readonly tgz: Buffer }).tgz, 'demo')).keys())
            expect(path).not.toMatch(/(^|\/)\.\.?(\/|$)|^\//)
      }),
      { numRuns: 150, seed: 4 },
    )
  })

  test('headers changed at random, with a right checksum', async () => {
    const tar = await tarOf(demo)
    const change = fc.tuple(fc.nat(511), fc.integer({ min: 0, max: 255 }))
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 3 }), async (changes) => {
        const bytes = Buffer.from(tar)
        for (const [at, value] of changes) bytes[at] = value
        bytes.fill(' ', 148, 156)
        bytes.write(
          `${bytes
            .subarray(0, 512)
            .reduce((sum, byte) => sum + byte, 0)
            .toString(8)
            .padStart(6, '0')}\0 `,
          148,
          'latin1',
        )
        const answer = await repackChart(request(gzipSync(bytes, { level: 1 }))).catch((thrown: unknown) => thrown)
        if (answer instanceof Error) expect(answer).toMatchObject({ code: 'RFO_PACK_CHART' })
      }),
      { numRuns: 200, seed: 4 },
    )
  })
})
