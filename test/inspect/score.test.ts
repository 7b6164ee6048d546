/** What a document lacks is found, element by element; what rpm and build info carry can't be lost. */
import { describe, expect, test } from 'vitest'
import { lostFields, refuseLost } from '../../src/inspect/carried.ts'
import { cyclonedx } from '../../src/inspect/cyclonedx.ts'
import type { Inventory } from '../../src/inspect/inventory.ts'
import { type Standard, scoreSbom } from '../../src/inspect/score.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { refuseLowScore } from '../../src/release/sbom-score.ts'

const inventory: Inventory = {
  schema: 'rfo-build.inventory/1',
  image: digestOf('image'),
  platform: 'linux/arm64',
  os: { id: 'openEuler', version: '24.03', prettyName: 'openEuler 24.03 (LTS-SP1)' },
  rpm: [
    {
      name: 'bash',
      version: '5.2',
      release: '1.oe2403',
      arch: 'aarch64',
      license: 'GPLv3+',
      vendor: 'http://openeuler.org',
      url: '',
      sourceRpm: 'bash-5.2-1.oe2403.src.rpm',
      sha256: 'e'.repeat(64),
      dependsOn: ['glibc-2.38-1.oe2403.aarch64'],
    },
    {
      name: 'glibc',
      version: '2.38',
      release: '1.oe2403',
      arch: 'aarch64',
      license: 'LGPLv2+',
      vendor: '',
      url: '',
      sourceRpm: '',
      dependsOn: [],
    },
  ],
  rpmDatabase: 'ndb',
  go: [
    {
      path: '/app',
      sha256: 'a'.repeat(64),
      sha512: 'a'.repeat(128),
      goVersion: 'go1.26.8',
      package: 'x.org/app',
      main: { path: 'x.org/app', version: '(devel)', sum: '' },
      deps: [{ path: 'y.org/lib', version: 'v1.0.0', sum: '' }],
      settings: {},
    },
  ],
  unexplained: [{ path: '/odd', sha256: 'c'.repeat(64), sha512: 'c'.repeat(128) }],
  owned: [],
  unread: [],
  files: 3,
  coverage: { explained: 1, total: 2 },
}
const text = await cyclonedx(inventory, {
  name: 'docker.io/rfolabs/app:v1',
  digest: digestOf('manifest'),
  version: 'v1',
  epoch: 1_700_000_000,
  supplier: { name: 'RFO', url: 'https://example.test/rfo' },
  tool: { name: 'rfo-build', version: '0.1.0' },
})

interface Component {
  name: string
  version?: string
  purl?: string
  supplier?: { name: string; url?: string[] }
  licenses?: unknown[]
  hashes?: { alg: string; content: string }[]
  properties?: { name: string; value: string }[]
}
interface Document {
  specVersion: string
  metadata: Record<string, unknown> & { component: Component }
  components: Component[]
  dependencies: { ref: string; dependsOn?: string[] }[]
  compositions: { aggregate: string; dependencies?: string[]; assemblies?: string[] }[]
}
const changed = (change: (document: Document) => void): string => {
  const document = JSON.parse(text) as Document
  change(document)
  return JSON.stringify(document)
}
const of = (document: Document, name: string): Component => {
  const found = document.components.find((each) => each.name === name)
  if (found === undefined) throw new Error(`no ${name}`)
  return found
}
const element = (document: string, standard: Standard, name: string) =>
  scoreSbom(document)
    .find((each) => each.standard === standard)
    ?.elements.find((each) => each.element.startsWith(name))

describe('a score', () => {
  test('of our own document: all that NTIA asks for, and of the others what can be known', () => {
    const [ntia, cisa, bsi] = scoreSbom(text)
    expect(ntia).toMatchObject({ standard: 'ntia-2021', percent: 100 })
    expect(cisa?.elements.filter(({ met, of: all }) => met < all).map(({ element: name }) => name)).toEqual(['component hash', 'license'])
    expect(element(text, 'cisa-2025', 'license')).toEqual({
      element: 'license',
      met: 2,
      of: 9,
      lacking: ['docker.io/rfolabs/app:v1', 'openEuler', '/app'],
    })
    expect(bsi?.elements.slice(0, 3).every(({ met, of: all }) => met === all)).toBe(true)
    expect(element(text, 'bsi-tr-03183-2-v2.1', 'hash value')?.met).toBe(2)
  })

  test.each<[Standard, string, (document: Document) => void, string]>([
    ['ntia-2021', 'supplier', (d) => delete of(d, 'bash').supplier, 'bash'],
    ['ntia-2021', 'supplier', (d) => (of(d, 'bash').supplier = { name: 'NOASSERTION' }), 'bash'],
    ['ntia-2021', 'supplier', (d) => (of(d, 'bash').supplier = { name: 'unknown' }), 'bash'],
    ['ntia-2021', 'component name', (d) => (of(d, 'bash').name = ''), ''],
    ['ntia-2021', 'version', (d) => delete of(d, 'glibc').version, 'glibc'],
    ['ntia-2021', 'other unique', (d) => delete of(d, 'y.org/lib').purl, 'y.org/lib'],
    ['ntia-2021', 'dependency', (d) => (d.dependencies = d.dependencies.filter(({ ref }) => ref === 'x')), 'docker.io/rfolabs/app:v1'],
    ['ntia-2021', 'author', (d) => (d.metadata = { component: d.metadata.component, timestamp: d.metadata['timestamp'] }), 'the document'],
    ['ntia-2021', 'timestamp', (d) => (d.metadata['timestamp'] = 'yesterday'), 'the document'],
    ['cisa-2025', 'license', (d) => delete of(d, 'bash').licenses, '/app'],
    ['cisa-2025', 'component hash', (d) => delete of(d, '/app').hashes, '/app'],
    ['cisa-2025', 'tool name', (d) => delete d.metadata['tools'], 'the document'],
    ['cisa-2025', 'generation context', (d) => delete d.metadata['lifecycles'], 'the document'],
    ['cisa-2025', 'coverage', (d) => (d.compositions = []), 'docker.io/rfolabs/app:v1'],
    ['bsi-tr-03183-2-v2.1', 'format version', (d) => (d.specVersion = '1.5'), 'the document'],
    ['bsi-tr-03183-2-v2.1', 'component creator', (d) => (of(d, 'bash').supplier = { name: 'openEuler' }), 'bash'],
    ['bsi-tr-03183-2-v2.1', 'hash value', (d) => of(d, '/app').hashes?.pop(), '/app'],
    ['bsi-tr-03183-2-v2.1', 'filename', (d) => (of(d, '/app').properties = []), '/app'],
    ['bsi-tr-03183-2-v2.1', 'structured', (d) => of(d, 'bash').properties?.pop(), 'bash'],
  ])('%s misses: %s', (standard, name, change, lacking) => {
    const before = element(text, standard, name)
    const after = element(changed(change), standard, name)
    expect(after?.met).toBeLessThan(before?.met ?? 0)
    expect(after?.lacking.some((each) => each === lacking) || (after?.lacking.length ?? 0) === 3).toBe(true)
  })

  test('under NTIA 100 % a release ends with 4, and says of what', () => {
    expect(refuseLowScore(text)).toBe(text)
    expect(() => refuseLowScore(changed((d) => delete of(d, 'bash').supplier))).toThrow(
      expect.objectContaining({ code: 'RFO_RELEASE_SBOM', exit: 'condition', message: expect.stringContaining('without it: bash') }),
    )
  })

  test('what is no CycloneDX document is refused', () => {
    for (const bad of ['', '{', '[]', '{}', '{"bomFormat":"SPDX"}', '{"bomFormat":"CycloneDX","specVersion":"1.6","components":[7]}'])
      expect(() => scoreSbom(bad)).toThrow(expect.objectContaining({ code: 'RFO_INSPECT_SBOM', exit: 'untrusted' }))
  })
})

describe('what rpm and build info carry', () => {
  test('is all there', () => expect(lostFields(inventory, text)).toEqual([]))

  test.each<[string, (document: Document) => void]>([
    ['bash: licence', (d) => delete of(d, 'bash').licenses],
    ['bash: creator', (d) => (of(d, 'bash').supplier = { name: 'somebody' })],
    ['bash: version', (d) => delete of(d, 'bash').version],
    [
      'bash: hash of the header',
      (d) => (of(d, 'bash').properties = of(d, 'bash').properties?.filter(({ name }) => !name.includes('header')) ?? []),
    ],
    [
      'bash: filename',
      (d) => (of(d, 'bash').properties = of(d, 'bash').properties?.filter(({ name }) => !name.includes('filename')) ?? []),
    ],
    ['bash: dependencies', (d) => (d.dependencies = d.dependencies.filter(({ ref }) => !ref.startsWith('rpm:bash')))],
    ['/app: hash', (d) => of(d, '/app').hashes?.pop()],
    ['/app: dependency y.org/lib@v1.0.0', (d) => (d.dependencies = d.dependencies.filter(({ ref }) => ref !== 'file:/app'))],
  ])('loses %s: exit 4', (lost, change) => {
    expect(lostFields(inventory, changed(change))).toEqual([lost])
    expect(() => refuseLost(inventory, changed(change))).toThrow(expect.objectContaining({ code: 'RFO_INSPECT_LOST', exit: 'condition' }))
  })
})
