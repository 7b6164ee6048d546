/** rfo-release: tells dnf where a line's packages are and by which key, as openEuler-repos does for the system. */
import { pushBytes } from '../content/read.ts'
import type { ContentStore } from '../content/store.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import { type PlatformName, platformOf } from '../oci/platform.ts'
import { type PackageFile, type RpmPackage, rpmArch } from './package.ts'
import { type RepositoryPlace, repositoryConfig } from './repository.ts'
import { type MadeBy, packageShell, perArch } from './shell.ts'

export interface ReleasePackageInput extends MadeBy {
  readonly platform: PlatformName
  readonly platforms: readonly PlatformName[]
  readonly place: RepositoryPlace
  /** armored */
  readonly key: string
}

export const keyPath = '/etc/pki/rpm-gpg/RPM-GPG-KEY-rfo'
/** https://dnf.readthedocs.io/en/latest/conf_ref.html#repo-variables: its first line says where releases are */
const variable = 'rfo_url'
/** where a medium is mounted, until somebody says otherwise */
const medium = 'file:///media/rfo'

export async function releasePackage(input: ReleasePackageInput, store: ContentStore): Promise<RpmPackage> {
  const { place, platform } = input
  const config = repositoryConfig({
    id: `rancher-rfo-${place.minor}-${place.channel}`,
    name: `RFO ${place.minor} (${place.channel})`,
    url: `$${variable}`,
    place,
    key: `file://${keyPath}`,
  })
  const file = async (path: string, source: string, text: string, mark?: 'config(noreplace)'): Promise<PackageFile> => ({
    kind: 'file',
    path,
    source,
    mode: 0o644,
    content: await pushBytes(store, mediaTypes.octets, text),
    ...(mark === undefined ? {} : { mark }),
  })
  const archives = Object.fromEntries(input.platforms.map((each) => [each, `rfo.linux-${platformOf(each).architecture}.repo`]))
  return {
    ...packageShell(input, {
      name: 'rfo-release',
      arch: rpmArch(platform),
      archives: perArch(archives),
      loose: [variable, 'RPM-GPG-KEY-rfo'],
    }),
    summary: 'Package repository of RFO and its key',
    description: [
      'Tells dnf where the packages of RFO are, and by which key they are signed.',
      `The first line of /etc/dnf/vars/${variable} is a web server, or a mounted medium.`,
    ].join('\n'),
    files: [
      await file('/etc/yum.repos.d/rfo.repo', 'rfo.repo', config, 'config(noreplace)'),
      await file(`/etc/dnf/vars/${variable}`, variable, `${medium}\n`, 'config(noreplace)'),
      await file(keyPath, 'RPM-GPG-KEY-rfo', input.key),
    ],
    scripts: {},
  }
}
