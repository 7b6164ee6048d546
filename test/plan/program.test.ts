/** The release's own program in the plan: what its constants become, and what can't be planned. */
import { describe, expect, test } from 'vitest'
import { type Bundle, BundleText, bundleOf, parseBundle } from '../../src/plan/bundle.ts'
import { pinFingerprint } from '../../src/plan/fingerprint.ts'
import { lintPipelines } from '../../src/plan/lint.ts'
import type { Lock } from '../../src/plan/lock.ts'
import { emptyLock } from '../../src/plan/lock-text.ts'
import { type PlanInput, planRelease } from '../../src/plan/plan-release.ts'
import type { ImagePlan } from '../../src/plan/release-plan.ts'
import { parseUpstreamVersion } from '../../src/plan/version.ts'
import { parseYaml } from '../../src/plan/yaml.ts'
import { beside, componentFiles, fileText, inputFor, libraryFiles, ownLock, releases } from './project.ts'

const file = fileText('pipelines/rfo.yaml')
const runtime = (input: PlanInput): ImagePlan & Required<Pick<ImagePlan, 'program'>> => {
  const image = planRelease(input).images.find((each) => each.component === 'rke2-runtime')
  if (image?.program === undefined) throw new Error('no program')
  return { ...image, program: image.program }
}

describe.each(releases)('$version', ({ version, upstream }) => {
  test('every image that the program names is one of the release, of the registry that it names', () => {
    const plan = planRelease(inputFor(version, emptyLock))
    const { program } = runtime(inputFor(version, emptyLock))
    const constants = program.build.ldflags.filter((flag) => flag.startsWith('-X'))
    expect(constants.length).toBe(version.startsWith('v1.34') ? 11 : 10)
    expect(constants).toContain('-X github.com/k3s-io/k3s/pkg/version.Program=rfo')
    expect(constants).toContain(`-X github.com/k3s-io/k3s/pkg/version.Version=${version}`)
    for (const flag of constants.filter((each) => each.includes('Image=')))
      expect(plan.images.map((image) => image.reference)).toContain(`docker.io/${flag.slice(flag.indexOf('=') + 1)}`)
  })

  test('the commit is the pin’s, and stays open without one', () => {
    const input = inputFor(version, emptyLock)
    expect(runtime(input).program.smoke.expect).toBe(`rfo version ${version} ({commit})`)
    const commit = 'c'.repeat(40)
    const pin = { kind: 'git' as const, url: 'https://github.com/rancher/rke2', tag: upstream, commit }
    const release = ownLock().releases[version]
    if (release === undefined) throw new Error('not locked')
    const components = { ...release.components, 'rke2-runtime': { fingerprint: pinFingerprint(runtime(input)), pin } }
    const lock: Lock = { ...emptyLock, releases: { [version]: { ...release, components } } }
    const { program } = runtime({ ...input, lock })
    expect(program.smoke.expect).toBe(`rfo version ${version} (${commit})`)
    expect(program.build.ldflags).toContain(`-X github.com/k3s-io/k3s/pkg/version.GitCommit=${commit}`)
  })
})

test('another toolchain of the program makes the pin of its source stale; another constant does not', () => {
  const input = inputFor('v1.25.4+rfor1', emptyLock)
  const change = (build: Partial<Bundle['build']>) =>
    pinFingerprint(runtime({ ...input, bundle: { ...input.bundle, build: { ...input.bundle.build, ...build } } }))
  const own = pinFingerprint(runtime(input))
  expect(change({ toolchain: 'go1.22.12' })).not.toBe(own)
  expect(change({ ldflags: ['-s'] })).toBe(own)
})

test.each([
  ['v1.23.14', false, 3],
  ['v1.23.17', true, 3],
  ['v1.24.12', true, 3],
  ['v1.25.4', false, 4],
  ['v1.25.8', true, 4],
  ['v1.26.3', true, 4],
  ['v1.34.10', true, 4],
])('%s has its variant', (version, external, sources) => {
  const bundle = parseBundle(file, parseUpstreamVersion(`${version}+rke2r1`))
  expect(bundle.build.tags.includes('no_cri_dockerd')).toBe(external)
  expect(bundle.sources.length).toBe(sources)
  expect(bundle.build).toMatchObject({ toolchain: version === 'v1.34.10' ? 'go1.25.12' : 'go1.21.13', cgo: ['amd64', 'arm64', 'riscv64'] })
})

describe('refused', () => {
  const planned = (change: (text: string) => string) => () => {
    const bundle = bundleOf(parseYaml(BundleText, change(file.text), file.file), parseUpstreamVersion('v1.25.4+rke2r1'), file.file)
    return planRelease({ ...inputFor('v1.25.4+rfor1', emptyLock), bundle })
  }

  test.each([
    ['{image:hardened-etcd}', '{image:hardened-moon}', 'RFO_PLAN_BUNDLE', 'no image hardened-moon in this release'],
    ['{registry}', '{registri}', 'RFO_PLAN_TEMPLATE', 'no such placeholder: {registri}'],
    ['{registry}', '{image}', 'RFO_PLAN_TEMPLATE', 'no such placeholder: {image}'],
    ['{rfo}', '{rfo:x}', 'RFO_PLAN_TEMPLATE', 'no such placeholder: {rfo:x}'],
    ['sourceOf: rke2-runtime', 'sourceOf: pause', 'RFO_PLAN_BUNDLE', 'pause has no git source'],
  ])('%s → %s', (from, to, code, message) => {
    expect(planned((text) => text.replace(from, to))).toThrow(expect.objectContaining({ code, message, where: 'pipelines/rfo.yaml' }))
  })

  test.each([
    ['output: /bin/rfo', 'output: /bin/rke2', 'the build makes something else than /bin/rfo'],
    ['argv: [/bin/rfo', 'argv: [/bin/sh', 'the smoke test runs something else than /bin/rfo'],
  ])('%s → %s, with its place by lint', (from, to, message) => {
    const text = file.text.replace(from, to)
    expect(() => parseBundle({ ...file, text }, parseUpstreamVersion('v1.25.4+rke2r1'))).toThrow(expect.objectContaining({ message }))
    const line = text.slice(0, text.indexOf(to)).split('\n').length
    const found = lintPipelines({
      release: fileText('pipelines/release.yaml'),
      bundle: { ...file, text },
      components: componentFiles,
      beside,
      libraries: libraryFiles,
      upstreams: [],
    })
    expect(found.filter((each) => each.message === message && Math.abs((each.line ?? 0) - line) <= 1)).not.toEqual([])
  })

  test('a misspelt placeholder of a variant has its place', () => {
    const text = file.text.replace('{image:klipper-lb}', '{img:klipper-lb}')
    const found = lintPipelines({
      release: fileText('pipelines/release.yaml'),
      bundle: { ...file, text },
      components: componentFiles,
      beside,
      libraries: libraryFiles,
      upstreams: [fileText('pipelines/upstream/v1.25.4+rke2r1.yaml')],
    })
    const line = text.split('\n').findIndex((each) => each.includes('{img:')) + 1
    expect(found).toEqual([expect.objectContaining({ file: file.file, line, code: 'RFO_PLAN_TEMPLATE' })])
  })
})
