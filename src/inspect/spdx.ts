/**
 * The same inventory as SPDX 2.3 JSON: https://spdx.github.io/spdx-spec/v2.3/. It is made of the CycloneDX document, so that both say the
 * same: its components are packages, what it depends on is a relationship. Same document, same bytes; the time is the release's epoch.
 */
import { z } from 'zod'
import { digestOf, hex } from '../oci/digest.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { annotationKeys } from '../oci/mediatype.ts'

const License = z.looseObject({
  expression: z.string().optional(),
  license: z.looseObject({ id: z.string().optional(), name: z.string().optional() }).optional(),
})
const Hashes = z.array(z.looseObject({ alg: z.string(), content: z.string() }))
const Component = z.looseObject({
  'bom-ref': z.string(),
  type: z.string(),
  name: z.string(),
  version: z.string().optional(),
  purl: z.string().optional(),
  supplier: z.looseObject({ name: z.string() }).optional(),
  externalReferences: z.array(z.looseObject({ type: z.string(), url: z.string(), hashes: Hashes.optional() })).optional(),
  hashes: Hashes.optional(),
  licenses: z.array(License).optional(),
  properties: z.array(z.looseObject({ name: z.string(), value: z.string() })).optional(),
})
type Component = z.infer<typeof Component>
/** What is read of our own CycloneDX document. */
const Bom = z.looseObject({
  serialNumber: z.string(),
  metadata: z.looseObject({
    timestamp: z.string(),
    component: Component,
    supplier: z.looseObject({ name: z.string() }),
    tools: z.looseObject({ components: z.array(z.looseObject({ name: z.string(), version: z.string() })) }),
  }),
  components: z.array(Component).optional(),
  dependencies: z.array(z.looseObject({ ref: z.string(), dependsOn: z.array(z.string()).optional() })).optional(),
})

/** https://spdx.github.io/spdx-spec/v2.3/package-information/#724-primary-package-purpose-field */
const purposes: Readonly<Record<string, string>> = {
  container: 'CONTAINER',
  library: 'LIBRARY',
  'operating-system': 'OPERATING-SYSTEM',
  file: 'FILE',
  application: 'APPLICATION',
}

const unknown = 'NOASSERTION'

/** Canonical JSON of a document about the image that the CycloneDX document is about. */
export function spdx(cyclonedx: string): string {
  const { serialNumber, metadata, components = [], dependencies = [] } = Bom.parse(JSON.parse(cyclonedx))
  const all = [metadata.component, ...components]
  const ids = new Map(all.map((one, at) => [one['bom-ref'], at === 0 ? 'SPDXRef-Image' : `SPDXRef-Package-${at}`]))
  const named = new Map<string, string>()
  const packages = all.map((one) => packageOf(one, ids.get(one['bom-ref']) ?? '', named))
  const relationships = dependencies.flatMap(({ ref, dependsOn = [] }) =>
    dependsOn.flatMap((needed) => {
      const [from, to] = [ids.get(ref), ids.get(needed)]
      const kind = ref === metadata.component['bom-ref'] ? 'CONTAINS' : 'DEPENDS_ON'
      return from === undefined || to === undefined ? [] : [relationship(from, kind, to)]
    }),
  )
  return canonicalJson({
    spdxVersion: 'SPDX-2.3',
    dataLicense: 'CC0-1.0',
    SPDXID: 'SPDXRef-DOCUMENT',
    name: metadata.component.name,
    // https://spdx.github.io/spdx-spec/v2.3/document-creation-information/#65-spdx-document-namespace-field : unique, not to be fetched
    documentNamespace: `https://spdx.org/spdxdocs/${serialNumber.replace('urn:uuid:', '')}`,
    creationInfo: {
      // https://www.cisa.gov/resources-tools/resources/types-software-bill-materials-sbom
      comment: 'SBOM Type: Build',
      created: metadata.timestamp.replace(/\.\d+Z$/, 'Z'),
      creators: [
        `Organization: ${metadata.supplier.name}`,
        ...metadata.tools.components.map(({ name, version }) => `Tool: ${name}-${version}`),
      ],
    },
    packages,
    relationships: [relationship('SPDXRef-DOCUMENT', 'DESCRIBES', 'SPDXRef-Image'), ...relationships],
    ...(named.size === 0
      ? {}
      : { hasExtractedLicensingInfos: [...named].map(([text, licenseId]) => ({ licenseId, name: text, extractedText: text })) }),
  })
}

/** https://spdx.github.io/spdx-spec/v2.3/package-information/ */
function packageOf(one: Component, id: string, named: Map<string, string>): Json {
  const checksums = (one.hashes ?? []).map(({ alg, content }) => ({ algorithm: alg.replace('-', ''), checksumValue: content }))
  const website = one.externalReferences?.find(({ type }) => type === 'website')?.url
  const refs = [
    ...(one.purl === undefined ? [] : [{ referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: one.purl }]),
    // the document about it, by its digest
    ...(one.externalReferences ?? [])
      .filter(({ type }) => type === 'bom')
      .map(({ url, hashes }) => ({ referenceCategory: 'OTHER', referenceType: 'bom', referenceLocator: `${url}#${hashOf(hashes)}` })),
  ]
  const purpose = purposes[one.type]
  const standIn = one.properties?.find(({ name }) => name === annotationKeys.standIn)?.value
  return {
    SPDXID: id,
    name: one.name,
    downloadLocation: unknown,
    filesAnalyzed: false,
    licenseConcluded: unknown,
    licenseDeclared: licenseOf(one, named),
    copyrightText: unknown,
    ...(one.version === undefined || one.version === '' ? {} : { versionInfo: one.version }),
    ...(purpose === undefined ? {} : { primaryPackagePurpose: purpose }),
    ...(one.type === 'file' ? { packageFileName: one.name } : {}),
    ...(one.supplier === undefined ? {} : { supplier: `Organization: ${one.supplier.name}` }),
    ...(website === undefined ? {} : { homepage: website }),
    ...(checksums.length === 0 ? {} : { checksums }),
    ...(refs.length === 0 ? {} : { externalRefs: refs }),
    ...(standIn === undefined ? {} : { comment: `${annotationKeys.standIn}: ${standIn}` }),
  }
}

function hashOf(hashes: z.infer<typeof Hashes> = []): string {
  const [first] = hashes
  return first === undefined ? '' : `${first.alg.replace('-', '').toLowerCase()}:${first.content}`
}

/** Words that are no SPDX expression stand in the document itself: https://spdx.github.io/spdx-spec/v2.3/other-licensing-information-detected/ */
function licenseOf({ licenses = [] }: Component, named: Map<string, string>): string {
  const said = licenses.map(({ expression, license }) => {
    if (expression !== undefined) return licenses.length > 1 ? `(${expression})` : expression
    if (license?.id !== undefined) return license.id
    const text = license?.name ?? ''
    const id = named.get(text) ?? `LicenseRef-${hex(digestOf(text)).slice(0, 16)}`
    named.set(text, id)
    return id
  })
  return said.length === 0 ? unknown : said.join(' AND ')
}

function relationship(from: string, relationshipType: string, to: string): Json {
  return { spdxElementId: from, relationshipType, relatedSpdxElement: to }
}
