/** Advisories as their publishers write them, after the schemas; our own words, nobody's data. */

export interface Said {
  readonly number?: number
  readonly year?: number
  readonly severity?: string
  readonly cve?: string
  readonly stream?: string
  readonly source?: string
  /** version-release with dist tag */
  readonly fixed?: string
  readonly published?: string
}

const filled = (said: Said) => ({
  number: 1001,
  year: 2026,
  severity: 'High',
  cve: 'CVE-2026-10001',
  stream: '24.03-LTS-SP1',
  source: 'openssl',
  fixed: '3.0.12-10.oe2403sp1',
  published: '2026-10-01T08:00:00+08:00',
  ...said,
})

/** https://docs.oasis-open.org/csaf/csaf/v2.0/os/csaf-v2.0-os.html */
export function csaf(said: Said = {}): string {
  const { number, year, severity, cve, stream, source, fixed, published } = filled(said)
  const file = (arch: string, name = source): string => `${name}-${fixed}.${arch}.rpm`
  const product = (name: string, id: string): object => ({
    category: 'product_version',
    name,
    product: { name, product_id: id, product_identification_helper: { cpe: `cpe:/a:openEuler:openEuler:${stream}` } },
  })
  const whole = `openEuler-${stream}`
  return JSON.stringify({
    document: {
      aggregate_severity: { namespace: 'https://nvd.nist.gov/vuln-metrics/cvss', text: severity },
      category: 'csaf_security_advisory',
      csaf_version: '2.0',
      lang: 'en',
      publisher: { category: 'vendor', name: 'openEuler', namespace: 'https://www.openeuler.org' },
      title: `An update for ${source} is now available for ${whole}`,
      tracking: {
        id: `openEuler-SA-${year}-${number}`,
        initial_release_date: published,
        current_release_date: published,
        status: 'final',
        version: '1.0.0',
        revision_history: [{ date: published, number: '1.0.0', summary: 'Initial' }],
      },
    },
    product_tree: {
      branches: [
        {
          category: 'vendor',
          name: 'openEuler',
          branches: [
            { category: 'product_name', name: 'openEuler', branches: [product(whole, whole)] },
            { category: 'architecture', name: 'src', branches: [product(file('src'), file('src'))] },
            {
              category: 'architecture',
              name: 'x86_64',
              branches: [product(file('x86_64', `${source}-libs`), file('x86_64', `${source}-libs`))],
            },
          ],
        },
      ],
      relationships: [file('src'), file('x86_64', `${source}-libs`)].map((reference) => ({
        category: 'default_component_of',
        full_product_name: { product_id: `${whole}:${reference}`, name: `${reference} as a component of ${whole}` },
        product_reference: reference,
        relates_to_product_reference: whole,
      })),
    },
    vulnerabilities: [
      {
        cve,
        product_status: { fixed: [`${whole}:${file('src')}`] },
        scores: [{ cvss_v3: { baseScore: 7.5, baseSeverity: 'HIGH', version: '3.1' }, products: [`${whole}:${file('src')}`] }],
        threats: [{ category: 'impact', details: severity }],
      },
    ],
  })
}

/** https://docs.oasis-open.org/csaf/csaf-cvrf/v1.2/csaf-cvrf-v1.2.html, with openEuler's product ids that lack the dist tag */
export function cvrf(said: Said & { readonly cpe?: string } = {}): string {
  const { number, year, severity, cve, stream, source, fixed, published } = filled(said)
  const cpe = said.cpe ?? `cpe:/a:openEuler:openEuler:${stream}`
  const branch = (arch: string, name: string): string => `<Branch Type="Package Arch" Name="${arch}">
      <FullProductName ProductID="${name}-${fixed.replace(/\.oe.*/, '')}" CPE="${cpe}">${name}-${fixed}.${arch}.rpm</FullProductName>
    </Branch>`
  return `<?xml version="1.0" encoding="UTF-8"?>
<cvrfdoc xmlns="http://www.icasi.org/CVRF/schema/cvrf/1.1" xmlns:cvrf="http://www.icasi.org/CVRF/schema/cvrf/1.1">
  <DocumentTitle xml:lang="en">An update for ${source} is now available for openEuler-${stream}</DocumentTitle>
  <DocumentType>Security Advisory</DocumentType>
  <DocumentTracking>
    <Identification><ID>openEuler-SA-${year}-${number}</ID></Identification>
    <Status>Final</Status><Version>1.0</Version>
    <InitialReleaseDate>${published.slice(0, 10)}</InitialReleaseDate>
    <CurrentReleaseDate>${published.slice(0, 10)}</CurrentReleaseDate>
  </DocumentTracking>
  <DocumentNotes>
    <Note Title="Synopsis" Type="General" Ordinal="1" xml:lang="en">${source} &amp; its friends</Note>
    <Note Title="Severity" Type="General" Ordinal="5" xml:lang="en">${severity}</Note>
  </DocumentNotes>
  <ProductTree xmlns="http://www.icasi.org/CVRF/schema/prod/1.1">
    <Branch Type="Product Name" Name="openEuler"><FullProductName ProductID="openEuler-${stream}" CPE="${cpe}">openEuler-${stream}</FullProductName></Branch>
    ${branch('src', source)}
    ${branch('x86_64', `${source}-libs`)}
  </ProductTree>
  <Vulnerability Ordinal="1" xmlns="http://www.icasi.org/CVRF/schema/vuln/1.1">
    <Notes><Note Title="Vulnerability Description" Type="General" Ordinal="1" xml:lang="en">text</Note></Notes>
    <ReleaseDate>${published.slice(0, 10)}</ReleaseDate>
    <CVE>${cve}</CVE>
    <ProductStatuses><Status Type="Fixed"><ProductID>openEuler-${stream}</ProductID></Status></ProductStatuses>
    <Threats><Threat Type="Impact"><Description>${severity}</Description></Threat></Threats>
    <CVSSScoreSets><ScoreSet><BaseScore>7.5</BaseScore><Vector>AV:N</Vector></ScoreSet></CVSSScoreSets>
  </Vulnerability>
</cvrfdoc>
`
}

/** https://ossf.github.io/osv-schema/ with openEuler's ecosystem */
export function osv(said: Said = {}): string {
  const { number, year, severity, cve, stream, source, fixed, published } = filled(said)
  return JSON.stringify({
    schema_version: '1.7.2',
    id: `OESA-${year}-${number}`,
    modified: '2026-10-02T00:00:00Z',
    published: new Date(published).toISOString(),
    upstream: [cve],
    summary: `${source} security update`,
    affected: [
      {
        package: { ecosystem: `openEuler:${stream}`, name: source, purl: `pkg:rpm/openEuler/${source}&distro=openEuler-${stream}` },
        ranges: [{ type: 'ECOSYSTEM', events: [{ introduced: '0' }, { fixed }] }],
        ecosystem_specific: { x86_64: [`${source}-libs-${fixed}.x86_64.rpm`], src: [`${source}-${fixed}.src.rpm`] },
      },
    ],
    database_specific: { severity },
  })
}

export interface GoSaid {
  readonly id?: string
  readonly module?: string
  readonly events?: readonly object[]
  readonly aliases?: readonly string[]
  readonly withdrawn?: string
  readonly published?: string
}

/** https://go.dev/security/vuln/database#schema */
export function go({
  id = 'GO-2026-1001',
  module = 'example.com/m',
  events = [{ introduced: '0' }, { fixed: '1.2.3' }],
  ...more
}: GoSaid = {}): string {
  return JSON.stringify({
    schema_version: '1.3.1',
    id,
    modified: '2026-10-02T00:00:00Z',
    published: more.published ?? '2026-10-01T00:00:00Z',
    aliases: more.aliases ?? ['CVE-2026-20001', 'GHSA-aaaa-bbbb-cccc'],
    ...(more.withdrawn === undefined ? {} : { withdrawn: more.withdrawn }),
    summary: `Something in ${module}`,
    affected: [
      {
        package: { name: module, ecosystem: 'Go' },
        ranges: [{ type: 'SEMVER', events }],
        ecosystem_specific: { imports: [{ path: `${module}/sub`, symbols: ['Do'] }] },
      },
    ],
    database_specific: { url: `https://pkg.go.dev/vuln/${id}`, review_status: 'REVIEWED' },
  })
}

/** https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md */
export function openVex(statements: readonly object[], more: object = {}): string {
  return JSON.stringify({
    '@context': 'https://openvex.dev/ns/v0.2.0',
    '@id': 'https://rfo.example/vex/1',
    author: 'security@rfo.example',
    timestamp: '2026-10-05T00:00:00Z',
    version: 1,
    statements,
    ...more,
  })
}
