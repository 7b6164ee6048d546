/** What every one of our CycloneDX documents has, whatever it is about: who, when, with what, and how completely. */
import type { Enums, Models, Serialize, SPDX, Spec } from '@cyclonedx/cyclonedx-library'
import type { Digest } from '../oci/digest.ts'
import type { StaticLibrary } from './cyclonedx-library.ts'
import { uuidOf } from './uuid.ts'

export interface Supplier {
  readonly name: string
  /** '' when nobody knows one */
  readonly url: string
}

export interface SbomSubject {
  /** image reference, file name, or what a person calls it */
  readonly name: string
  /** of the platform's manifest, of the file, or of the list of files */
  readonly digest: Digest
  readonly version: string
  /** seconds since 1970 */
  readonly epoch: number
  /** who distributes it; of what is inside, where nobody else is known */
  readonly supplier: Supplier
  /** who makes the document; default: who distributes what it is about */
  readonly author?: Supplier
  readonly tool: { readonly name: string; readonly version: string }
  /** what an input of the image stands in for; an SBOM is carried alone too, and must say so */
  readonly standIn?: string
  /** C libraries inside programs, where nothing in the image tells of them */
  readonly libraries?: readonly StaticLibrary[]
  /** Default: a container image. `tree`: a folder, whose digest is of no bytes that lie anywhere. */
  readonly is?: 'image' | 'file' | 'archive' | 'tree'
  /** as an rpm writes it */
  readonly license?: string
  /** Default: the purl of an image of that name and digest. */
  readonly purl?: string
}

/** The library, which takes 60 ms to load and is loaded when it is first needed. */
export interface Library {
  readonly Enums: typeof Enums
  readonly Models: typeof Models
  readonly SPDX: typeof SPDX
  readonly Serialize: typeof Serialize
  readonly Spec: typeof Spec
}

export async function loadLibrary(): Promise<Library> {
  return await import('@cyclonedx/cyclonedx-library')
}

/** https://cyclonedx.org/docs/1.6/json/#compositions_items_aggregate */
export interface Completeness {
  readonly assembly: 'complete' | 'incomplete' | 'unknown'
  /** whose dependencies are all known, known in part, not known */
  readonly complete?: readonly Models.Component[]
  readonly incomplete?: readonly Models.Component[]
  readonly unknown?: readonly Models.Component[]
}

/** Two spaces of indentation and a newline at the end. */
export function bomOf(
  library: Library,
  subject: Pick<SbomSubject, 'digest' | 'epoch' | 'supplier' | 'author' | 'tool'>,
  root: Models.Component,
  components: readonly Models.Component[],
  completeness: Completeness,
): string {
  const { Models, Enums, Serialize, Spec } = library
  const { supplier, author = supplier, tool } = subject
  const bom = new Models.Bom({ serialNumber: `urn:uuid:${uuidOf(`https://cyclonedx.org/bom#${subject.digest}`)}` })
  bom.metadata.timestamp = new Date(subject.epoch * 1000)
  bom.metadata.lifecycles.add(Enums.LifecyclePhase.Build)
  bom.metadata.supplier = organization(library, supplier)
  bom.metadata.component = root
  bom.metadata.tools.components.add(new Models.Component(Enums.ComponentType.Application, tool.name, { version: tool.version }))
  for (const one of components) bom.components.add(one)
  const normalized = new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6).makeForBom().normalize(bom, { sortLists: false })
  const refs = (some: readonly Models.Component[] = []): string[] => some.map(({ bomRef }) => bomRef.toString())
  const document = {
    ...normalized,
    metadata: { ...normalized.metadata, manufacturer: { name: author.name, ...(author.url === '' ? {} : { url: [author.url] }) } },
    // https://cyclonedx.org/docs/1.6/json/#compositions; the library has no model of them
    compositions: [
      { aggregate: completeness.assembly, assemblies: refs([root]) },
      { aggregate: 'complete', dependencies: refs(completeness.complete) },
      { aggregate: 'incomplete', dependencies: refs(completeness.incomplete) },
      { aggregate: 'unknown', dependencies: refs(completeness.unknown) },
    ].filter((one) => (one.assemblies ?? one.dependencies).length > 0),
  }
  return `${JSON.stringify(document, undefined, 2)}\n`
}

export function organization({ Models }: Library, { name, url }: Supplier): Models.OrganizationalEntity {
  return new Models.OrganizationalEntity({ name, ...(url === '' ? {} : { url: new Set([url]) }) })
}

/** `sha512` is what BSI TR-03183-2 asks for. */
export function hashesOf({ Models, Enums }: Library, sha256: string, sha512?: string): Models.HashDictionary {
  return new Models.HashDictionary([
    [Enums.HashAlgorithm['SHA-256'], sha256],
    ...(sha512 === undefined ? [] : [[Enums.HashAlgorithm['SHA-512'], sha512] as const]),
  ])
}

/**
 * BSI TR-03183-2 v2.1, 5.2.2: the file that is delivered and what kind it is, as its own taxonomy of properties has them:
 * https://github.com/BSI-Bund/tr-03183-cyclonedx-property-taxonomy. `package` = an archive that programs are in.
 */
export function deployable(
  { Models }: Library,
  filename: string,
  kind: 'executable' | 'package' | 'archive' | 'data',
): readonly Models.Property[] {
  const archive = kind === 'package' || kind === 'archive'
  return [
    new Models.Property('bsi:component:filename', filename),
    new Models.Property('bsi:component:executable', kind === 'executable' || kind === 'package' ? 'executable' : 'non-executable'),
    new Models.Property('bsi:component:archive', archive ? 'archive' : 'no archive'),
    new Models.Property('bsi:component:structured', archive ? 'structured' : 'unstructured'),
  ]
}
