/**
 * An inventory as CycloneDX 1.6 JSON: https://cyclonedx.org/docs/1.6/json/. Same inventory and subject, same bytes: lists
 * are in the inventory's order, since the library's own sorting asks the locale; the time is the release's epoch.
 */
import type { Models } from '@cyclonedx/cyclonedx-library'
import { hex } from '../oci/digest.ts'
import { annotationKeys } from '../oci/mediatype.ts'
import {
  bomOf,
  type Completeness,
  deployable,
  hashesOf,
  type Library,
  loadLibrary,
  organization,
  type SbomSubject,
  type Supplier,
} from './cyclonedx-document.ts'
import { goComponents } from './cyclonedx-go.ts'
import { libraryComponents } from './cyclonedx-library.ts'
import { rpmComponents, rpmLicenses } from './cyclonedx-rpm.ts'
import type { Inventory } from './inventory.ts'
import { genericPurl, ociPurl } from './purl.ts'

/** Two spaces of indentation and a newline at the end. */
export async function cyclonedx(inventory: Inventory, subject: SbomSubject): Promise<string> {
  const library = await loadLibrary()
  const root = rootComponent(library, inventory, subject)
  const rpms = rpmComponents(library, inventory, subject.supplier)
  const go = goComponents(library, inventory)
  const linked = libraryComponents(library, subject.libraries ?? [], go.programs, subject.supplier)
  const system = systemComponent(library, inventory)
  const strangers = inventory.unexplained.map((each) => unexplainedComponent(library, each, subject.supplier))
  const direct = [...system, ...rpms, ...go.programs, ...strangers]
  for (const one of direct) root.dependencies.add(one.bomRef)
  const completeness: Completeness = {
    // scripts and data of no package are in no list here
    assembly: inventory.unexplained.length > 0 || inventory.unread.length > 0 ? 'incomplete' : 'unknown',
    // build info lists the modules of a program, not which of them needs which; of rpms only what was resolved is known
    incomplete: [...rpms, ...go.programs, ...go.modules],
    unknown: [...system, ...strangers, ...linked],
  }
  return bomOf(library, subject, root, [...direct, ...go.modules, ...linked], completeness)
}

function rootComponent(library: Library, inventory: Inventory, subject: SbomSubject): Models.Component {
  const { Models, Enums } = library
  const { digest, is = 'image' } = subject
  const arch = inventory.platform === 'any' ? '' : inventory.platform.slice('linux/'.length)
  const purl = subject.purl ?? (is === 'image' ? ociPurl(subject.name, digest, arch) : genericPurl(subject.name, subject.version))
  const type = is === 'image' ? Enums.ComponentType.Container : is === 'tree' ? Enums.ComponentType.Application : Enums.ComponentType.File
  const properties = new Models.PropertyRepository()
  const licenses = subject.license === undefined ? undefined : rpmLicenses(library, subject.license, properties)
  for (const each of [
    ...(subject.standIn === undefined ? [] : [new Models.Property(annotationKeys.standIn, subject.standIn)]),
    ...(is === 'image' ? [new Models.Property('rfo:image:platform', inventory.platform)] : []),
    ...(is === 'file' ? deployable(library, subject.name, 'executable') : []),
    ...(is === 'archive' || is === 'image' ? deployable(library, subject.name, 'archive') : []),
    new Models.Property('rfo:coverage:explained', String(inventory.coverage.explained)),
    new Models.Property('rfo:coverage:total', String(inventory.coverage.total)),
    new Models.Property('rfo:rpm:database', inventory.rpmDatabase),
    ...inventory.unread.map((path) => new Models.Property('rfo:unread', path)),
  ])
    properties.add(each)
  return new Models.Component(type, subject.name, {
    bomRef: digest,
    version: subject.version,
    ...(purl === undefined ? {} : { purl }),
    supplier: organization(library, subject.supplier),
    ...(is === 'tree' ? {} : { hashes: hashesOf(library, hex(digest)) }),
    ...(licenses === undefined ? {} : { licenses }),
    properties,
  })
}

function systemComponent(library: Library, { os }: Inventory): Models.Component[] {
  if (os === null) return []
  const { Models, Enums } = library
  const { id, version, prettyName } = os
  const purl = genericPurl(id, version)
  return [
    new Models.Component(Enums.ComponentType.OperatingSystem, id, {
      bomRef: `os:${id}@${version}`,
      description: prettyName,
      // a system without VERSION_ID is one that rolls
      version: version === '' ? 'rolling' : version,
      supplier: organization(library, { name: id, url: '' }),
      ...(purl === undefined ? {} : { purl }),
    }),
  ]
}

function unexplainedComponent(library: Library, file: Inventory['unexplained'][number], supplier: Supplier): Models.Component {
  const { Models, Enums } = library
  const { path, sha256, sha512 } = file
  return new Models.Component(Enums.ComponentType.File, path, {
    bomRef: `file:${path}`,
    // nobody says more of it: its bytes are its version, and who distributes it is its supplier
    version: `sha256:${sha256.slice(0, 12)}`,
    supplier: organization(library, supplier),
    hashes: hashesOf(library, sha256, sha512),
    properties: new Models.PropertyRepository([
      new Models.Property('rfo:explained', 'false'),
      ...deployable(library, path.slice(path.lastIndexOf('/') + 1), 'executable'),
    ]),
  })
}
