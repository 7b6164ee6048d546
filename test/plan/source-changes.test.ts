/** Files beside the pipelines: which are named, what they say, and what of it the plan and the fingerprint hold. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { pinFingerprint } from '../../src/plan/fingerprint.ts'
import { parseOverrides } from '../../src/plan/go-overrides.ts'
import { emptyLock } from '../../src/plan/lock-text.ts'
import { planRelease } from '../../src/plan/plan-release.ts'
import type { ImagePlan } from '../../src/plan/release-plan.ts'
import { componentFiles, inputFor, beside as own, thrownBy } from './project.ts'

const { rows: recorded } = JSON.parse(readFileSync(join(import.meta.dirname, 'fixtures/components/v1.34.10.json'), 'utf8')) as {
  readonly rows: readonly { readonly image: string; readonly overrides?: readonly string[] }[]
}

describe('overrides of go.mod', () => {
  test.each(recorded.flatMap(({ image, overrides: rows = [] }) => (rows.length === 0 ? [] : [[image, rows] as const])))(
    'the rows that RKE2 v1.34.10 builds %s with are taken as they are',
    (_, rows) => {
      const { replace, ...others } = parseOverrides(`${rows.join('\n')}\n`, 'mod')
      expect(Object.entries(replace).map(([from, to]) => `-replace ${from}=${to}`)).toEqual(rows)
      expect(others).toEqual({ require: {}, dropReplace: [] })
    },
  )

  test('all forms, comments and blank lines', () => {
    const text =
      '# why\n\n-replace=a.example/x@v1.0.0=b.example/y@v1.2.3\n--require a.example/z@v0.1.0-rc.1+incompatible\r\n  -dropreplace c.example/w\n'
    expect(parseOverrides(text, 'mod')).toEqual({
      replace: { 'a.example/x@v1.0.0': 'b.example/y@v1.2.3' },
      require: { 'a.example/z': 'v0.1.0-rc.1+incompatible' },
      dropReplace: ['c.example/w'],
    })
    expect(parseOverrides('', 'mod')).toEqual({ replace: {}, require: {}, dropReplace: [] })
  })

  test.each([
    ['a folder', '-replace a.example/x=../x'],
    ['a folder with a version', '-replace a.example/x=./x@v1.0.0'],
    ['the latest', '-replace a.example/x=a.example/x@latest'],
    ['a branch', '-require a.example/x@main'],
    ['no version', '-replace a.example/x=a.example/x'],
    ['another argument', '-toolchain go1.99.0'],
    ['two in a line', '-replace a.example/x=a.example/x@v1.0.0 -replace a.example/y=a.example/y@v1.0.0'],
    ['an option as a module', '-replace -modfile=a.example/x@v1.0.0'],
    ['what is not an argument', 'golang.org/x/net v0.56.0'],
    ['the same twice', '-replace a.example/x=a.example/x@v1.0.1\n-replace a.example/x=a.example/x@v1.0.0'],
  ])('%s is refused, with its line', (_, text) => {
    const file = 'pipelines/overrides/x/mod'
    expect(thrownBy(() => parseOverrides(`# a line\n${text}\n`, file))).toMatchObject({
      code: 'RFO_PLAN_OVERRIDES',
      exit: 'usage',
      where: `${file}:${1 + text.split('\n').length}`,
    })
  })
})

describe('a component that names files', () => {
  const name = 'hardened-coredns'
  const patchFile = `pipelines/patches/${name}/0001-x.patch`
  const overridesFile = `pipelines/overrides/${name}/mod`
  const patch = 'diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-{braces}\n+{others}\n'
  const overrides = '-replace golang.org/x/net=golang.org/x/net@v0.56.0\n'
  const named = '\n  patches: [0001-x.patch]\n  edit: { overrides: mod, require: { golang.org/x/text: v0.3.8 } }'
  const planned = (setting: string, beside: Readonly<Record<string, string>>): ImagePlan => {
    const components = componentFiles.map((each) =>
      each.file === `pipelines/${name}.yaml`
        ? { ...each, text: each.text.replace(/\n {2}module: .*/, (line) => `${line}${setting}`) }
        : each,
    )
    const texts = new Map([...own, ...Object.entries(beside)])
    const plan = planRelease(inputFor('v1.25.4+rfor1', emptyLock, components, texts))
    const image = plan.images.find((each) => each.component === name)
    if (image === undefined) throw new Error('not planned')
    return image
  }
  const both = { [patchFile]: patch, [overridesFile]: overrides }

  test('carries their bytes and digests in the plan, and what the overrides say in its edit', () => {
    const image = planned(named, both)
    expect(image.changes).toEqual({
      patches: [{ file: patchFile, text: patch, digest: digestOf(patch) }],
      overrides: { file: overridesFile, text: overrides, digest: digestOf(overrides) },
    })
    expect(image.source).toMatchObject({
      edit: { replace: { 'golang.org/x/net': 'golang.org/x/net@v0.56.0' }, require: { 'golang.org/x/text': 'v0.3.8' } },
    })
  })

  test('is another pin with any byte of them, another order, or without them', () => {
    const two = { ...both, [`pipelines/patches/${name}/0002-y.patch`]: patch }
    const pins = [
      planned(named, both),
      planned(named, { ...both, [patchFile]: `a word\n${patch}` }),
      planned(named, { ...both, [overridesFile]: `# why\n${overrides}` }),
      planned(named.replace('0001-x.patch', '0001-x.patch, 0002-y.patch'), two),
      planned(named.replace('0001-x.patch', '0002-y.patch, 0001-x.patch'), two),
      planned('', {}),
    ].map(pinFingerprint)
    expect(new Set(pins).size).toBe(pins.length)
    expect(pinFingerprint(planned(named, { ...both, 'pipelines/patches/other/1.patch': 'x' }))).toBe(pins[0])
  })

  test.each([
    ['a file that is not there', named, { [overridesFile]: overrides }, /there is no pipelines\/patches\/hardened-coredns\/0001-x.patch/],
    ['a patch that is none', named, { ...both, [patchFile]: 'x' }, /changes no file/],
    ['overrides that are none', named, { ...both, [overridesFile]: 'x' }, /not an argument/],
    ['a file named twice', named.replace('0001-x.patch', '0001-x.patch, 0001-x.patch'), both, /named twice/],
    ['a path instead of a name', named.replace('0001-x.patch', '../other/1.patch'), both, /a file name/],
    [
      'what both say',
      named,
      { ...both, [overridesFile]: '-require golang.org/x/text@v0.4.0\n' },
      /source.edit.require names golang.org\/x\/text too/,
    ],
  ])('is refused with %s', (_, setting, beside, message) => {
    expect(thrownBy(() => planned(setting, beside))).toMatchObject({ exit: 'usage', message: expect.stringMatching(message) })
  })
})
