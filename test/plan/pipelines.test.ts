import { basename } from 'node:path'
import { describe, expect, test } from 'vitest'
import { emptyLock } from '../../src/plan/lock-text.ts'
import { assemblePipelines, type FileText } from '../../src/plan/pipelines.ts'
import { planRelease } from '../../src/plan/plan-release.ts'
import { beside, componentFiles, fileText, inputFor, libraryFiles, releases, thrownBy } from './project.ts'

const release = fileText('pipelines/release.yaml')
const upstream = fileText('pipelines/upstream/v1.24.8+rke2r1.yaml')
const assemble = (
  components: readonly FileText[],
  list: FileText = upstream,
  libraries: readonly FileText[] = libraryFiles,
): ReturnType<typeof assemblePipelines> => assemblePipelines({ release, components, libraries, upstream: list, beside })
const changed = (file: string, change: (text: string) => string): readonly FileText[] =>
  componentFiles.map((each) => (each.file === file ? { file, text: change(each.text) } : each))
const complaint = (components: readonly FileText[], list?: FileText): unknown => thrownBy(() => assemble(components, list))

test('one file for each image of every recorded release, and for those that no list names', () => {
  const made = releases.flatMap(({ version }) => planRelease(inputFor(version, emptyLock)).images.map((image) => image.component))
  expect(new Set(made)).toEqual(new Set(componentFiles.map(({ file }) => basename(file, '.yaml'))))
  expect(assemble(componentFiles).components.size).toBe(componentFiles.length)
})

describe('files that don’t fit together', () => {
  test('an image that no pipeline makes: the file to create is named', () => {
    expect(complaint(componentFiles.filter(({ file }) => file !== 'pipelines/hardened-coredns.yaml'))).toMatchObject({
      code: 'RFO_PLAN_PIPELINE',
      exit: 'usage',
      where: 'pipelines/upstream/v1.24.8+rke2r1.yaml: groups.core.2',
      next: 'create pipelines/hardened-coredns.yaml with upstream: rancher/hardened-coredns',
    })
  })

  test('a rebuild without source, or without build', () => {
    const file = 'pipelines/mirrored-calico-typha.yaml'
    expect(complaint(changed(file, (text) => text.replace('action: mirror', 'action: rebuild')))).toMatchObject({
      code: 'RFO_PLAN_PIPELINE',
      where: file,
      message: 'action: rebuild needs source and build',
    })
  })

  test('a mirrored image with a source', () => {
    const file = 'pipelines/pause.yaml'
    expect(complaint(changed(file, (text) => text.replace('action: rebuild', 'action: mirror')))).toMatchObject({
      code: 'RFO_PLAN_PIPELINE',
      where: file,
    })
  })

  test('two files for one image, and a file with another name than its component', () => {
    const again = { file: 'pipelines/pause2.yaml', text: fileText('pipelines/pause.yaml').text.replace('name: pause', 'name: pause2') }
    expect(complaint([...componentFiles, again])).toMatchObject({
      where: 'pipelines/pause2.yaml',
      message: 'rancher/pause is made by pipelines/pause.yaml already',
    })
    expect(complaint(changed('pipelines/pause.yaml', (text) => text.replace('name: pause', 'name: paws')))).toMatchObject({
      message: 'it says name: paws',
    })
  })

  test('a placeholder that does not exist, two things at one path, a path out of the source', () => {
    const file = 'pipelines/hardened-coredns.yaml'
    expect(complaint(changed(file, (text) => text.replace('{version}', '{versoin}')))).toMatchObject({
      code: 'RFO_PLAN_TEMPLATE',
      where: file,
      message: 'no such placeholder: {versoin}',
    })
    expect(complaint(changed(file, (text) => `${text}files: [{ path: /coredns, text: x }]\n`))).toMatchObject({
      message: 'two things are put at /coredns',
    })
    expect(complaint(changed(file, (text) => `${text}files: [{ path: /x, from: ../../etc/passwd }]\n`))).toMatchObject({
      code: 'RFO_PLAN_YAML',
    })
  })

  test('a C file that is none of the source’s, and a go.mod edited for what Go does not compile', () => {
    const file = 'pipelines/pause.yaml'
    expect(complaint(changed(file, (text) => text.replace('build/pause/linux/pause.c', '../pause.c')))).toMatchObject({
      code: 'RFO_PLAN_YAML',
      message: expect.stringContaining('a C file inside the source'),
    })
    const edited = changed(file, (text) => text.replace('version: v1.23.14', 'version: v1.23.14\n  edit: { dropReplace: [k8s.io/api] }'))
    expect(complaint(edited)).toMatchObject({ code: 'RFO_PLAN_PIPELINE', message: 'only a Go build uses a go.mod', where: file })
  })

  test('what is collected must be made, and for every platform', () => {
    const file = 'pipelines/rke2-runtime.yaml'
    const of = (from: string, to: string) => complaint(changed(file, (text) => text.replace(from, to)))
    expect(of('program: /usr/local/bin/runc', 'program: /usr/local/bin/rnuc')).toMatchObject({
      message: 'hardened-runc makes no /usr/local/bin/rnuc',
      where: file,
    })
    expect(of('component: hardened-runc', 'component: pause-runc')).toMatchObject({ code: 'RFO_PLAN_PIPELINE' })
    expect(of('output: /bin/runc', 'output: /bin/ctr')).toMatchObject({ message: 'two things are put at /bin/ctr' })
    const lacking = changed('pipelines/hardened-runc.yaml', (text) => `${text}unsupported: { riscv64: a test }\n`)
    expect(complaint(lacking)).toMatchObject({ message: 'hardened-runc is not made for riscv64', where: file })
  })

  test('a list with an image twice in a group, or with something that is no image', () => {
    const twice = {
      ...upstream,
      text: upstream.text.replace(
        '    - docker.io/rancher/pause:3.6\n',
        '    - docker.io/rancher/pause:3.6\n    - docker.io/rancher/pause:3.6\n',
      ),
    }
    expect(complaint(componentFiles, twice)).toMatchObject({ message: 'docker.io/rancher/pause:3.6 is twice in group core' })
    const none = { ...upstream, text: upstream.text.replace('docker.io/rancher/pause:3.6', 'docker.io/../pause:3.6') }
    expect(complaint(componentFiles, none)).toMatchObject({ code: 'RFO_PLAN_REFERENCE' })
  })
})

describe('what Go programs are linked with', () => {
  const runc = 'pipelines/hardened-runc.yaml'
  const seccomp = 'pipelines/libraries/libseccomp.yaml'
  const [library] = libraryFiles
  if (library === undefined) throw new Error('runc links one')

  test('a library without a file: the file to create is named', () => {
    expect(thrownBy(() => assemble(componentFiles, upstream, []))).toMatchObject({
      code: 'RFO_PLAN_PIPELINE',
      message: 'no file says how libseccomp is made',
      where: runc,
      next: 'create pipelines/libraries/libseccomp.yaml',
    })
  })

  test('libraries where no C compiler links', () => {
    expect(complaint(changed(runc, (text) => text.replace('  cgo: all\n  boring: [amd64, arm64]\n', '')))).toMatchObject({
      message: 'only cgo links C libraries',
      where: runc,
    })
  })

  test('BoringSSL for an architecture that has none: Go would say nothing', () => {
    const boring = (list: string): readonly FileText[] =>
      changed(runc, (text) => text.replace('boring: [amd64, arm64]', `boring: [${list}]`))
    expect(() => assemble(boring('amd64, arm64'))).not.toThrow()
    expect(complaint(boring('amd64, riscv64'))).toMatchObject({
      code: 'RFO_PLAN_PIPELINE',
      message: 'Go has no BoringSSL for riscv64, only for amd64 and arm64: it would build without, in silence',
      next: 'leave riscv64 out of build.boring',
    })
  })

  test.each([
    ['another name than its file', (text: string) => text.replace('name: libseccomp', 'name: libseccomp2'), 'RFO_PLAN_PIPELINE'],
    ['a shared library', (text: string) => text.replace('/usr/lib/libseccomp.a', '/usr/lib/libseccomp.so'), 'RFO_PLAN_YAML'],
    ['a file outside /usr', (text: string) => text.replace('/usr/include/seccomp.h', '/usr/include/../../etc/x.h'), 'RFO_PLAN_YAML'],
    ['a file outside its source', (text: string) => text.replace('from: libseccomp.pc', 'from: ../x.pc'), 'RFO_PLAN_YAML'],
    ['an option in place of a target', (text: string) => text.replace('[libseccomp.la]', '[--eval=x]'), 'RFO_PLAN_YAML'],
    [
      'two files at one place',
      (text: string) => text.replace('/usr/include/seccomp-syscalls.h', '/usr/include/seccomp.h'),
      'RFO_PLAN_PIPELINE',
    ],
  ])('a library with %s', (_, change, code) => {
    const text = change(library.text)
    expect(text).not.toBe(library.text)
    expect(thrownBy(() => assemble(componentFiles, upstream, [{ file: seccomp, text }]))).toMatchObject({
      code,
      where: expect.stringContaining(seccomp),
    })
  })
})

describe('an image of RFO’s own', () => {
  const file = 'pipelines/rfo-upgrade.yaml'
  const of = (from: string | RegExp, to: string, where = file) => complaint(changed(where, (text) => text.replace(from, to)))

  test('takes no upstream image’s place, and is made', () => {
    expect(of('own:\n', 'upstream: rancher/rfo-upgrade\nown:\n')).toMatchObject({
      message: 'an image of RFO’s own takes no upstream image’s place',
      where: file,
    })
    expect(of(/own:\n.*\n/, '')).toMatchObject({ message: 'it has neither upstream nor own', where: file })
    expect(of('action: rebuild', 'action: mirror')).toMatchObject({ message: 'an image of RFO’s own is made, not mirrored' })
  })

  test('has a tag that no list gives, and groups whose files no other file is called like', () => {
    expect(of("'{rfoTag}'", "'{version}'")).toMatchObject({ code: 'RFO_PLAN_YAML', message: expect.stringContaining('own.tag') })
    expect(of("'{rfoTag}'", "'{rfoTag}'\n  groups: [all]")).toMatchObject({
      code: 'RFO_PLAN_YAML',
      message: expect.stringContaining('own.groups'),
    })
  })

  test('may be for some versions alone', () => {
    const some = changed('pipelines/helm-controller.yaml', (text) =>
      text.replace(/own:\n.*\n/, '').replace("when:\n  - versions: '>=1.34.0'", "when:\n  - versions: '>=1.25.0'"),
    )
    expect(assemble(some).components.has('own:helm-controller')).toBe(false)
    const later = assemble(some, fileText('pipelines/upstream/v1.25.4+rke2r1.yaml')).components.get('own:helm-controller')
    expect(later?.own?.tag).toBe('v0.16.26')
  })

  test('is called like no other one', () => {
    const again = { file: 'pipelines/rfo-runtime.yaml', text: fileText(file).text.replace('name: rfo-upgrade', 'name: rfo-runtime') }
    expect(thrownBy(() => planRelease(inputFor('v1.24.8+rfor1', emptyLock, [...componentFiles, again])))).toMatchObject({
      code: 'RFO_PLAN_PIPELINE',
      message: 'rke2-runtime and rfo-runtime are both called docker.io/rfolabs/rfo-runtime:v1.24.8-rfor1',
    })
  })

  test('carries what is made, where it is made', () => {
    expect(of('component: hardened-kubernetes', 'component: rke2-runtime')).toMatchObject({
      message: 'rke2-runtime makes no /usr/local/bin/kubectl',
    })
    expect(of('program: /opt/rfo', 'program: /usr/bin/upgrade.sh')).toMatchObject({ message: 'two things are put at /usr/bin/upgrade.sh' })
    const lacking = changed('pipelines/rke2-runtime.yaml', (text) => `${text}unsupported: { riscv64: a test }\n`)
    expect(thrownBy(() => planRelease(inputFor('v1.24.8+rfor1', emptyLock, lacking)))).toMatchObject({
      message: 'rke2-runtime, of which rfo-upgrade carries the program, is not made for linux/riscv64',
      where: file,
    })
  })
})

test('files alone: a source that nothing is taken of, a file of no source, charts, and nothing at all', () => {
  const file = 'pipelines/klipper-lb.yaml'
  const of = (from: string | RegExp, to: string) => complaint(changed(file, (text) => text.replace(from, to)))
  expect(of('from: entry', 'text: x')).toMatchObject({ message: 'nothing of the source is used', where: file })
  expect(of(/source:\n(?: {2}.*\n)+/, '')).toMatchObject({ message: 'action: rebuild needs source' })
  expect(of('packages:', 'charts: true\npackages:')).toMatchObject({ message: 'what only lays files together carries no charts' })
  expect(of(/source:\n(?: {2}.*\n)+build:\n.*\nfiles:\n.*\n/, 'build: { kind: files }\n')).toMatchObject({
    message: 'nothing is put into the image',
  })
})
