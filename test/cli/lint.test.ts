import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { run } from './ports.ts'

const root = join(import.meta.dirname, '../..')
let cwd: string
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'rfo-lint-'))
  cpSync(join(root, 'pipelines'), join(cwd, 'pipelines'), { recursive: true })
  cpSync(join(root, 'images.lock'), join(cwd, 'images.lock'))
})
afterEach(() => rmSync(cwd, { recursive: true }))

const read = (file: string): string => readFileSync(join(cwd, file), 'utf8')
function change(file: string, edit: (text: string) => string): void {
  const [before, after] = [read(file), edit(read(file))]
  expect(after).not.toBe(before)
  writeFileSync(join(cwd, file), after)
}
/** Line of the first text of that kind, from 1. */
const lineOf = (file: string, text: string): number =>
  read(file)
    .split('\n')
    .findIndex((line) => line.includes(text)) + 1
const lint = (...argv: readonly string[]) => run(['lint', ...argv], { cwd })

test('the project’s own pipelines: nothing, exit 0', async () => {
  expect(await lint()).toMatchObject({ exit: 0, stdout: '', stderr: '' })
  expect(JSON.parse((await lint('--json')).stdout)).toEqual({ schema: 'rfo-build.lint/1', ok: true, exit: 0, findings: [] })
})

test('a project of images that nothing installs has no rfo.yaml: the images of tests; but what carries the program needs one', async () => {
  expect(await run(['lint'], { cwd: join(root, 'conformance') })).toMatchObject({ exit: 0, stdout: '', stderr: '' })
  rmSync(join(cwd, 'pipelines/rfo.yaml'))
  const { exit, stdout } = await lint()
  expect(exit).toBe(4)
  for (const line of stdout.trimEnd().split('\n'))
    expect(line).toMatch(/: RFO_PLAN_BUNDLE nothing says how the program is made that rfo-upgrade carries$/)
  expect(await run(['release', 'v1.25.4+rfor1', '--sandbox'], { cwd: join(root, 'conformance') })).toMatchObject({
    exit: 2,
    lastLine: expect.stringContaining('no pipelines/rfo.yaml here'),
  })
})

test('{commit} where nobody knows it', async () => {
  const file = 'pipelines/hardened-coredns.yaml'
  change(file, (text) =>
    text.replace('CoreDNS-{number}', 'CoreDNS-{commit}').replace(/\nupstream:.*/, (line) => `${line}\ntag: '{commit}'`),
  )
  expect((await lint()).stdout.trimEnd().split('\n')).toEqual([
    expect.stringMatching(`^${file}: RFO_PLAN_REFERENCE not an image with registry and tag: `),
    expect.stringMatching(`^${file}:${lineOf(file, 'tag:')}:6: RFO_PLAN_PIPELINE {commit} is known to build and smoke alone`),
    expect.stringMatching(`^${file}:${lineOf(file, 'CoreDNS-{commit}')}:11: RFO_PLAN_PIPELINE nothing says which {commit} this is`),
  ])
})

test('all findings of all files at once, each once, at its place; exit 4', async () => {
  change('pipelines/pause.yaml', (text) => `${text}colour: red\n`)
  change('pipelines/hardened-coredns.yaml', (text) => text.replace('CoreDNS-{number}', 'CoreDNS-{nubmer}'))
  change('pipelines/release.yaml', (text) => text.replace(/ {2}linux\/riscv64:\n( {4}.*\n)+/, ''))
  change('images.lock', (text) => text.replace('schema: rfo-build.lock/1', 'schema: rfo-build.lock/9'))
  change('pipelines/rfo.yaml', (text) => text.replace(/^sourceOf: .*$/m, 'sourceOf: moon'))
  const { exit, stdout, lastLine } = await lint()
  expect(exit).toBe(4)
  const place = (file: string, text: string): string => `${file}:${lineOf(file, text)}`
  expect(stdout.trimEnd().split('\n')).toEqual([
    expect.stringMatching(`^${place('images.lock', 'schema: rfo')}:9: RFO_PLAN_YAML schema: `),
    `${place('pipelines/hardened-coredns.yaml', '{nubmer}')}:11: RFO_PLAN_TEMPLATE no such placeholder: {nubmer}`,
    `${place('pipelines/pause.yaml', 'colour')}:1: RFO_PLAN_YAML colour: no such setting`,
    expect.stringMatching(`^${place('pipelines/release.yaml', 'bases:')}:1: RFO_PLAN_YAML bases.linux/riscv64: `),
    `${place('pipelines/rfo.yaml', 'sourceOf')}:11: RFO_PLAN_BUNDLE no component moon`,
  ])
  expect(lastLine).toMatch(/^rfo-build: RFO_LINT_FINDINGS: 5 findings \(images.lock, .*\); next: edit images.lock$/)
  const document = JSON.parse((await lint('--json')).stdout)
  expect(document).toMatchObject({ ok: false, exit: 4, error: { code: 'RFO_LINT_FINDINGS' } })
  expect(document.findings[2]).toEqual({
    file: 'pipelines/pause.yaml',
    line: lineOf('pipelines/pause.yaml', 'colour'),
    column: 1,
    code: 'RFO_PLAN_YAML',
    message: 'colour: no such setting',
  })
})

describe('what only one recorded version, or one variant, shows', () => {
  test('an image that no pipeline makes, in the list that names it', async () => {
    const list = 'pipelines/upstream/v1.25.4+rke2r1.yaml'
    change(list, (text) => text.replace(/(\n +- docker.io\/rancher\/pause:3.6)/, '$1\n    - docker.io/rancher/moon:v1'))
    expect((await lint()).stdout).toBe(
      `${list}:${lineOf(list, 'rancher/moon')}:7: RFO_PLAN_PIPELINE no pipeline makes docker.io/rancher/moon:v1\n`,
    )
  })

  test('a variant’s mistake is placed in the variant', async () => {
    const file = 'pipelines/hardened-coredns.yaml'
    change(file, (text) => `${text}  - versions: '<1.0.0'\n    files: [{ path: /coredns, text: x }]\n`)
    expect((await lint()).stdout).toBe(`${file}:${lineOf(file, 'files:')}:12: RFO_PLAN_PIPELINE two things are put at /coredns\n`)
  })

  test('a change of a build that its kind does not have, or that would leave it broken, is placed in the variant', async () => {
    const file = 'pipelines/hardened-coredns.yaml'
    const own = read(file)
    const found = async (what: string): Promise<string> => {
      writeFileSync(join(cwd, file), `${own}  - versions: '<1.0.0'\n    ${what}\n`)
      const { stdout } = await lint()
      expect(stdout.trimEnd().split('\n')).toHaveLength(1)
      return stdout
    }
    const line = own.split('\n').length + 1
    expect(await found('build: { cflags: [-Os] }')).toBe(`${file}:${line}:14: RFO_PLAN_YAML when.1.build.cflags: no such setting\n`)
    expect(await found('source: { url: https://example.test/x }')).toContain(`${file}:${line}:15: RFO_PLAN_YAML when.1.source.url: no such`)
    expect(await found('build: { colour: red }')).toContain('when.1.build.colour: no such setting')
    expect(await found('build: { toolchain: go1 }')).toContain(`${file}:${line}:25: RFO_PLAN_YAML when.1.build.toolchain: `)
  })

  test('two variants of one version, two files for one image', async () => {
    change('pipelines/hardened-coredns.yaml', (text) => {
      return `${text}  - { versions: '>=1.25.0 <2', packages: [a] }\n  - { versions: '>=1.25.4 <1.30', packages: [b] }\n`
    })
    writeFileSync(join(cwd, 'pipelines/pause2.yaml'), read('pipelines/pause.yaml').replace('name: pause', 'name: pause2'))
    const { stdout } = await lint()
    expect(stdout).toContain('RFO_PLAN_PIPELINE two variants fit 1.25.4: >=1.25.0 <2 and >=1.25.4 <1.30')
    expect(stdout).toContain(
      `pipelines/pause2.yaml:${lineOf('pipelines/pause2.yaml', 'upstream:')}:11: RFO_PLAN_PIPELINE rancher/pause is made by pipelines/pause.yaml already`,
    )
  })

  test('a compiler for an architecture that is unsupported', async () => {
    const file = 'pipelines/hardened-coredns.yaml'
    change(file, (text) =>
      text.replace(/\n {2}kind: go\n/, '\n  kind: go\n  cgo: [riscv64]\n').concat('unsupported: { riscv64: a test }\n'),
    )
    expect((await lint()).stdout).toBe(`${file}:${lineOf(file, 'cgo')}:9: RFO_PLAN_PIPELINE cgo names riscv64, which is unsupported\n`)
  })
})

test('a C library that has no file, and one whose file is not in form, are said once', async () => {
  const runc = 'pipelines/hardened-runc.yaml'
  const file = 'pipelines/libraries/libseccomp.yaml'
  change(runc, (text) => text.replace('libraries: [libseccomp]', 'libraries: [libseccomp, moon]'))
  const at = lineOf(runc, 'libraries:')
  expect((await lint()).stdout).toBe(`${runc}:${at}:27: RFO_PLAN_PIPELINE no file says how moon is made\n`)
  change(runc, (text) => text.replace(', moon', ''))
  change(file, (text) => text.replace('license:', 'licence:'))
  expect((await lint()).stdout.trimEnd().split('\n')).toEqual([
    expect.stringMatching(`^${file}:\\d+:1: RFO_PLAN_YAML license: `),
    `${file}:${lineOf(file, 'licence:')}:1: RFO_PLAN_YAML licence: no such setting`,
  ])
})

test('a file that can’t be read as YAML is said once: not again as what nothing makes', async () => {
  change('pipelines/hardened-runc.yaml', (text) => `${text}: :\n`)
  const { exit, stdout } = await lint()
  expect(exit).toBe(4)
  expect(
    stdout
      .trimEnd()
      .split('\n')
      .every((line) => line.startsWith('pipelines/hardened-runc.yaml:')),
  ).toBe(true)
})

test('patches and overrides: one that nobody names, one that is not there, one that is no patch, an archive that is not read', async () => {
  const put = (file: string, text: string): void => {
    mkdirSync(dirname(join(cwd, file)), { recursive: true })
    writeFileSync(join(cwd, file), text)
  }
  const file = 'pipelines/hardened-coredns.yaml'
  change(file, (text) =>
    text.replace(/\n {2}module: .*/, (line) => `${line}\n  patches:\n    - absent.patch\n    - wrong.patch\n    - good.patch`),
  )
  put('pipelines/patches/hardened-coredns/wrong.patch', 'diff --git a/../x b/../x\n')
  put('pipelines/patches/hardened-coredns/good.patch', 'diff --git a/x b/x\nnew file mode 100644\n')
  put('pipelines/patches/hardened-coredns/stray.patch', '')
  put('pipelines/overrides/pause/mod', '')
  change('pipelines/pause.yaml', (text) =>
    text.replace(/\nsource:\n( {2}.*\n)+/, "\nsource:\n  kind: archive\n  url: 'https://example.org/{version}.tar.xz'\n"),
  )
  const { exit, stdout } = await lint()
  expect(exit).toBe(4)
  expect(stdout.trimEnd().split('\n')).toEqual([
    `${file}:${lineOf(file, '- absent.patch')}:7: RFO_PLAN_PIPELINE there is no pipelines/patches/hardened-coredns/absent.patch`,
    expect.stringMatching(`^${file}:${lineOf(file, '- wrong.patch')}:7: RFO_PLAN_PATCH not one plain path`),
    'pipelines/overrides/pause/mod: RFO_PLAN_PIPELINE no component names this file',
    'pipelines/patches/hardened-coredns/stray.patch: RFO_PLAN_PIPELINE no component names this file',
    `pipelines/pause.yaml:${lineOf('pipelines/pause.yaml', '.tar.xz')}:8: RFO_PLAN_PIPELINE .xz is not read`,
  ])
})

test('a link, or bytes that are no text, among the patches: exit 2, and the file is named', async () => {
  const folder = join(cwd, 'pipelines/patches/pause')
  mkdirSync(folder, { recursive: true })
  symlinkSync('/etc/passwd', join(folder, 'a.patch'))
  expect(await lint()).toMatchObject({ exit: 2, lastLine: expect.stringContaining('not a regular file (pipelines/patches/pause/a.patch)') })
  rmSync(join(folder, 'a.patch'))
  writeFileSync(join(folder, 'b.patch'), Buffer.from([0xff, 0xfe]))
  expect(await lint()).toMatchObject({ exit: 2, lastLine: expect.stringContaining('it is not UTF-8 (pipelines/patches/pause/b.patch)') })
})

test('a pipeline that no list uses is no finding; a folder without pipelines is exit 2', async () => {
  writeFileSync(
    join(cwd, 'pipelines/spare.yaml'),
    read('pipelines/klipper-lb.yaml').replace('name: klipper-lb', 'name: spare').replace('rancher/klipper-lb', 'rancher/spare'),
  )
  expect(await lint()).toMatchObject({ exit: 0, stdout: '' })
  expect(await run(['lint'], { cwd: tmpdir() })).toMatchObject({ exit: 2, stdout: '' })
})
