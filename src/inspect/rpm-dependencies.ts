/** Which packages of an image need which others of it, from what their headers provide and require. */
import type { RpmPackage } from './rpmdb/header.ts'

/** `name-version-release.arch` */
export function nevra(one: RpmPackage): string {
  const arch = one.arch === '' ? '' : `.${one.arch}`
  return `${one.name}-${one.version}-${one.release}${arch}`
}

/**
 * nevra → sorted nevras. By capability name and file; versions are not compared, since the packages were installed
 * together, and requirements that no package meets (rpmlib(…), rich ones) are left out.
 */
export function dependencies(packages: readonly RpmPackage[]): ReadonlyMap<string, readonly string[]> {
  const providers = new Map<string, string>()
  for (const one of packages) {
    const id = nevra(one)
    for (const file of one.files) providers.set(file.path, id)
  }
  for (const one of packages) {
    const id = nevra(one)
    for (const name of one.provides) providers.set(name, id)
    providers.set(one.name, id)
  }
  return new Map(
    packages.map((one) => {
      const id = nevra(one)
      const needed = new Set(one.requires.flatMap((name) => providers.get(name) ?? []))
      needed.delete(id)
      return [id, [...needed].sort()]
    }),
  )
}
