/** A repository as a release lays it out, and the one of the system that RFO's packages are installed on. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ContentStore } from '../../src/content/store.ts'
import type { RpmPackage } from '../../src/rpm/package.ts'
import { type RepositoryPackage, repositoryMetadata } from '../../src/rpm/repository.ts'
import { packagePath } from '../../src/rpm/repository-entries.ts'
import type { WriteRpmOptions } from '../../src/rpm/write.ts'
import { epoch, everything, toFolder } from './made.ts'

/** All that RFO's packages ask of openEuler. What is not here, no package may need. */
const capabilities = ['/bin/sh', 'iptables', 'container-selinux', 'libselinux-utils', 'policycoreutils', 'selinux-policy-base']

/** As one package that has nothing in it. */
export async function system(store: ContentStore): Promise<RpmPackage> {
  const empty = { files: [], requires: [], conflicts: [], obsoletes: [], scripts: {} }
  return await everything(store, { ...empty, name: 'system', arch: 'noarch', provides: capabilities.map((name) => ({ name })) })
}

export async function repository(
  folder: string,
  packages: readonly RpmPackage[],
  store: ContentStore,
  more: Partial<WriteRpmOptions> = {},
): Promise<readonly RepositoryPackage[]> {
  const listed: RepositoryPackage[] = []
  for (const pkg of packages) listed.push(await toFolder(pkg, store, join(folder, packagePath(pkg), '..'), more))
  mkdirSync(join(folder, 'repodata'), { recursive: true })
  for (const { path, bytes } of repositoryMetadata(listed, { epoch })) writeFileSync(join(folder, path), bytes)
  return listed
}
