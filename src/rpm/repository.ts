/**
 * A repository's metadata as dnf reads it and createrepo_c writes it: repomd.xml, and primary, filelists and other as
 * .xml.gz under names with their digests. https://github.com/rpm-software-management/createrepo_c/tree/1.0.4/src, xml_dump*.c
 */
import { constants, gzipSync } from 'node:zlib'
import type { Descriptor } from '../oci/descriptor.ts'
import { digestOf, hex } from '../oci/digest.ts'
import type { RpmExtent } from './extent.ts'
import { evrOf, type RpmArch, type RpmPackage, rpmFileName } from './package.ts'
import type { Compression } from './payload.ts'
import { filelistsEntry, otherEntry, primaryEntry } from './repository-entries.ts'

/** An RPM that writeRpm made, with its model. */
export interface RepositoryPackage {
  readonly pkg: RpmPackage
  readonly rpm: Descriptor
  readonly extent: Pick<RpmExtent, 'headerStart' | 'headerEnd'>
  readonly compression: Compression
}

export interface RepositoryFile {
  /** below the repository's folder */
  readonly path: string
  readonly bytes: Buffer
}

export interface RepositoryPlace {
  readonly channel: string
  /** `1.24`, as in RKE2's own repositories: `rke2/<channel>/<minor>/<os>/<release>/<arch>` */
  readonly minor: string
  /** openEuler's release: `22.03-LTS` */
  readonly os: string
}

/** Below a release's folder, without a slash at its end. */
export function repositoryFolder(place: RepositoryPlace, arch: RpmArch): string {
  return `rpm/${place.channel}/${place.minor}/openeuler/${place.os}/${arch}`
}

/** Where a package lies in its repository. */
export function packagePath(pkg: RpmPackage): string {
  return `Packages/${rpmFileName(pkg)}`
}

const xml = '<?xml version="1.0" encoding="UTF-8"?>\n'
const namespaces = {
  primary: 'metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm"',
  filelists: 'filelists xmlns="http://linux.duke.edu/metadata/filelists"',
  other: 'otherdata xmlns="http://linux.duke.edu/metadata/other"',
} as const
const entries = { primary: primaryEntry, filelists: filelistsEntry, other: otherEntry } as const
const kinds = ['primary', 'filelists', 'other'] as const

/** Files below `repodata/`. `epoch`: seconds, of everything; the order of `packages` does not matter. */
export function repositoryMetadata(packages: readonly RepositoryPackage[], options: { readonly epoch: number }): readonly RepositoryFile[] {
  const key = ({ pkg }: RepositoryPackage): string => `${pkg.name}\0${evrOf(pkg)}\0${pkg.arch}`
  const sorted = [...packages].sort((a, b) => (key(a) < key(b) ? -1 : 1))
  const lists = kinds.map((kind) => {
    const element = namespaces[kind]
    const body = sorted.map((each) => `${entries[kind](each, options.epoch)}\n`).join('')
    const open = Buffer.from(`${xml}<${element} packages="${sorted.length}">\n${body}</${element.split(' ')[0]}>`)
    const bytes = gzip(open)
    return { kind, open, bytes, path: `repodata/${hex(digestOf(bytes))}-${kind}.xml.gz` }
  })
  const data = lists.map(
    ({ kind, open, bytes, path }) => `  <data type="${kind}">
    <checksum type="sha256">${hex(digestOf(bytes))}</checksum>
    <open-checksum type="sha256">${hex(digestOf(open))}</open-checksum>
    <location href="${path}"/>
    <timestamp>${options.epoch}</timestamp>
    <size>${bytes.length}</size>
    <open-size>${open.length}</open-size>
  </data>
`,
  )
  const repomd = `${xml}<repomd xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://linux.duke.edu/metadata/rpm">
  <revision>${options.epoch}</revision>
${data.join('')}</repomd>
`
  return [...lists.map(({ path, bytes }) => ({ path, bytes })), { path: 'repodata/repomd.xml', bytes: Buffer.from(repomd) }]
}

/** RFC 1952 without a time; zlib writes the system that it was compiled for, so 255 ("unknown") is put in its place. */
function gzip(bytes: Buffer): Buffer {
  const packed = gzipSync(bytes, { level: constants.Z_BEST_COMPRESSION })
  packed[9] = 255
  return packed
}

export interface RepositoryConfig {
  readonly id: string
  readonly name: string
  /** where a release's own folder is: `https://…/v1.24.8+rfor1`, `file:///media/rfo` */
  readonly url: string
  readonly place: RepositoryPlace
  /** URL of the public key that signs packages and metadata; absent = they carry no signature */
  readonly key?: string
}

/** The `.repo` file, one for all architectures: dnf puts its own in. */
export function repositoryConfig(config: RepositoryConfig): string {
  const folder = repositoryFolder(config.place, 'noarch').slice(0, -'noarch'.length)
  const check = config.key === undefined ? 0 : 1
  return [
    `[${config.id}]`,
    `name=${config.name}`,
    `baseurl=${config.url.replace(/\/+$/, '')}/${folder}$basearch`,
    'enabled=1',
    `gpgcheck=${check}`,
    `repo_gpgcheck=${check}`,
    ...(config.key === undefined ? [] : [`gpgkey=${config.key}`]),
    '',
  ].join('\n')
}
