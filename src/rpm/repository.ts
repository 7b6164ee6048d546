/**
 * A repository's metadata as dnf reads it and createrepo_c writes it: repomd.xml, and primary, filelists and other as
 * .xml.gz under names with their digests. https://github.com/rpm-software-management/createrepo_c/tree/1.0.4/src, xml_dump*.c
 */
import { constants, gzipSync } from 'node:zlib'
import { type Digest, digestOf, hex } from '../oci/digest.ts'
import { evrOf, type RpmArch } from './package.ts'
import { filelistsEntry, type Listed, otherEntry, primaryEntry } from './repository-entries.ts'

/** An RPM that writeRpm made, with its model, or the source of one. */
export type RepositoryPackage = Listed

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

/** The repository of sources, of all architectures and lines: openEuler keeps its own beside those of packages, too. */
export const sourceFolder = 'rpm/source'

const xml = '<?xml version="1.0" encoding="UTF-8"?>\n'
const namespaces = {
  primary: 'metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm"',
  filelists: 'filelists xmlns="http://linux.duke.edu/metadata/filelists"',
  other: 'otherdata xmlns="http://linux.duke.edu/metadata/other"',
} as const
const entries = { primary: primaryEntry, filelists: filelistsEntry, other: otherEntry } as const
export const repositoryKinds = ['primary', 'filelists', 'other'] as const

/** One of the three lists, or what is said of packages besides, unpacked: what it says does not depend on a compressor. */
export interface RepositoryList {
  readonly kind: (typeof repositoryKinds)[number] | 'updateinfo'
  readonly text: string
}

/** Of a repository of ours, which has these files: the three, and advisories where there are some. */
export function listKinds(paths: readonly string[]): readonly RepositoryList['kind'][] {
  return [...repositoryKinds, ...(paths.some((path) => path.endsWith('-updateinfo.xml.gz')) ? (['updateinfo'] as const) : [])]
}

/** Files below `repodata/`. `epoch`: seconds, of everything; the order of `packages` does not matter. */
export function repositoryMetadata(packages: readonly RepositoryPackage[], options: { readonly epoch: number }): readonly RepositoryFile[] {
  return repositoryFiles(repositoryLists(packages, options), options)
}

export function repositoryLists(packages: readonly RepositoryPackage[], options: { readonly epoch: number }): readonly RepositoryList[] {
  const key = ({ pkg }: RepositoryPackage): string => `${pkg.name}\0${evrOf(pkg)}\0${pkg.arch}`
  const sorted = [...packages].sort((a, b) => (key(a) < key(b) ? -1 : 1))
  return repositoryKinds.map((kind) => ({
    kind,
    text: listText(
      kind,
      sorted.map((each) => entries[kind](each, options.epoch)),
    ),
  }))
}

/** One list of a package's elements. */
export function listText(kind: (typeof repositoryKinds)[number], packages: readonly string[]): string {
  const element = namespaces[kind]
  return `${xml}<${element} packages="${packages.length}">\n${packages.map((each) => `${each}\n`).join('')}</${element.split(' ')[0]}>`
}

/** The lists as dnf reads them, and repomd.xml, the last, over them. */
export function repositoryFiles(
  lists: readonly RepositoryList[],
  { epoch }: { readonly epoch: number },
  more: readonly string[] = [],
): readonly RepositoryFile[] {
  const packed = lists.map(({ kind, text }) => {
    const bytes = gzip(Buffer.from(text))
    return { kind, text, bytes, path: `repodata/${hex(digestOf(bytes))}-${kind}.xml.gz` }
  })
  const repomd = Buffer.from(repomdText(packed, epoch, more))
  return [...packed.map(({ path, bytes }) => ({ path, bytes })), { path: repomdPath, bytes: repomd }]
}

export const repomdPath = 'repodata/repomd.xml'

export interface PackedList extends RepositoryList {
  readonly bytes: Uint8Array
}

/** `more`: elements of other lists, which go on as they are. */
export function repomdText(lists: readonly PackedList[], epoch: number, more: readonly string[] = []): string {
  const data = lists.map(({ kind, text, bytes }) => {
    const packed = hex(digestOf(bytes))
    return `  <data type="${kind}">
    <checksum type="sha256">${packed}</checksum>
    <open-checksum type="sha256">${hex(digestOf(text))}</open-checksum>
    <location href="repodata/${packed}-${kind}.xml.gz"/>
    <timestamp>${epoch}</timestamp>
    <size>${bytes.length}</size>
    <open-size>${Buffer.byteLength(text)}</open-size>
  </data>
`
  })
  return `${xml}<repomd xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://linux.duke.edu/metadata/rpm">
  <revision>${epoch}</revision>
${data.join('')}${more.map((each) => `  ${each}\n`).join('')}</repomd>
`
}

/**
 * The same lists of other RPMs, whose signatures alone differ: `digests` gives the new one of a file by its old one. Sizes and
 * places stay, since an RPM keeps room for its signature.
 */
export function relisted(lists: readonly RepositoryList[], digests: ReadonlyMap<Digest, Digest>): readonly RepositoryList[] {
  const replaced = (word: string): string => hex(digests.get(`sha256:${word}` as Digest) ?? (`sha256:${word}` as Digest))
  return lists.map(({ kind, text }) => ({ kind, text: text.replace(/\b[0-9a-f]{64}\b/g, replaced) }))
}

/** What of the metadata no signature changes: the lists, with each package by the digest of its header and payload. */
export function unsignedMetadata(
  lists: readonly RepositoryList[],
  unsigned: ReadonlyMap<Digest, Digest>,
): { readonly digest: Digest; readonly size: number } {
  const bytes = Buffer.from(
    relisted(lists, unsigned)
      .map(({ text }) => text)
      .join('\n'),
  )
  return { digest: digestOf(bytes), size: bytes.length }
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
  const section = (id: string, name: string, path: string, enabled: 0 | 1): string[] => [
    `[${id}]`,
    `name=${name}`,
    `baseurl=${config.url.replace(/\/+$/, '')}/${path}`,
    `enabled=${enabled}`,
    `gpgcheck=${check}`,
    `repo_gpgcheck=${check}`,
    ...(config.key === undefined ? [] : [`gpgkey=${config.key}`]),
  ]
  return [
    ...section(config.id, config.name, `${folder}$basearch`, 1),
    '',
    // dnf asks it by this name when it is told --source
    ...section(`${config.id}-source`, `${config.name}, sources`, sourceFolder, 0),
    '',
  ].join('\n')
}
