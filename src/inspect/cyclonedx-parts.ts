/** A document about what is put together of parts that have documents of their own: a release, an archive, a package, a tarball. */
import type { Models } from '@cyclonedx/cyclonedx-library'
import { type Digest, hex } from '../oci/digest.ts'
import { annotationKeys } from '../oci/mediatype.ts'
import {
  bomOf,
  deployable,
  hashesOf,
  type Library,
  loadLibrary,
  organization,
  type SbomSubject,
  type Supplier,
} from './cyclonedx-document.ts'
import { rpmLicenses } from './cyclonedx-rpm.ts'

/** A document: path in the release. */
export interface BomReference {
  readonly path: string
  readonly digest: Digest
}

export interface Part {
  readonly name: string
  readonly version: string
  readonly digest: Digest
  /** `release`: its digest is of no bytes that lie anywhere */
  readonly is: 'image' | 'program' | 'package' | 'archive' | 'data' | 'release'
  readonly purl?: string
  /** as an rpm writes it */
  readonly license?: string
  readonly supplier?: Supplier
  /** the documents about it */
  readonly boms?: readonly BomReference[]
  /** more to say, by name */
  readonly properties?: Readonly<Record<string, string>>
}

/** Two spaces of indentation and a newline at the end. The parts are all there is. */
export async function cyclonedxOfParts(
  whole: Part,
  parts: readonly Part[],
  subject: Omit<SbomSubject, 'name' | 'version'>,
): Promise<string> {
  const library = await loadLibrary()
  const root = partComponent(library, whole, subject.digest, subject)
  const seen = new Set<string>()
  const components = parts.map((part) => {
    const ref = `${part.digest}:${part.name}`
    if (seen.has(ref)) throw new Error(`${part.name} is listed twice`)
    seen.add(ref)
    return partComponent(library, part, ref, { supplier: subject.supplier })
  })
  for (const one of components) root.dependencies.add(one.bomRef)
  return bomOf(library, subject, root, components, {
    assembly: 'complete',
    complete: [root],
    // what they need is in their own documents
    unknown: components,
  })
}

function partComponent(
  library: Library,
  part: Part,
  ref: string,
  { supplier, standIn }: Pick<SbomSubject, 'supplier' | 'standIn'>,
): Models.Component {
  const { Models, Enums } = library
  const { name, digest, is, purl, boms = [] } = part
  const properties = new Models.PropertyRepository()
  if (standIn !== undefined) properties.add(new Models.Property(annotationKeys.standIn, standIn))
  for (const [key, value] of Object.entries(part.properties ?? {})) properties.add(new Models.Property(key, value))
  const licenses = part.license === undefined ? undefined : rpmLicenses(library, part.license, properties)
  const kinds = {
    image: 'archive',
    program: 'executable',
    package: 'package',
    archive: 'archive',
    data: 'data',
    release: 'archive',
  } as const
  for (const each of deployable(library, name.slice(name.lastIndexOf('/') + 1), kinds[is])) properties.add(each)
  const { Container, Application, File } = Enums.ComponentType
  return new Models.Component(is === 'image' ? Container : is === 'release' ? Application : File, name, {
    bomRef: ref,
    version: part.version,
    ...(purl === undefined ? {} : { purl }),
    supplier: organization(library, part.supplier ?? supplier),
    ...(is === 'release' ? {} : { hashes: hashesOf(library, hex(digest)) }),
    ...(licenses === undefined ? {} : { licenses }),
    externalReferences: new Models.ExternalReferenceRepository(
      boms.map(
        (bom) => new Models.ExternalReference(bom.path, Enums.ExternalReferenceType.BOM, { hashes: hashesOf(library, hex(bom.digest)) }),
      ),
    ),
    properties,
  })
}
