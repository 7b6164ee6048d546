import { describe, expect, test } from 'vitest'
import { indexProvenance, type ProvenanceInput, provenance } from '../../src/attest/provenance.ts'
import { canonicalJson } from '../../src/oci/json.ts'

const input: ProvenanceInput = {
  buildType: 'compiled',
  component: 'coredns',
  version: 'v1.9.3',
  platform: 'linux/riscv64',
  release: 'v1.24.8+rfor1',
  source: { uri: 'pkg:golang/github.com/coredns/coredns@v1.9.3', digest: { dirHash: 'aa'.repeat(32) } },
  materials: [
    { uri: 'pkg:golang/b@v1', digest: { dirHash: 'bb'.repeat(32) } },
    { uri: 'pkg:golang/a@v1', digest: { dirHash: 'cc'.repeat(32) }, name: 'a' },
  ],
  base: { uri: 'oci://docker.io/openeuler/openeuler', digest: { sha256: 'dd'.repeat(32) } },
  parameters: { tags: [], toolchain: 'go1.21.13' },
  builderId: 'https://github.com/rfolabs/rfo-build',
  builderVersion: '0.1.0',
}

interface Predicate {
  buildDefinition: {
    buildType: string
    externalParameters: Record<string, unknown>
    internalParameters: unknown
    resolvedDependencies: { uri: string }[]
  }
  runDetails: { builder: unknown; metadata: { invocationId: string } }
}
const made = (changes: Partial<ProvenanceInput> = {}): Predicate => provenance({ ...input, ...changes }) as unknown as Predicate

describe('provenance', () => {
  test('has the members of SLSA v1 and no time', () => {
    const { buildDefinition, runDetails } = made()
    expect(Object.keys(buildDefinition)).toEqual(['buildType', 'externalParameters', 'internalParameters', 'resolvedDependencies'])
    expect(buildDefinition.buildType).toBe('https://github.com/rfolabs/rfo-build/buildtypes/compiled/v1')
    expect(buildDefinition.externalParameters).toEqual({
      component: 'coredns',
      version: 'v1.9.3',
      platform: 'linux/riscv64',
      release: 'v1.24.8+rfor1',
      source: input.source.uri,
      parameters: input.parameters,
    })
    expect(buildDefinition.resolvedDependencies.map(({ uri }) => uri)).toEqual([
      input.source.uri,
      input.base?.uri,
      'pkg:golang/a@v1',
      'pkg:golang/b@v1',
    ])
    expect(runDetails.builder).toEqual({ id: input.builderId, version: { 'rfo-build': '0.1.0' } })
    expect(Object.keys(runDetails.metadata)).toEqual(['invocationId'])
  })

  test('what is said of a source and not proven stands beside its digest, not in it', () => {
    const source = { ...input.source, annotations: { commit: 'a'.repeat(40), commitSaidBy: 'pipeline' } }
    expect(made({ source }).buildDefinition.resolvedDependencies[0]).toEqual(source)
  })

  test('is the same bytes whatever the order of materials, and names the run by what it was asked', () => {
    const first = canonicalJson(provenance(input))
    expect(canonicalJson(provenance({ ...input, materials: [...input.materials].reverse() }))).toBe(first)
    expect(canonicalJson(provenance({ ...input, materials: [...input.materials, ...input.materials] }))).toBe(first)
    const names = [made(), made({ builderVersion: '0.1.1' }), made({ parameters: {} }), made({ platform: 'linux/arm64' })].map(
      ({ runDetails }) => runDetails.metadata.invocationId,
    )
    expect(new Set(names).size).toBe(4)
  })

  test('says which C compiler took part: another one is another build', () => {
    const compiler = { version: 'gcc (Debian 12.2.0-14) 12.2.0', libc: `sha256:${'ee'.repeat(32)}` }
    const said = made({ compiler })
    expect(said.buildDefinition.internalParameters).toEqual({ base: input.base?.uri, compiler })
    expect(said.runDetails.metadata.invocationId).not.toBe(made().runDetails.metadata.invocationId)
  })

  test('says what deviates and what stands in', () => {
    const { externalParameters } = made({
      deviates: { from: 'k3s-io/etcd', reason: 'refused' },
      standIn: 'docker.io/openeuler',
    }).buildDefinition
    expect(externalParameters).toMatchObject({ deviates: { from: 'k3s-io/etcd', reason: 'refused' }, standIn: 'docker.io/openeuler' })
  })
})

describe('of an index', () => {
  const manifests = ['linux/amd64', 'linux/riscv64'].map((name, at) => ({
    name,
    uri: `oci://x/y@sha256:${String(at).repeat(64)}`,
    digest: { sha256: String(at).repeat(64) },
  }))
  const input = {
    component: 'coredns',
    version: 'v1.9.3',
    release: 'v1.24.8+rfor1',
    manifests,
    builderId: 'https://example.test',
    builderVersion: '1',
  }

  test('names the manifests that it was put together from, and no platform of its own', () => {
    const said = JSON.parse(canonicalJson(indexProvenance(input)))
    expect(said.buildDefinition.resolvedDependencies).toEqual(manifests)
    expect(said.buildDefinition.externalParameters).toEqual({ component: 'coredns', version: 'v1.9.3', release: 'v1.24.8+rfor1' })
    expect(canonicalJson(indexProvenance(input))).toBe(canonicalJson(indexProvenance({ ...input })))
    expect(canonicalJson(indexProvenance({ ...input, manifests: manifests.slice(1) }))).not.toBe(canonicalJson(indexProvenance(input)))
  })
})
