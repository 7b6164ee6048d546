/** Stand-ins for openEuler's base images: the files that others read (os-release, rpm database), and a shell that only says so. */
import { digestOf, hex } from '../oci/digest.ts'
import { type Architecture, architectures, type PlatformName, platformOf } from '../oci/platform.ts'
import { standInProgram } from './elf.ts'
import { type Blobs, type ImageContent, putImage, type StandInImage } from './images.ts'
import { type OpenEuler, type OpenEulerPackage, openEulerOf, osRelease, vendor } from './openeuler.ts'
import { type RpmPackage, writeNdb } from './rpmdb.ts'
import type { TarEntry } from './tar.ts'
import { standInText } from './tree.ts'

/** Folders of openEuler's root that no file brings; /bin, /sbin, /lib and /lib64 are links into /usr. */
const folders: Readonly<Record<string, number>> = {
  boot: 0o555,
  dev: 0o755,
  home: 0o755,
  media: 0o755,
  mnt: 0o755,
  opt: 0o755,
  proc: 0o555,
  root: 0o550,
  run: 0o755,
  srv: 0o755,
  sys: 0o555,
  tmp: 0o1777,
  'usr/lib': 0o755,
  'usr/lib64': 0o755,
  'usr/local/bin': 0o755,
  'usr/sbin': 0o755,
  'var/log': 0o755,
  'var/tmp': 0o1777,
}
const links: Readonly<Record<string, string>> = {
  bin: 'usr/bin',
  lib: 'usr/lib',
  lib64: 'usr/lib64',
  sbin: 'usr/sbin',
  'usr/bin/sh': 'bash',
}

/** `reference` names the release (`…:22.03-lts`, `…:24.03-lts`); `epoch` in seconds. */
export function putBase(
  blobs: Blobs,
  reference: string,
  platforms: readonly PlatformName[],
  epoch: number,
  userland: readonly TarEntry[] = [],
): StandInImage {
  const release = openEulerOf(reference)
  return putImage(blobs, reference, platforms, epoch, (platform) =>
    withUserland(baseContent(release, platformOf(platform).architecture), userland),
  )
}

/** What runs takes the place of what only says that it does not. */
function withUserland(content: ImageContent, userland: readonly TarEntry[]): ImageContent {
  const brought = new Set(userland.map((entry) => entry.path))
  return { ...content, entries: [...content.entries.filter((entry) => !brought.has(entry.path)), ...userland] }
}

function baseContent(release: OpenEuler, architecture: Architecture): ImageContent {
  const program = standInProgram(architecture, standInText('openEuler', release.version))
  const owned: TarEntry[] = [
    { kind: 'file', path: 'etc/openEuler-release', bytes: Buffer.from(`openEuler release ${release.version}\n`) },
    { kind: 'file', path: 'etc/os-release', bytes: Buffer.from(osRelease(release)) },
    { kind: 'file', path: 'etc/group', bytes: Buffer.from('root:x:0:\n') },
    { kind: 'file', path: 'etc/passwd', bytes: Buffer.from('root:x:0:0:root:/root:/bin/bash\n') },
    { kind: 'file', path: 'usr/bin/bash', bytes: program, mode: 0o755 },
    ...Object.entries(links).map(([path, target]): TarEntry => ({ kind: 'link', path, target })),
  ]
  const installed = release.packages.map((each) => rpmOf(each, architecture, owned))
  return {
    entries: [
      ...Object.entries(folders).map(([path, mode]): TarEntry => ({ kind: 'directory', path, mode })),
      ...owned,
      { kind: 'file', path: 'var/lib/rpm/Packages.db', bytes: writeNdb(installed) },
    ],
    config: { Env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'], Cmd: ['bash'] },
  }
}

/** The package as rpm's database has it, with those of its files that the stand-in holds. */
function rpmOf(row: OpenEulerPackage, architecture: Architecture, entries: readonly TarEntry[]): RpmPackage {
  const { name, epoch, version, release, license, summary } = row
  const files = entries.filter((entry) => row.files?.includes(entry.path))
  return {
    name,
    ...(epoch === undefined ? {} : { epoch }),
    version,
    release,
    arch: row.noarch === true ? 'noarch' : architectures[architecture].rpm,
    license,
    summary,
    vendor,
    sourceRpm: `${row.source ?? name}-${version}-${release}.src.rpm`,
    digestAlgorithm: 8,
    files: files.map((entry) => ({ path: `/${entry.path}`, digest: entry.kind === 'file' ? hex(digestOf(entry.bytes)) : '' })),
    provides: [name],
    requires: [],
  }
}
