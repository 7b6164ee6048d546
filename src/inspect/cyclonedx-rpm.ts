/** Packages of an rpm database as components. */
import type { Models } from '@cyclonedx/cyclonedx-library'
import { deployable, type Library, organization, type Supplier } from './cyclonedx-document.ts'
import type { Inventory } from './inventory.ts'
import { parseLicense } from './license.ts'
import { rpmPurl } from './purl.ts'

/** In the inventory's order. `distributor`: the supplier of a package that names no vendor. */
export function rpmComponents(library: Library, inventory: Inventory, distributor: Supplier): Models.Component[] {
  const { Models, Enums } = library
  const byId = new Map<string, Models.Component>()
  const programs = new Map<string, string[]>()
  for (const { owner, path } of inventory.owned) programs.set(owner, [...(programs.get(owner) ?? []), path])
  const made = inventory.rpm.map((one) => {
    const purl = rpmPurl(one, inventory.os)
    const id = `${one.name}-${one.version}-${one.release}${one.arch === '' ? '' : `.${one.arch}`}`
    const properties = new Models.PropertyRepository()
    const licenses = rpmLicenses(library, one.license, properties)
    // no hash: this digest is of the package's header, and none that somebody could compute from a file in the image
    if (one.sha256 !== undefined) properties.add(new Models.Property('rfo:rpm:headerSha256', one.sha256))
    const own = programs.get(id) ?? []
    for (const path of own) properties.add(new Models.Property('rfo:rpm:program', path))
    for (const each of deployable(library, `${id}.rpm`, own.length > 0 ? 'package' : 'archive')) properties.add(each)
    const component = new Models.Component(Enums.ComponentType.Library, one.name, {
      // a second epoch of the same package would share the name
      bomRef: byId.has(id) ? `rpm:${one.epoch ?? 0}:${id}` : `rpm:${id}`,
      version: `${one.epoch === undefined ? '' : `${one.epoch}:`}${one.version}-${one.release}`,
      ...(purl === undefined ? {} : { purl }),
      supplier: organization(library, vendorOf(one.vendor) ?? distributor),
      ...(licenses === undefined ? {} : { licenses }),
      ...(isUrl(one.url) ? { externalReferences: website(library, one.url) } : {}),
      properties,
    })
    if (!byId.has(id)) byId.set(id, component)
    return component
  })
  for (const [n, one] of inventory.rpm.entries()) {
    for (const id of one.dependsOn) {
      const needed = byId.get(id)
      if (needed !== undefined) made[n]?.dependencies.add(needed.bomRef)
    }
  }
  return made
}

/** openEuler's vendor is its address. */
export function vendorOf(vendor: string): Supplier | undefined {
  if (vendor === '') return undefined
  return { name: vendor, url: isUrl(vendor) ? vendor : '' }
}

function isUrl(text: string): boolean {
  return /^https?:\/\/[^\s<>"{}|\\^`]+$/.test(text)
}

export function website({ Models, Enums }: Library, url: string): Models.ExternalReferenceRepository {
  return new Models.ExternalReferenceRepository([new Models.ExternalReference(url, Enums.ExternalReferenceType.Website)])
}

/** What the field says beyond the licence that it was read as is kept in a property. */
export function rpmLicenses(
  { Models, Enums, SPDX }: Library,
  field: string,
  properties: Models.PropertyRepository,
): Models.LicenseRepository | undefined {
  const license = parseLicense(field, (id) => SPDX.fixupSpdxId(id))
  if (license === undefined) return undefined
  const text = license.kind === 'id' ? license.id : license.kind === 'expression' ? license.expression : license.name
  if (text !== field) properties.add(new Models.Property('rfo:rpm:license', field))
  const made =
    license.kind === 'id'
      ? new Models.SpdxLicense(license.id)
      : license.kind === 'expression'
        ? new Models.LicenseExpression(license.expression)
        : new Models.NamedLicense(license.name)
  made.acknowledgement = Enums.LicenseAcknowledgement.Declared
  return new Models.LicenseRepository([made])
}
