import { basename } from 'node:path'
import { describe, expect, test } from 'vitest'
import { emptyLock } from '../../src/plan/lock-text.ts'
import { assemblePipelines, type FileText } from '../../src/plan/pipelines.ts'
import { planRelease } from '../../src/plan/plan-release.ts'
import { beside, componentFiles, fileText, inputFor, releases, thrownBy } from './project.ts'

const release = fileText('pipelines/release.yaml')
const upstream = fileText('pipelines/upstream/v1.24.8+rke2r1.yaml')
const assemble = (components: readonly FileText[], list: FileText = upstream): ReturnType<typeof assemblePipelines> =>
  assemblePipelines({ release, components, upstream: list, beside })
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
    const file = 'pipelines/klipper-lb.yaml'
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
