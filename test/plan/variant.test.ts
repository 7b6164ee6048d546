/** One pipeline file, many versions of RKE2: which part holds for which. */
import { describe, expect, test } from 'vitest'
import { ComponentText } from '../../src/plan/component.ts'
import { variantOf, variantsOf } from '../../src/plan/variant.ts'
import { parseUpstreamVersion } from '../../src/plan/version.ts'
import { thrownBy } from './project.ts'

const text = ComponentText.parse({
  name: 'x',
  upstream: 'rancher/x',
  action: 'rebuild',
  source: { kind: 'git', url: 'https://example.test/x' },
  build: { kind: 'recipe', outputs: ['/x'], reason: 'a test' },
  packages: ['which'],
  when: [
    { versions: '>=1.25.0 <1.26.0', packages: [] },
    { versions: '>=1.26.0', source: { kind: 'go-module', module: 'example.test/x' }, unsupported: { riscv64: 'a test' } },
  ],
})
const at = (version: string) => variantOf(text, parseUpstreamVersion(version), 'pipelines/x.yaml')

describe('a version', () => {
  test('that no variant fits has the file as it is', () => {
    expect(at('v1.24.8+rke2r1')).toMatchObject({ source: { kind: 'git' }, packages: ['which'], unsupported: {} })
    expect(at('v1.24.8+rke2r1')).not.toHaveProperty('when')
  })

  test('that one fits has its members in place of the file’s, whole, and the file’s others', () => {
    expect(at('v1.25.4+rke2r1')).toMatchObject({ source: { kind: 'git' }, packages: [] })
    expect(at('v1.34.10+rke2r1')).toMatchObject({
      source: { kind: 'go-module', module: 'example.test/x' },
      packages: ['which'],
      unsupported: { riscv64: 'a test' },
    })
  })

  test('that is a candidate is within the range of its release', () => {
    expect(at('v1.25.4-rc2+rke2r1').packages).toEqual([])
  })

  test('that two fit is refused, with the file', () => {
    const twice = { ...text, when: [...text.when, { versions: '>=1.25.3', packages: [] }] }
    expect(thrownBy(() => variantOf(twice, parseUpstreamVersion('v1.25.4+rke2r1'), 'pipelines/x.yaml'))).toMatchObject({
      code: 'RFO_PLAN_PIPELINE',
      where: 'pipelines/x.yaml',
    })
  })
})

describe('a part of a source or build', () => {
  const go = {
    kind: 'go',
    toolchain: 'go1.21.13',
    commands: [{ package: '.', output: '/x' }],
    tags: ['netgo'],
  }
  const edit = { dropReplace: ['example.test/a'], localReplaces: '{staging}' }
  const parse = (variant: object) =>
    ComponentText.safeParse({
      name: 'x',
      upstream: 'rancher/x',
      action: 'rebuild',
      source: { kind: 'go-module', module: 'example.test/x', edit },
      build: go,
      when: [{ versions: '>=1.30.0', ...variant }],
    })
  const changed = (variant: object) => variantOf(parse(variant).data!, parseUpstreamVersion('v1.34.10+rke2r1'), 'pipelines/x.yaml')

  test('replaces the members that it names, and of edit those that it names; what has a default keeps what the file says', () => {
    const { source, build } = changed({ source: { edit: { packages: ['./x'] } }, build: { toolchain: 'go1.25.12' } })
    expect(build).toMatchObject({ ...go, toolchain: 'go1.25.12', tags: ['netgo'], ldflags: [] })
    expect(source).toMatchObject({ module: 'example.test/x', version: '{version}', edit: { ...edit, packages: ['./x'], require: {} } })
    expect(changed({ build: { tags: [] } }).build).toMatchObject({ toolchain: 'go1.21.13', tags: [] })
  })

  test('with a kind it is a whole one: nothing of the file’s own is left', () => {
    expect(changed({ source: { kind: 'git', url: 'https://example.test/x' } }).source).toEqual({
      kind: 'git',
      url: 'https://example.test/x',
      tag: '{version}',
    })
    expect(changed({ build: { kind: 'recipe', outputs: ['/x'], reason: 'a test' } }).build).not.toHaveProperty('toolchain')
  })

  test('that belongs to another kind, or leaves something impossible, is refused at its place', () => {
    const paths = (variant: object) => parse(variant).error?.issues.map((issue) => issue.path.join('.'))
    expect(paths({ build: { cflags: ['-Os'] } })).toEqual(['when.0.build'])
    expect(paths({ source: { tag: 'v1' } })).toEqual(['when.0.source'])
    expect(paths({ build: { commands: [] } })).toEqual(['when.0.build'])
    expect(
      ComponentText.safeParse({
        name: 'x',
        upstream: 'rancher/x',
        action: 'mirror',
        when: [{ versions: '*', build: { toolchain: 'go1.25.12' } }],
      }).success,
    ).toBe(false)
  })

  test('another name of upstream’s, base and config are replaced as a whole', () => {
    const component = changed({ upstream: 'rancher/y', image: 'rfolabs/x', base: 'scratch', config: { cmd: ['/x'] } })
    expect(component).toMatchObject({ upstream: 'rancher/y', image: 'rfolabs/x', base: 'scratch', config: { cmd: ['/x'] } })
  })
})

test('whoever checks a file sees it in every way that it can be read', () => {
  expect(variantsOf(text).map((each) => each.source?.kind)).toEqual(['git', 'git', 'go-module'])
})

test('a range that is none is refused', () => {
  expect(ComponentText.safeParse({ ...text, when: [{ versions: 'sometimes' }] }).success).toBe(false)
})
