/** `sbom` on everything that it can be asked about, and the SBOMs that a release carries: each by its digest, each judged by others. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openLayout } from '../../src/content/layout.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { startRegistry } from '../../src/sandbox/registry.ts'
import { tool } from '../tools.ts'
import { madeProject, type Project, type Ran, run, version } from './project.ts'

let project: Project
let made: string
beforeAll(async () => {
  project = await madeProject('amd64,riscv64')
  made = join(project.folder, 'dist', version)
})
afterAll(() => project.remove())

const nameOf = ({ annotations }: Descriptor): string => annotations?.['org.opencontainers.image.ref.name'] ?? ''
const sbom = (...argv: string[]): Promise<Ran> => run(project.folder, ['sbom', ...argv])
const ofRelease = (path: string): string => join('dist', version, path)

interface Component {
  readonly name: string
  readonly version: string
  readonly purl?: string
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[]
  readonly externalReferences?: readonly {
    readonly type: string
    readonly url: string
    readonly hashes: readonly { readonly content: string }[]
  }[]
}
interface Document {
  readonly metadata: { readonly component: Component }
  readonly components?: readonly Component[]
}
const parsed = (ran: Ran): Document => {
  expect([ran.code, ran.stderr]).toEqual([0, ''])
  return JSON.parse(ran.stdout) as Document
}
const names = ({ components = [] }: Document): string[] => components.map(({ name }) => name)

describe('a release', () => {
  test('has an SBOM that refers to those of its images, packages, archives and programs by digest', async () => {
    const { components = [] } = parsed(await sbom(version))
    const references = components.flatMap(({ externalReferences = [] }) => externalReferences)
    for (const { type, url, hashes } of references) {
      expect(type).toBe('bom')
      const bytes = await readFile(join(made, url))
      expect(createHash('sha256').update(bytes).digest('hex'), url).toBe(hashes[0]?.content)
    }
    // every document of the release is referred to but its own
    const documents = (await readdir(join(made, 'sbom')))
      .map((name) => `sbom/${name}`)
      .filter((path) => !path.startsWith('sbom/release.') && !path.endsWith('.vuln.json'))
    expect([...new Set(references.map(({ url }) => url))].sort()).toEqual(documents.sort())
    const files = (await readdir(made, { recursive: true })).filter((path) => /\.(rpm|tar\.zst|tar\.gz)$|^rfo\.linux-\w+$/.test(path))
    // whoever signs makes the package with the key
    for (const path of files.filter((each) => !each.includes('rfo-release-'))) {
      const found = components.find(({ name }) => name === path)
      expect(found?.externalReferences?.length, path).toBe(1)
      const [{ url = '' } = {}] = found?.externalReferences ?? []
      const { metadata } = JSON.parse(await readFile(join(made, url), 'utf8')) as Document
      expect(metadata.component.name).toBe(path)
      if (!path.endsWith('.rpm'))
        expect(metadata.component.hashes?.[0]?.content).toBe(
          createHash('sha256')
            .update(await readFile(join(made, path)))
            .digest('hex'),
        )
    }
  })

  test('a package’s names its files, and the document of the program in it', async () => {
    const rpm = parsed(await sbom(version)).components?.find(({ name }) => /rfo-common-.*x86_64\.rpm$/.test(name))
    const { components = [] } = JSON.parse(await readFile(join(made, rpm?.externalReferences?.[0]?.url ?? ''), 'utf8')) as Document
    const program = components.find(({ name }) => name === '/usr/bin/rfo')
    expect(program?.externalReferences?.map(({ url }) => url)).toEqual(['sbom/rfo_program.linux-amd64.cdx.json'])
    expect(rpm?.purl).toMatch(/^pkg:rpm\/openeuler\/rfo-common@1\.24\.8~rfor1-1\?arch=x86_64/)
  })

  test('is scored whole, and NTIA’s minimum elements are all there', async () => {
    const ran = await sbom(version, '--score', '--json')
    expect([ran.code, ran.stderr]).toEqual([0, ''])
    const { documents } = JSON.parse(ran.stdout) as { documents: { name: string; standards: { standard: string; percent: number }[] }[] }
    expect(documents.length).toBe((await readdir(join(made, 'sbom'))).filter((name) => name.endsWith('.cdx.json')).length)
    for (const { name, standards } of documents) expect(standards.find(({ standard }) => standard === 'ntia-2021')?.percent, name).toBe(100)
  })

  test('whose SBOM was changed is not believed', async () => {
    const file = join(made, 'sbom/release.cdx.json')
    const text = await readFile(file)
    try {
      await writeFile(file, `${text} `)
      const ran = await sbom(version)
      expect([ran.code, ran.stdout]).toEqual([3, ''])
      expect(ran.stderr).toContain('RFO_CONTENT_DIGEST')
    } finally {
      await writeFile(file, text)
    }
  })
})

const skopeo = tool('skopeo')

describe('the verb', () => {
  test('asks a registry', async () => {
    const layout = await openLayout(join(made, 'oci'))
    const reference = (await layout.entries()).map(nameOf).find((name) => name.includes('/hardened-coredns:')) ?? ''
    const target = await layout.resolve(reference)
    const path = reference.slice('docker.io/'.length)
    const registry = await startRegistry({ over: { from: layout, tags: target === undefined ? {} : { [path]: target } } })
    try {
      const document = parsed(await sbom(`oci://${registry.host}/${path}`, '--platform', 'riscv64'))
      const released = JSON.parse(await readFile(join(made, 'sbom/hardened-coredns.linux-riscv64.cdx.json'), 'utf8')) as Document
      expect(document.components).toEqual(released.components)
      expect(await sbom(`oci://${registry.host}/${path}`)).toMatchObject({ code: 2, stderr: expect.stringContaining('2 documents') })
      expect(await sbom(`oci://${registry.host}/nothing:here`)).toMatchObject({
        code: 8,
        stderr: expect.stringContaining('RFO_SBOM_ABSENT'),
      })
    } finally {
      await registry.close()
    }
  })

  test.skipIf(skopeo.skip)('reads Docker’s own form, as another tool writes it', async () => {
    // whose layers are gzip's: Docker's form knows no other
    const reference = (await (await openLayout(join(made, 'oci'))).entries())
      .map(nameOf)
      .find((name) => name.includes('/mirrored-calico-typha:'))
    const file = join(project.folder, 'docker.tar')
    const argv = [
      '--override-arch',
      'amd64',
      'copy',
      '--quiet',
      `oci:${join(made, 'oci')}:${reference}`,
      `docker-archive:${file}:${reference}`,
    ]
    await promisify(execFile)(skopeo.path, argv)
    const document = parsed(await sbom('docker.tar'))
    const released = JSON.parse(await readFile(join(made, 'sbom/mirrored-calico-typha.linux-amd64.cdx.json'), 'utf8')) as Document
    // but for who supplies what nobody claims: the release knows, and the archive doesn't say
    const bare = ({ components = [] }: Document) => components.map(({ name, purl, hashes }) => ({ name, purl, hashes }))
    expect(bare(document)).toEqual(bare(released))
    expect(bare(document).length).toBeGreaterThan(0)
    expect(document.metadata.component.name).toBe(reference)
  })

  test('takes a release as one archive', async () => {
    const packed = await run(project.folder, ['pack', version, '--key', '.rfo/sandbox/cosign.pub', '-o', 'packed', '--json'])
    expect(packed.code).toBe(0)
    const archive = (JSON.parse(packed.stdout) as { file: string }).file
    expect((await sbom(archive)).stdout).toBe(await readFile(join(made, 'sbom/release.cdx.json'), 'utf8'))
    expect((await sbom(archive, '--format', 'spdx')).stdout.trimEnd()).toBe(await readFile(join(made, 'sbom/release.spdx.json'), 'utf8'))
  })

  test('finds in an archive, in the layout and alone the same as the release says', async () => {
    const image = 'docker.io/rfolabs/hardened-coredns'
    const inArchive = await sbom(ofRelease('rfo-images-core.linux-amd64.tar.zst'), '-o', 'from-archive')
    expect([inArchive.code, inArchive.stderr]).toEqual([0, ''])
    const file = inArchive.stdout.split('\n').find((path) => path.includes('hardened-coredns')) ?? ''
    const archived = JSON.parse(await readFile(file, 'utf8')) as Document
    const { name } = archived.metadata.component
    expect(name.startsWith(image)).toBe(true)
    const inLayout = parsed(await sbom(ofRelease('oci'), '--image', name, '--platform', 'amd64'))
    const released = JSON.parse(await readFile(join(made, 'sbom/hardened-coredns.linux-amd64.cdx.json'), 'utf8')) as Document
    for (const each of [archived, inLayout]) {
      expect(each.metadata.component.purl).toBe(released.metadata.component.purl)
      expect(each.components).toEqual(released.components)
    }
    // and the same bytes again
    expect((await sbom(ofRelease('oci'), '--image', name, '--platform', 'amd64')).stdout).toBe(
      (await sbom(ofRelease('oci'), '--image', name, '--platform', 'amd64')).stdout,
    )
  })

  test('on a tarball, a folder, a program and a package: the same program in each', async () => {
    const tarball = parsed(await sbom(ofRelease('rfo.linux-riscv64.tar.gz')))
    const program = parsed(await sbom(ofRelease('rfo.linux-riscv64')))
    const [rpm = ''] = (await readdir(made, { recursive: true })).filter((path) => /rfo-common-.*\.riscv64\.rpm$/.test(path))
    const packaged = parsed(await sbom(ofRelease(rpm)))
    const folder = join(project.folder, 'unpacked', 'usr', 'bin')
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, 'rfo'), await readFile(join(made, 'rfo.linux-riscv64')))
    const unpacked = parsed(await sbom('unpacked'))
    const hashOf = (document: Document, name: string) => document.components?.find((each) => each.name === name)?.hashes
    expect(hashOf(tarball, '/bin/rfo')).toEqual(hashOf(program, '/rfo.linux-riscv64'))
    expect(hashOf(packaged, '/usr/bin/rfo')).toEqual(hashOf(program, '/rfo.linux-riscv64'))
    expect(hashOf(unpacked, '/usr/bin/rfo')).toEqual(hashOf(program, '/rfo.linux-riscv64'))
    expect(packaged.metadata.component).toMatchObject({ name: 'rfo-common', licenses: [{ license: { id: 'Apache-2.0' } }] })
    expect(names(tarball)).toContain('/bin/rfo')
  })

  test('does not make up a supplier: the score says 4 until somebody names one', async () => {
    const lacking = await sbom(ofRelease('rfo.linux-amd64'), '--score')
    expect(lacking.code).toBe(4)
    expect(lacking.stderr).toContain('RFO_SBOM_SCORE')
    expect(lacking.stdout).toContain('supplier name; without it: rfo.linux-amd64')
    const named = await sbom(ofRelease('rfo.linux-amd64'), '--score', '--supplier', 'RFO Labs <https://github.com/rfolabs>')
    expect([named.code, named.stderr]).toEqual([0, ''])
  })

  test('scores a document of anybody, and refuses what is none', async () => {
    const path = ofRelease('sbom/pause.linux-amd64.cdx.json')
    expect((await sbom(path, '--score')).code).toBe(0)
    await writeFile(join(project.folder, 'other.json'), '{"spdxVersion":"SPDX-2.3"}')
    const ran = await sbom('other.json', '--score')
    expect([ran.code, ran.stdout]).toEqual([3, ''])
    expect(ran.stderr).toContain('RFO_INSPECT_SBOM')
  })

  test('several documents want a folder; what is nothing of all that is said so', async () => {
    expect(await sbom(ofRelease('oci'))).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('name a folder with -o') })
    expect(await sbom(ofRelease('RELEASE.md'))).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('RFO_SBOM_TARGET') })
    expect(await sbom('nowhere')).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('RFO_SBOM_TARGET') })
    await writeFile(join(project.folder, 'torn.tar.gz'), (await readFile(join(made, 'rfo.linux-amd64.tar.gz'))).subarray(0, -100))
    expect(await sbom('torn.tar.gz')).toMatchObject({ code: 3, stdout: '' })
    expect(await readdir(join(project.folder, '.rfo', 'work')).then((all) => all.filter((name) => name.startsWith('sbom-')))).toEqual([])
  })
})

const exec = promisify(execFile)
const ntia = tool('ntia-checker')
const spdxTools = tool('pyspdxtools')
const python = tool('python-cyclonedx')

describe('others judge', () => {
  const documents = ['release', 'hardened-coredns.linux-riscv64', 'mirrored-calico-typha.linux-amd64']

  test.skipIf(ntia.skip)('ntia-conformance-checker: conformant', async () => {
    for (const name of documents.slice(0, 2)) {
      const { stdout } = await exec(ntia.path, ['--file', join(made, 'sbom', `${name}.spdx.json`)])
      expect(stdout, name).toContain('Conformant: True')
    }
    // and it does judge
    const path = join(project.folder, 'lacking.spdx.json')
    await writeFile(path, (await readFile(join(made, 'sbom/release.spdx.json'), 'utf8')).replace(/"supplier":"[^"]*",?/, ''))
    const { stdout } = await exec(ntia.path, ['--file', path]).catch((thrown: { stdout: string }) => thrown)
    expect(stdout).toContain('Conformant: False')
  })

  test.skipIf(spdxTools.skip)('pyspdxtools: valid', async () => {
    for (const name of documents) await exec(spdxTools.path, ['--infile', join(made, 'sbom', `${name}.spdx.json`)])
    const path = join(project.folder, 'invalid.spdx.json')
    await writeFile(path, (await readFile(join(made, 'sbom/release.spdx.json'), 'utf8')).replace('CC0-1.0', 'MIT'))
    await expect(exec(spdxTools.path, ['--infile', path])).rejects.toMatchObject({ code: 1 })
  })

  test.skipIf(python.skip)('CycloneDX’s own validator for Python: every document of the release', async () => {
    const script = `
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
judge = JsonStrictValidator(SchemaVersion.V1_6)
for path in sys.argv[1:]:
    error = judge.validate_str(open(path).read())
    print(path, 'valid' if error is None else error)
`
    const paths = (await readdir(join(made, 'sbom'))).filter((name) => name.endsWith('.cdx.json')).map((name) => join(made, 'sbom', name))
    const broken = join(project.folder, 'broken.cdx.json')
    await writeFile(broken, (await readFile(paths[0] ?? '', 'utf8')).replace('"SHA-256"', '"SHA-255"'))
    const { stdout } = await exec(python.path, ['-c', script, ...paths, broken], { maxBuffer: 1 << 26 })
    const said = stdout.trim().split('\n')
    expect(said.filter((line) => line.endsWith(' valid'))).toHaveLength(paths.length)
    expect(said.find((line) => line.startsWith(broken))).not.toMatch(/ valid$/)
  })
})
