/** What openEuler's releases say of themselves: os-release, openEuler-release and a few packages of the base image. */
import { RfoError } from '../error.ts'

export interface OpenEuler {
  /** VERSION_ID */
  readonly id: string
  /** VERSION: `22.03 LTS`, `24.03 (LTS)`, `22.03 (LTS-SP3)` */
  readonly version: string
  readonly packages: readonly OpenEulerPackage[]
}

export interface OpenEulerPackage {
  readonly name: string
  readonly epoch?: number
  readonly version: string
  readonly release: string
  readonly license: string
  readonly summary: string
  readonly noarch?: true
  /** name of the source package where it is another */
  readonly source?: string
  /** files of the stand-in image that it owns, without leading slash */
  readonly files?: readonly string[]
}

export const vendor = 'http://openeuler.org'

const packages: Readonly<Record<string, readonly OpenEulerPackage[]>> = {
  '22.03': [
    row('bash', '5.1.8-4.oe2203', 'GPLv3', 'The GNU Bourne Again shell', { files: ['usr/bin/bash', 'usr/bin/sh'] }),
    row('ca-certificates', '2021.2.52-1.oe2203', 'Public Domain', 'The Mozilla CA root certificate bundle', { noarch: true }),
    row('coreutils', '9.0-4.oe2203', 'GPLv3+', 'A set of basic GNU tools commonly used in shell scripts'),
    row('filesystem', '3.16-4.oe2203', 'Public Domain', 'The basic directory layout for a Linux system'),
    row('glibc', '2.34-70.oe2203', 'LGPLv2+ and LGPLv2+ with exceptions and GPLv2+ and GPLv2+ with exceptions', 'The GNU libc libraries'),
    row('glibc-common', '2.34-70.oe2203', 'LGPLv2+ and GPLv2+', 'Common binaries and locale data for glibc', { source: 'glibc' }),
    row('libgcc', '10.3.1-10.oe2203', 'GPLv3+ and LGPLv3+ and MIT', 'GCC shared support library', { source: 'gcc' }),
    row('ncurses-libs', '6.3-2.oe2203', 'MIT', 'Ncurses libraries', { source: 'ncurses' }),
    row('openEuler-release', '22.03LTS-52.oe2203', 'Mulan PSL v2', 'System information like kernel version, openEuler version', {
      files: releaseFiles(),
    }),
    row('openssl-libs', '1:1.1.1m-1.oe2203', 'OpenSSL and SSLeay', 'The libraries for openssl', { source: 'openssl' }),
    row('tzdata', '2021e-1.oe2203', 'Public Domain', 'Timezone data', { noarch: true }),
    row('zlib', '1.2.11-19.oe2203', 'zlib and Boost', 'A lossless data-compression library'),
  ],
  '24.03': [
    row('bash', '5.2.15-9.oe2403', 'GPL-3.0-or-later', 'The GNU Bourne Again shell', { files: ['usr/bin/bash', 'usr/bin/sh'] }),
    row('ca-certificates', '2023.2.64-1.oe2403', 'Public Domain', 'The Mozilla CA root certificate bundle', { noarch: true }),
    row('coreutils', '9.4-3.oe2403', 'GPL-3.0-or-later', 'A set of basic GNU tools commonly used in shell scripts'),
    row('filesystem', '3.16-6.oe2403', 'Public Domain', 'The basic directory layout for a Linux system'),
    row('glibc', '2.38-29.oe2403', 'LGPLv2+ and LGPLv2+ with exceptions and GPLv2+ and GPLv2+ with exceptions', 'The GNU libc libraries'),
    row('glibc-common', '2.38-29.oe2403', 'LGPLv2+ and GPLv2+', 'Common binaries and locale data for glibc', { source: 'glibc' }),
    row('libgcc', '12.3.1-30.oe2403', 'GPLv3+ and LGPLv3+ and MIT', 'GCC shared support library', { source: 'gcc' }),
    row('ncurses-libs', '6.4-8.oe2403', 'MIT', 'Ncurses libraries', { source: 'ncurses' }),
    row('openEuler-release', '24.03LTS-55.oe2403', 'MulanPSL-2.0', 'System information like kernel version, openEuler version', {
      files: releaseFiles(),
    }),
    row('openssl-libs', '1:3.0.12-5.oe2403', 'OpenSSL and SSLeay', 'The libraries for openssl', { source: 'openssl' }),
    row('tzdata', '2024a-2.oe2403', 'Public Domain', 'Timezone data', { noarch: true }),
    row('zlib', '1.2.13-2.oe2403', 'zlib and Boost', 'A lossless data-compression library'),
  ],
}

/** `docker.io/openeuler/openeuler:22.03-lts` → what that release is; a service pack counts as its release. */
export function openEulerOf(reference: string): OpenEuler {
  const found = /([0-9]{2}\.[0-9]{2})(?:-lts)?(?:-(sp[0-9]+))?$/i.exec(reference.slice(reference.lastIndexOf(':') + 1))
  const id = found?.[1] ?? ''
  const rows = packages[id]
  if (rows === undefined) {
    const known = Object.keys(packages).join(', ')
    throw new RfoError('RFO_SANDBOX_BASE', `the sandbox knows no base image like ${reference}`, {
      exit: 'usage',
      next: `use one of openEuler ${known}`,
    })
  }
  const pack = found?.[2]?.toUpperCase()
  const version = pack !== undefined ? `${id} (LTS-${pack})` : id === '22.03' ? `${id} LTS` : `${id} (LTS)`
  return { id, version, packages: rows }
}

/** https://www.freedesktop.org/software/systemd/man/latest/os-release.html, with openEuler's fields. */
export function osRelease({ id, version }: OpenEuler): string {
  return [
    'NAME="openEuler"',
    `VERSION="${version}"`,
    'ID="openEuler"',
    `VERSION_ID="${id}"`,
    `PRETTY_NAME="openEuler ${version}"`,
    'ANSI_COLOR="0;31"',
    '',
  ].join('\n')
}

function releaseFiles(): string[] {
  return ['etc/openEuler-release', 'etc/os-release']
}

/** `[epoch:]version-release` */
function row(
  name: string,
  evr: string,
  license: string,
  summary: string,
  more: Pick<OpenEulerPackage, 'noarch' | 'source' | 'files'> = {},
): OpenEulerPackage {
  const [, epoch, version = '', release = ''] = /^(?:([0-9]+):)?([^-]+)-([^-]+)$/.exec(evr) ?? []
  return { name, ...(epoch === undefined ? {} : { epoch: Number(epoch) }), version, release, license, summary, ...more }
}
