/** rfo-build's own SBOM: what `npm ci` installs to run it, out of package-lock.json alone. Tools of development are no part of it. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Models } from '@cyclonedx/cyclonedx-library'
import { PackageURL } from 'packageurl-js'
import { parse } from 'yaml'
import { bomOf, deployable, loadLibrary, organization } from '../src/inspect/cyclonedx-document.ts'
import { rpmLicenses } from '../src/inspect/cyclonedx-rpm.ts'
import { digestOf } from '../src/oci/digest.ts'

const root = join(import.meta.dirname, '..')

interface Locked {
  readonly name?: string
  readonly version?: string
  readonly license?: string
  /** `sha512-<base64>`, of the package's tarball */
  readonly integrity?: string
  readonly dev?: boolean
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

/** 2026-11-28: of the first such document; one that is checked for freshness can't have the time of the check. */
const lockEpoch = 1_795_824_000

export async function ownSbom(lockText = readFileSync(join(root, 'package-lock.json'), 'utf8')): Promise<string> {
  const { packages } = JSON.parse(lockText) as { readonly packages: Readonly<Record<string, Locked>> }
  const library = await loadLibrary()
  const { Models, Enums } = library
  const own = packages[''] ?? {}
  const used = Object.entries(packages)
    .filter(([path, { dev }]) => path !== '' && dev !== true)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  const made = new Map<string, Models.Component>()
  for (const [path, each] of used) {
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
    const [namespace, short = name] = name.startsWith('@') ? name.split('/') : [undefined, name]
    const properties = new Models.PropertyRepository(deployable(library, `${short}-${each.version}.tgz`, 'package'))
    const licenses = rpmLicenses(library, each.license ?? '', properties)
    const integrity = /^sha512-(.+)$/.exec(each.integrity ?? '')?.[1]
    made.set(
      path,
      new Models.Component(Enums.ComponentType.Library, name, {
        bomRef: path,
        version: each.version ?? '',
        purl: new PackageURL('npm', namespace, short, each.version, undefined, undefined).toString(),
        // the lock says who distributes it, and of nobody who wrote it
        supplier: organization(library, { name: 'npm', url: 'https://www.npmjs.com' }),
        ...(licenses === undefined ? {} : { licenses }),
        ...(integrity === undefined
          ? {}
          : { hashes: new Models.HashDictionary([[Enums.HashAlgorithm['SHA-512'], Buffer.from(integrity, 'base64').toString('hex')]]) }),
        properties,
      }),
    )
  }
  const supplier = { name: 'RFO Labs', url: 'https://github.com/rfolabs' }
  const component = new Models.Component(Enums.ComponentType.Application, 'rfo-build', {
    bomRef: 'rfo-build',
    version: own.version ?? '',
    purl: `pkg:github/rfolabs/rfo-build@v${own.version}`,
    supplier: organization(library, supplier),
    licenses: rpmLicenses(library, own.license ?? '', new Models.PropertyRepository()) ?? new Models.LicenseRepository(),
    properties: new Models.PropertyRepository(deployable(library, `rfo-build-${own.version}.tgz`, 'package')),
  })
  for (const [path, from] of [['', component] as const, ...made]) {
    const { dependencies, optionalDependencies } = packages[path] ?? {}
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
      const needed = made.get(placeOf(path, name, packages))
      if (needed !== undefined) from.dependencies.add(needed.bomRef)
    }
  }
  const components = [...made.values()]
  return bomOf(
    library,
    { digest: digestOf(lockText), epoch: lockEpoch, supplier, tool: { name: 'rfo-build', version: own.version ?? '' } },
    component,
    components,
    { assembly: 'complete', complete: [component, ...components] },
  )
}

/** Where Node finds it: the nearest folder upwards. https://nodejs.org/api/modules.html#loading-from-node_modules-folders */
function placeOf(path: string, name: string, packages: Readonly<Record<string, Locked>>): string {
  for (let at = path; ; ) {
    const place = at === '' ? `node_modules/${name}` : `${at}/node_modules/${name}`
    if (place in packages || at === '') return place
    const up = at.lastIndexOf('node_modules/')
    at = up <= 0 ? '' : at.slice(0, up - 1)
  }
}

/** sbom/licenses.yaml */
export function licensePolicy(): { readonly allowed: readonly string[]; readonly exceptions: Readonly<Record<string, string>> } {
  return parse(readFileSync(join(root, 'sbom', 'licenses.yaml'), 'utf8'))
}
