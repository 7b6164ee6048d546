/** C libraries that are linked statically: no file and no build info of the image tells of them, so who linked them does. */
import type { Models } from '@cyclonedx/cyclonedx-library'
import type { Digest } from '../oci/digest.ts'
import { type Library, organization, type Supplier } from './cyclonedx-document.ts'
import { archivePurl } from './purl.ts'

export interface StaticLibrary {
  readonly name: string
  readonly version: string
  /** SPDX expression */
  readonly license: string
  /** of the source archive */
  readonly url: string
  readonly digest: Digest
  /** absolute paths in the image, sorted */
  readonly programs: readonly string[]
}

/** In the order given; each program that is there depends on what it holds. */
export function libraryComponents(
  library: Library,
  libraries: readonly StaticLibrary[],
  programs: readonly Models.Component[],
  distributor: Supplier,
): Models.Component[] {
  const { Models, Enums, SPDX } = library
  return libraries.map((one) => {
    const purl = archivePurl(one.name, one.version, one.url, one.digest)
    const id = SPDX.fixupSpdxId(one.license)
    const license = id === undefined ? new Models.LicenseExpression(one.license) : new Models.SpdxLicense(id)
    license.acknowledgement = Enums.LicenseAcknowledgement.Declared
    const component = new Models.Component(Enums.ComponentType.Library, one.name, {
      bomRef: `c:${one.name}@${one.version}`,
      version: one.version,
      description: 'linked statically',
      supplier: organization(library, distributor),
      ...(purl === undefined ? {} : { purl }),
      licenses: new Models.LicenseRepository([license]),
      properties: new Models.PropertyRepository([
        new Models.Property('rfo:linked', 'statically'),
        // of the archive that it was compiled from: the library itself is in no file of its own
        new Models.Property('rfo:source:sha256', one.digest.slice('sha256:'.length)),
      ]),
    })
    for (const program of programs) if (one.programs.includes(program.name)) program.dependencies.add(component.bomRef)
    return component
  })
}
