import { Spec, Validation } from '@cyclonedx/cyclonedx-library'
import { describe, expect, test } from 'vitest'
import { cyclonedx } from '../../src/inspect/cyclonedx.ts'
import type { SbomSubject } from '../../src/inspect/cyclonedx-document.ts'
import type { Inventory, InventoryRpm } from '../../src/inspect/inventory.ts'
import { parseLicense } from '../../src/inspect/license.ts'
import { golangPurl, ociPurl, rpmPurl } from '../../src/inspect/purl.ts'
import { uuidOf } from '../../src/inspect/uuid.ts'
import { digestOf } from '../../src/oci/digest.ts'

const rpmOf = (name: string, more: Partial<InventoryRpm> = {}): InventoryRpm => ({
  name,
  version: '5.2.21',
  release: '1.oe2403sp1',
  arch: 'x86_64',
  license: 'GPLv3+',
  vendor: 'http://openeuler.org',
  url: 'https://example.org/project',
  sourceRpm: `${name}-5.2.21-1.oe2403sp1.src.rpm`,
  sha256: 'e'.repeat(64),
  dependsOn: [],
  ...more,
})

const inventory: Inventory = {
  schema: 'rfo-build.inventory/1',
  image: digestOf('image'),
  platform: 'linux/amd64',
  os: { id: 'openEuler', version: '24.03', prettyName: 'openEuler 24.03 (LTS-SP1)' },
  rpm: [
    rpmOf('bash', { epoch: 1, dependsOn: ['glibc-5.2.21-1.oe2403sp1.x86_64'] }),
    rpmOf('glibc', { license: 'LGPLv2+ and (MIT or BSD)', vendor: '' }),
    rpmOf('libstdc++', { license: 'ASL 2.0 and MIT' }),
    rpmOf('tzdata', { license: '', arch: 'noarch', sourceRpm: '' }),
  ],
  rpmDatabase: 'ndb',
  go: [
    {
      path: '/coredns',
      sha256: 'a'.repeat(64),
      sha512: 'a'.repeat(128),
      goVersion: 'go1.26.8',
      package: 'github.com/coredns/coredns',
      main: { path: 'github.com/coredns/coredns', version: '(devel)', sum: '' },
      deps: [
        { path: 'github.com/Azure/go-autorest/autorest', version: 'v0.11.27', sum: 'h1:F3R3q42aWytozkV8ihzcgMO4OA4cuqr3bNlsEuF6//A=' },
        {
          path: 'github.com/old/name',
          version: 'v1.0.0',
          sum: '',
          replace: { path: 'github.com/new/name', version: 'v1.1.0', sum: 'h1:x=' },
        },
        { path: 'github.com/local/tree', version: 'v0.0.0', sum: '', replace: { path: './tree', version: '(devel)', sum: '' } },
      ],
      settings: { GOARCH: 'amd64', 'vcs.revision': '0123456789abcdef0123', 'vcs.time': '2022-11-22T10:11:12Z' },
    },
    {
      path: '/helper',
      sha256: 'b'.repeat(64),
      sha512: 'b'.repeat(128),
      goVersion: 'go1.26.8',
      package: 'x.org/helper',
      main: null,
      deps: [{ path: 'github.com/new/name', version: 'v1.1.0', sum: 'h1:x=' }],
      settings: {},
    },
  ],
  unexplained: [{ path: '/opt/stranger', sha256: 'c'.repeat(64), sha512: 'c'.repeat(128) }],
  owned: [{ path: '/usr/bin/bash', sha256: 'd'.repeat(64), owner: 'bash-5.2.21-1.oe2403sp1.x86_64' }],
  unread: [],
  files: 10,
  coverage: { explained: 5, total: 6 },
}
const subject: SbomSubject = {
  name: 'docker.io/rfolabs/hardened-coredns:v1.9.3-build20221011',
  digest: inventory.image,
  version: 'v1.9.3',
  epoch: 1_669_075_200,
  supplier: { name: 'RFO Labs', url: 'https://github.com/rfolabs' },
  tool: { name: 'rfo-build', version: '0.1.0' },
}

interface Component {
  readonly 'bom-ref': string
  readonly name: string
  readonly version?: string
  readonly purl?: string
  readonly licenses?: readonly unknown[]
  readonly hashes?: readonly { readonly content: string }[]
  readonly properties?: readonly { readonly name: string; readonly value: string }[]
}
interface Document {
  readonly serialNumber: string
  readonly metadata: Readonly<Record<string, unknown>> & { readonly component: Component }
  readonly components: readonly Component[]
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn?: readonly string[] }[]
  readonly compositions: readonly unknown[]
}

describe('an SBOM', () => {
  test('is what the schema of CycloneDX 1.6 says', async () => {
    const text = await cyclonedx(inventory, subject)
    const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot6)
    expect(await validator.validate(text)).toBeNull()
    // and the judge does judge
    expect(await validator.validate(text.replace('"type": "container"', '"type": "vessel"'))).not.toBeNull()
    const empty = { ...inventory, os: null, rpm: [], go: [], unexplained: [], rpmDatabase: 'none' } as const
    expect(await validator.validate(await cyclonedx(empty, subject))).toBeNull()
  })

  test('names what is linked statically, with its licence, and the programs that hold it', async () => {
    const url = 'https://example.org/libseccomp-2.5.4.tar.gz'
    const one = { name: 'libseccomp', version: '2.5.4', license: 'LGPL-2.1-only', url, digest: digestOf('archive'), programs: ['/helper'] }
    const two = { ...one, name: 'both', license: 'MIT OR LGPL-2.1-or-later', programs: ['/helper', '/coredns'] }
    const text = await cyclonedx(inventory, { ...subject, libraries: [one, two] })
    expect(await new Validation.JsonStrictValidator(Spec.Version.v1dot6).validate(text)).toBeNull()
    const document = JSON.parse(text) as Document
    expect(document.components.find(({ name }) => name === 'libseccomp')).toMatchObject({
      type: 'library',
      version: '2.5.4',
      description: 'linked statically',
      purl: `pkg:generic/libseccomp@2.5.4?checksum=${encodeURIComponent(digestOf('archive'))}&download_url=${encodeURIComponent(url)}`,
      licenses: [{ license: { id: 'LGPL-2.1-only', acknowledgement: 'declared' } }],
      properties: [
        { name: 'rfo:linked', value: 'statically' },
        { name: 'rfo:source:sha256', value: digestOf('archive').slice(7) },
      ],
    })
    expect(document.components.find(({ name }) => name === 'both')?.licenses).toEqual([
      { expression: 'MIT OR LGPL-2.1-or-later', acknowledgement: 'declared' },
    ])
    const needs = (ref: string): readonly string[] => document.dependencies.find((each) => each.ref === ref)?.dependsOn ?? []
    expect(needs('file:/helper').filter((ref) => ref.startsWith('c:'))).toEqual(['c:libseccomp@2.5.4', 'c:both@2.5.4'])
    expect(needs('file:/coredns').filter((ref) => ref.startsWith('c:'))).toEqual(['c:both@2.5.4'])
  })

  test('is the same bytes again, of the same things', async () => {
    expect(await cyclonedx(inventory, subject)).toBe(await cyclonedx(structuredClone(inventory), { ...subject }))
    const other = await cyclonedx(inventory, { ...subject, digest: digestOf('another') })
    expect(other).not.toContain((JSON.parse(await cyclonedx(inventory, subject)) as Document).serialNumber)
  })

  test('holds packages, programs, modules and strangers, each once', async () => {
    const document = JSON.parse(await cyclonedx(inventory, subject)) as Document
    const byRef = new Map(document.components.map((one) => [one['bom-ref'], one]))
    expect(byRef.size).toBe(document.components.length)
    expect([...byRef.keys()]).toEqual([
      'os:openEuler@24.03',
      'rpm:bash-5.2.21-1.oe2403sp1.x86_64',
      'rpm:glibc-5.2.21-1.oe2403sp1.x86_64',
      'rpm:libstdc++-5.2.21-1.oe2403sp1.x86_64',
      'rpm:tzdata-5.2.21-1.oe2403sp1.noarch',
      'file:/coredns',
      'file:/helper',
      'file:/opt/stranger',
      'go:github.com/Azure/go-autorest/autorest@v0.11.27',
      'go:github.com/coredns/coredns@v0.0.0-20221122101112-0123456789ab',
      'go:github.com/local/tree@',
      'go:github.com/new/name@v1.1.0',
      'go:stdlib@1.26.8',
    ])
    expect(byRef.get('rpm:bash-5.2.21-1.oe2403sp1.x86_64')).toMatchObject({
      version: '1:5.2.21-1.oe2403sp1',
      purl: 'pkg:rpm/openeuler/bash@5.2.21-1.oe2403sp1?arch=x86_64&distro=openeuler-24.03-lts-sp1&epoch=1&upstream=bash-5.2.21-1.oe2403sp1.src.rpm',
      licenses: [{ license: { id: 'GPL-3.0-or-later', acknowledgement: 'declared' } }],
      properties: [
        { name: 'rfo:rpm:license', value: 'GPLv3+' },
        { name: 'rfo:rpm:headerSha256', value: 'e'.repeat(64) },
        { name: 'rfo:rpm:program', value: '/usr/bin/bash' },
        { name: 'bsi:component:filename', value: 'bash-5.2.21-1.oe2403sp1.x86_64.rpm' },
        { name: 'bsi:component:executable', value: 'executable' },
        { name: 'bsi:component:archive', value: 'archive' },
        { name: 'bsi:component:structured', value: 'structured' },
      ],
      externalReferences: [{ type: 'website', url: 'https://example.org/project' }],
      supplier: { name: 'http://openeuler.org', url: ['http://openeuler.org'] },
    })
    expect(byRef.get('rpm:glibc-5.2.21-1.oe2403sp1.x86_64')?.licenses).toEqual([
      { license: { name: 'LGPLv2+ and (MIT or BSD)', acknowledgement: 'declared' } },
    ])
    expect(byRef.get('file:/coredns')?.hashes).toEqual([
      { alg: 'SHA-256', content: 'a'.repeat(64) },
      { alg: 'SHA-512', content: 'a'.repeat(128) },
    ])
    expect(byRef.get('go:github.com/new/name@v1.1.0')).toMatchObject({
      purl: 'pkg:golang/github.com/new/name@v1.1.0',
      properties: [
        { name: 'rfo:go:sum', value: 'h1:x=' },
        { name: 'rfo:go:replaces', value: 'github.com/old/name@v1.0.0' },
      ],
    })
    const needs = new Map(document.dependencies.map(({ ref, dependsOn }) => [ref, dependsOn]))
    expect(needs.get(subject.digest)).toHaveLength(8)
    expect(needs.get('rpm:bash-5.2.21-1.oe2403sp1.x86_64')).toEqual(['rpm:glibc-5.2.21-1.oe2403sp1.x86_64'])
    expect(needs.get('file:/helper')).toEqual(['go:github.com/new/name@v1.1.0', 'go:stdlib@1.26.8'])
  })

  test('says of what, when, by whom and how completely', async () => {
    const { metadata, serialNumber, compositions } = JSON.parse(await cyclonedx(inventory, subject)) as Document
    expect(serialNumber).toMatch(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(metadata).toMatchObject({
      timestamp: '2022-11-22T00:00:00.000Z',
      lifecycles: [{ phase: 'build' }],
      tools: { components: [{ name: 'rfo-build', version: '0.1.0' }] },
      supplier: { name: 'RFO Labs' },
      manufacturer: { name: 'RFO Labs', url: ['https://github.com/rfolabs'] },
      component: { type: 'container', name: subject.name, version: 'v1.9.3' },
    })
    expect(metadata.component.properties).toContainEqual({ name: 'rfo:coverage:total', value: '6' })
    expect(compositions).toMatchObject([
      { aggregate: 'incomplete', assemblies: [subject.digest] },
      { aggregate: 'incomplete' },
      { aggregate: 'unknown' },
    ])
  })
})

describe('words', () => {
  const known = (id: string): string | undefined =>
    ['MIT', 'Apache-2.0', 'GPL-2.0-only', 'Classpath-exception-2.0', 'BSD-3-Clause'].find((one) => one.toLowerCase() === id.toLowerCase())

  test.each([
    ['MIT', 'MIT'],
    ['mit', 'MIT'],
    ['GPLv2+', 'GPL-2.0-or-later'],
    ['GPLv2+ and MIT', 'GPL-2.0-or-later AND MIT'],
    ['Mulan PSL v2 or MIT', 'MulanPSL-2.0 OR MIT'],
    ['MulanPSL2', 'MulanPSL-2.0'],
    ['(GPLv2+ or MIT) and ASL 2.0', '(GPL-2.0-or-later OR MIT) AND Apache-2.0'],
    ['MIT AND (Apache-2.0 OR BSD-3-Clause)', 'MIT AND (Apache-2.0 OR BSD-3-Clause)'],
    ['GPL-2.0-only WITH Classpath-exception-2.0', 'GPL-2.0-only WITH Classpath-exception-2.0'],
  ])('licence %s', (field, expected) => {
    const license = parseLicense(field, known)
    expect(license?.kind === 'id' ? license.id : license?.kind === 'expression' ? license.expression : undefined).toBe(expected)
  })

  test.each(['Public Domain', 'GPLv2+ with exceptions', 'MIT and', 'and MIT', '(MIT', 'MIT)', 'MIT MIT', '()', 'constructor'])(
    'licence %s is nobody’s but its own',
    (field) => expect(parseLicense(field, known)).toEqual({ kind: 'name', name: field }),
  )

  test('a licence field as long as a book stays a name', () => {
    expect(parseLicense('a '.repeat(10_000), known)?.kind).toBe('name')
  })

  test('package URLs, and names that can have none', () => {
    expect(golangPurl('github.com/docker/distribution', 'v2.8.1+incompatible')).toBe(
      'pkg:golang/github.com/docker/distribution@v2.8.1+incompatible',
    )
    expect(golangPurl('stdlib', '1.26.8')).toBe('pkg:golang/stdlib@1.26.8')
    expect(golangPurl('x.org/y', 'vnonsense')).toBeUndefined()
    expect(golangPurl('', '')).toBeUndefined()
    expect(rpmPurl(rpmOf('libstdc++'), inventory.os)).toContain('/libstdc%2B%2B@5.2.21')
    expect(rpmPurl(rpmOf('x'), { id: 'openEuler', version: '22.03', prettyName: 'openEuler 22.03 LTS' })).toContain(
      'distro=openeuler-22.03&',
    )
    expect(ociPurl('registry.local:5000/a/Image:v1', digestOf('x'), 'arm64')).toBe(
      `pkg:oci/image@${digestOf('x')}?arch=arm64&repository_url=registry.local%3A5000%2Fa%2FImage&tag=v1`,
    )
  })

  test('UUIDs as RFC 9562 has them', () => {
    // computed by python3's uuid.uuid5(uuid.NAMESPACE_URL, …)
    expect(uuidOf('https://www.example.com')).toBe('a0787afd-c170-5773-8d60-02739168de9f')
  })
})
