/**
 * An inventory as CycloneDX 1.6 JSON: https://cyclonedx.org/docs/1.6/json/. Same inventory and subject, same bytes: lists
 * are in the inventory's order, since the library's own sorting asks the locale; the time is the release's epoch.
 */
import type { Enums, Models, Serialize, SPDX, Spec } from '@cyclonedx/cyclonedx-library'
import type { Digest } from '../oci/digest.ts'
import { hex } from '../oci/digest.ts'
import { annotationKeys } from '../oci/mediatype.ts'
import { goComponents } from './cyclonedx-go.ts'
import { libraryComponents, type StaticLibrary } from './cyclonedx-library.ts'
import type { Inventory, InventoryRpm } from './inventory.ts'
import { parseLicense } from './license.ts'
import { ociPurl, rpmPurl } from './purl.ts'
import { uuidOf } from './uuid.ts'

export interface SbomSubject {
  /** image reference */
  readonly name: string
  /** of the platform's manifest */
  readonly digest: Digest
  readonly version: string
  /** seconds since 1970 */
  readonly epoch: number
  readonly supplier: { readonly name: string; readonly url: string }
  readonly tool: { readonly name: string; readonly version: string }
  /** what an input of the image stands in for; an SBOM is carried alone too, and must say so */
  readonly standIn?: string
  /** C libraries inside programs, where nothing in the image tells of them */
  readonly libraries?: readonly StaticLibrary[]
}

/** The library, which takes 60 ms to load and is loaded when it is first needed. */
export interface Library {
  readonly Enums: typeof Enums
  readonly Models: typeof Models
  readonly SPDX: typeof SPDX
  readonly Serialize: typeof Serialize
  readonly Spec: typeof Spec
}

/** Two spaces of indentation and a newline at the end. */
export async function cyclonedx(inventory: Inventory, subject: SbomSubject): Promise<string> {
  const library: Library = await import('@cyclonedx/cyclonedx-library')
  const { Models, Enums, Serialize, Spec } = library
  const supplier = new Models.OrganizationalEntity({ name: subject.supplier.name, url: new Set([subject.supplier.url]) })
  const root = rootComponent(library, inventory, subject, supplier)
  const bom = new Models.Bom({ serialNumber: `urn:uuid:${uuidOf(`https://cyclonedx.org/bom#${subject.digest}`)}` })
  bom.metadata.timestamp = new Date(subject.epoch * 1000)
  bom.metadata.lifecycles.add(Enums.LifecyclePhase.Build)
  bom.metadata.supplier = supplier
  bom.metadata.component = root
  bom.metadata.tools.components.add(
    new Models.Component(Enums.ComponentType.Application, subject.tool.name, { version: subject.tool.version }),
  )
  const rpms = rpmComponents(library, inventory)
  const go = goComponents(library, inventory)
  const linked = libraryComponents(library, subject.libraries ?? [], go.programs)
  const system = systemComponent(library, inventory)
  const strangers = inventory.unexplained.map(({ path, sha256 }) => unexplainedComponent(library, path, sha256))
  for (const one of [...system, ...rpms, ...go.programs, ...strangers]) {
    bom.components.add(one)
    root.dependencies.add(one.bomRef)
  }
  for (const one of [...go.modules, ...linked]) bom.components.add(one)

  const normalized = new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6).makeForBom().normalize(bom, { sortLists: false })
  const document = {
    ...normalized,
    metadata: { ...normalized.metadata, manufacturer: { name: subject.supplier.name, url: [subject.supplier.url] } },
    // https://cyclonedx.org/docs/1.6/json/#compositions; the library has no model of them
    compositions: [
      { aggregate: inventory.unexplained.length > 0 ? 'incomplete' : 'unknown', assemblies: [refOf(root)] },
      // build info lists the modules of a program, not which of them needs which; of rpms only what was resolved is known
      { aggregate: 'incomplete', dependencies: [...rpms, ...go.programs, ...go.modules].map(refOf) },
    ].filter((one) => (one.assemblies ?? one.dependencies).length > 0),
  }
  return `${JSON.stringify(document, undefined, 2)}\n`
}

function rootComponent(
  { Models, Enums }: Library,
  inventory: Inventory,
  subject: SbomSubject,
  supplier: Models.OrganizationalEntity,
): Models.Component {
  const purl = ociPurl(subject.name, subject.digest, inventory.platform.slice('linux/'.length))
  return new Models.Component(Enums.ComponentType.Container, subject.name, {
    bomRef: subject.digest,
    version: subject.version,
    ...(purl === undefined ? {} : { purl }),
    supplier,
    hashes: new Models.HashDictionary([[Enums.HashAlgorithm['SHA-256'], hex(subject.digest)]]),
    properties: new Models.PropertyRepository([
      ...(subject.standIn === undefined ? [] : [new Models.Property(annotationKeys.standIn, subject.standIn)]),
      new Models.Property('rfo:image:platform', inventory.platform),
      new Models.Property('rfo:coverage:explained', String(inventory.coverage.explained)),
      new Models.Property('rfo:coverage:total', String(inventory.coverage.total)),
      new Models.Property('rfo:rpm:database', inventory.rpmDatabase),
    ]),
  })
}

function systemComponent({ Models, Enums }: Library, { os }: Inventory): Models.Component[] {
  if (os === null) return []
  const { id, version, prettyName } = os
  const options = { bomRef: `os:${id}@${version}`, description: prettyName, ...(version === '' ? {} : { version }) }
  return [new Models.Component(Enums.ComponentType.OperatingSystem, id, options)]
}

function rpmComponents(library: Library, inventory: Inventory): Models.Component[] {
  const { Models, Enums } = library
  const byId = new Map<string, Models.Component>()
  const made = inventory.rpm.map((one) => {
    const purl = rpmPurl(one, inventory.os)
    const id = `${one.name}-${one.version}-${one.release}${one.arch === '' ? '' : `.${one.arch}`}`
    const properties = new Models.PropertyRepository()
    const licenses = licensesOf(library, one, properties)
    // no hash: this digest is of the package's header, and none that somebody could compute from a file in the image
    if (one.sha256 !== undefined) properties.add(new Models.Property('rfo:rpm:headerSha256', one.sha256))
    const component = new Models.Component(Enums.ComponentType.Library, one.name, {
      // a second epoch of the same package would share the name
      bomRef: byId.has(id) ? `rpm:${one.epoch ?? 0}:${id}` : `rpm:${id}`,
      version: `${one.epoch === undefined ? '' : `${one.epoch}:`}${one.version}-${one.release}`,
      ...(purl === undefined ? {} : { purl }),
      ...(one.vendor === '' ? {} : { supplier: new Models.OrganizationalEntity({ name: one.vendor }) }),
      ...(licenses === undefined ? {} : { licenses }),
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

/** What the field says beyond the licence that it was read as is kept in a property. */
function licensesOf(
  { Models, Enums, SPDX }: Library,
  one: InventoryRpm,
  properties: Models.PropertyRepository,
): Models.LicenseRepository | undefined {
  const license = parseLicense(one.license, (id) => SPDX.fixupSpdxId(id))
  if (license === undefined) return undefined
  const text = license.kind === 'id' ? license.id : license.kind === 'expression' ? license.expression : license.name
  if (text !== one.license) properties.add(new Models.Property('rfo:rpm:license', one.license))
  const made =
    license.kind === 'id'
      ? new Models.SpdxLicense(license.id)
      : license.kind === 'expression'
        ? new Models.LicenseExpression(license.expression)
        : new Models.NamedLicense(license.name)
  made.acknowledgement = Enums.LicenseAcknowledgement.Declared
  return new Models.LicenseRepository([made])
}

function unexplainedComponent({ Models, Enums }: Library, path: string, sha256: string): Models.Component {
  return new Models.Component(Enums.ComponentType.File, path, {
    bomRef: `file:${path}`,
    hashes: new Models.HashDictionary([[Enums.HashAlgorithm['SHA-256'], sha256]]),
    properties: new Models.PropertyRepository([new Models.Property('rfo:explained', 'false')]),
  })
}

function refOf(component: Models.Component): string {
  return component.bomRef.toString()
}
