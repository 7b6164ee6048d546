/** What every package of a release says alike. */
import type { PlatformName } from '../oci/platform.ts'
import { spell, spellRpm, type Version } from '../plan/version.ts'
import { type RpmArch, type RpmPackage, rpmArch } from './package.ts'

export interface MadeBy {
  readonly version: Version
  /** RPM's release: a plain number, 1 for the first packages of a version */
  readonly release: string
  readonly vendor: string
  readonly url: string
  /** `Name <mail>` */
  readonly packager: string
  /** seconds; the day of the changelog's entry */
  readonly epoch: number
}

export type PackageShell = Omit<RpmPackage, 'summary' | 'description' | 'files' | 'scripts'>

/** The version is RFO's own unless told. */
export function packageShell(
  by: MadeBy,
  own: Pick<RpmPackage, 'name' | 'arch' | 'archives'> & Partial<Pick<RpmPackage, 'version' | 'release' | 'url' | 'loose'>>,
): PackageShell {
  return {
    version: spellRpm(by.version),
    release: by.release,
    license: 'Apache-2.0',
    url: by.url,
    vendor: by.vendor,
    packager: by.packager,
    requires: [],
    provides: [],
    conflicts: [],
    obsoletes: [],
    changelog: [
      {
        date: new Date(by.epoch * 1000).toISOString().slice(0, 10),
        author: by.packager,
        changes: [`RFO ${spell(by.version)}`],
      },
    ],
    ...own,
  }
}

export function perArch(names: Readonly<Partial<Record<PlatformName, string>>>): Readonly<Partial<Record<RpmArch, string>>> {
  const archives: Partial<Record<RpmArch, string>> = {}
  for (const [platform, name] of Object.entries(names)) archives[rpmArch(platform as PlatformName)] = name
  return archives
}
