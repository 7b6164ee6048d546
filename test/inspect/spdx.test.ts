/** SPDX out of CycloneDX: nothing is lost that SPDX has a word for, and identifiers are legal ones. */
import { describe, expect, test } from 'vitest'
import { cyclonedx } from '../../src/inspect/cyclonedx.ts'
import type { Inventory } from '../../src/inspect/inventory.ts'
import { spdx } from '../../src/inspect/spdx.ts'
import { digestOf } from '../../src/oci/digest.ts'

const rpm = (name: string, license: string, dependsOn: readonly string[] = []) => ({
  name,
  version: '5.2',
  release: '1',
  arch: 'x86_64',
  license,
  vendor: '',
  url: '',
  sourceRpm: '',
  dependsOn,
})
const inventory: Inventory = {
  schema: 'rfo-build.inventory/1',
  image: digestOf('image'),
  platform: 'linux/amd64',
  os: { id: 'openEuler', version: '24.03', prettyName: 'openEuler 24.03 (LTS-SP1)' },
  rpm: [
    rpm('bash', 'GPLv3+', ['glibc-5.2-1.x86_64']),
    rpm('glibc', 'LGPLv2+ and (MIT or BSD)'),
    rpm('zlib', 'Public Domain'),
    rpm('zstd', 'Public Domain'),
  ],
  rpmDatabase: 'ndb',
  go: [
    {
      path: '/coredns',
      sha256: 'a'.repeat(64),
      sha512: 'a'.repeat(128),
      goVersion: 'go1.26.8',
      package: 'x.org/coredns',
      main: { path: 'x.org/coredns', version: 'v1.9.3', sum: '' },
      deps: [],
      settings: {},
    },
  ],
  unexplained: [{ path: '/odd', sha256: 'c'.repeat(64), sha512: 'c'.repeat(128) }],
  owned: [],
  unread: [],
  files: 9,
  coverage: { explained: 1, total: 2 },
}
const made = cyclonedx(inventory, {
  name: 'docker.io/rfolabs/coredns:v1.9.3-build20221114',
  digest: digestOf('manifest'),
  version: 'v1.9.3',
  epoch: 1_668_400_000,
  supplier: { name: 'RFO', url: 'https://example.test/rfo' },
  tool: { name: 'rfo-build', version: '0.1.0' },
  standIn: 'x.org/coredns@v1.9.3',
})

interface Package {
  readonly SPDXID: string
  readonly name: string
  readonly versionInfo?: string
  readonly licenseDeclared: string
  readonly checksums?: unknown
  readonly comment?: string
  readonly externalRefs?: readonly { readonly referenceLocator: string }[]
}
interface Document {
  readonly packages: readonly Package[]
  readonly relationships: readonly {
    readonly spdxElementId: string
    readonly relationshipType: string
    readonly relatedSpdxElement: string
  }[]
  readonly hasExtractedLicensingInfos: readonly { readonly licenseId: string; readonly extractedText: string }[]
}

describe('an SPDX document', async () => {
  const bom = JSON.parse(await made)
  const text = spdx(await made)
  const document = JSON.parse(text) as Document
  const named = (name: string): Package => {
    const found = document.packages.find((each) => each.name === name)
    if (found === undefined) throw new Error(`no ${name}`)
    return found
  }

  test('says who, when and of what, the same each time', async () => {
    expect(spdx(await made)).toBe(text)
    expect(document).toMatchObject({
      spdxVersion: 'SPDX-2.3',
      dataLicense: 'CC0-1.0',
      SPDXID: 'SPDXRef-DOCUMENT',
      name: 'docker.io/rfolabs/coredns:v1.9.3-build20221114',
      creationInfo: { created: '2022-11-14T04:26:40Z', creators: ['Organization: RFO', 'Tool: rfo-build-0.1.0'] },
    })
    expect(named('docker.io/rfolabs/coredns:v1.9.3-build20221114').comment).toContain('x.org/coredns@v1.9.3')
  })

  test('has a package for each component, with its version, purl and digest', () => {
    expect(document.packages.length).toBe(bom.components.length + 1)
    for (const component of bom.components) {
      const one = named(component.name)
      expect(one.versionInfo).toBe(component.version)
      expect(one.externalRefs?.[0]?.referenceLocator).toBe(component.purl)
      expect(one.checksums).toEqual(
        component.hashes?.map(({ alg, content }: { alg: string; content: string }) => ({
          algorithm: alg.replace('-', ''),
          checksumValue: content,
        })),
      )
    }
    const ids = document.packages.map((each) => each.SPDXID)
    expect(new Set(ids).size).toBe(ids.length)
    for (const id of ids) expect(id).toMatch(/^SPDXRef-[A-Za-z0-9.-]+$/)
  })

  test('keeps licences: identifiers, expressions, and words that SPDX has not, each explained once', () => {
    expect(named('bash').licenseDeclared).toBe('GPL-3.0-or-later')
    expect(named('zlib').licenseDeclared).toMatch(/^LicenseRef-[0-9a-f]{16}$/)
    expect(named('zstd').licenseDeclared).toBe(named('zlib').licenseDeclared)
    const own = document.hasExtractedLicensingInfos.find(({ licenseId }) => licenseId === named('zlib').licenseDeclared)
    expect(own?.extractedText).toBe('Public Domain')
  })

  test('keeps what holds and what needs what', () => {
    const says = (from: Package, kind: string, to: Package): boolean =>
      document.relationships.some(
        (each) => each.spdxElementId === from.SPDXID && each.relationshipType === kind && each.relatedSpdxElement === to.SPDXID,
      )
    const [image] = document.packages as [Package]
    expect(document.relationships[0]).toEqual({
      spdxElementId: 'SPDXRef-DOCUMENT',
      relationshipType: 'DESCRIBES',
      relatedSpdxElement: image.SPDXID,
    })
    for (const name of ['bash', '/coredns', '/odd', 'openEuler']) expect(says(image, 'CONTAINS', named(name))).toBe(true)
    expect(says(named('bash'), 'DEPENDS_ON', named('glibc'))).toBe(true)
    expect(says(named('/coredns'), 'DEPENDS_ON', named('x.org/coredns'))).toBe(true)
    expect(says(named('glibc'), 'DEPENDS_ON', named('bash'))).toBe(false)
  })
})
