/** RPMs made by rpmbuild out of short specs, and a small base image on which they are put. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ContentStore } from '../../src/content/store.ts'
import { type BaseImage, readBaseImage } from '../../src/inspect/base-image.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { solvableOf } from '../../src/rpm/install/facts.ts'
import { type LayerRequest, packagesLayer } from '../../src/rpm/install/layer.ts'
import { readRpmFile } from '../../src/rpm/install/rpm-file.ts'
import { nevraOf } from '../../src/rpm/solve/capability.ts'
import { type RpmPackage, writeNdb } from '../../src/sandbox/rpmdb.ts'
import { type Entry, image, osRelease, rpm } from '../inspect/images.ts'
import { tool } from '../tools.ts'
import { run } from './folder.ts'

export const rpmbuild = tool('rpmbuild')
export const arch = 'x86_64'
export const epoch = 1_669_200_000

export interface Spec {
  readonly name: string
  /** `1.0-1` */
  readonly evr?: string
  readonly epoch?: number
  /** lines of the preamble: `Requires: b` */
  readonly head?: readonly string[]
  /** shell, in %{buildroot} */
  readonly install?: readonly string[]
  readonly files?: readonly string[]
  /** whole sections: `%post\necho` */
  readonly scripts?: string
  /** as rpm names it */
  readonly payload?: 'w2.xzdio' | 'w9.gzdio' | 'w3.zstdio'
}

/** The paths, in the order of the specs. One process makes them all. */
export function build(folder: string, specs: readonly Spec[]): string[] {
  mkdirSync(folder, { recursive: true })
  const paths = specs.map((spec, n) => {
    const path = join(folder, `${n}.spec`)
    writeFileSync(path, specText(spec))
    return path
  })
  const made = run(rpmbuild.path, ['-bb', '--quiet', '--define', `_topdir ${folder}/top`, ...paths], {
    SOURCE_DATE_EPOCH: '1600000000',
    HOME: folder,
  })
  if (made.code !== 0) throw new Error(made.out)
  return specs.map((spec) => join(folder, 'top/RPMS', archOf(spec), `${spec.name}-${spec.evr ?? '1.0-1'}.${archOf(spec)}.rpm`))
}

function archOf(spec: Spec): string {
  return spec.head?.includes('BuildArch: noarch') ? 'noarch' : arch
}

function specText({
  name,
  evr = '1.0-1',
  epoch: own,
  head = [],
  install = [],
  files = [],
  scripts = '',
  payload = 'w2.xzdio',
}: Spec): string {
  const [version, release] = evr.split('-')
  return `%global _binary_payload ${payload}
%global _binary_filedigest_algorithm 8
%global debug_package %{nil}
%global __os_install_post %{nil}
%global _build_id_links none
Name: ${name}
Version: ${version}
Release: ${release}
${own === undefined ? '' : `Epoch: ${own}\n`}Summary: ${name}
License: MIT
AutoReqProv: no
${head.join('\n')}
%description
${name}
%install
cd %{buildroot}
${install.join('\n')}
${scripts}
%files
${files.join('\n')}
`
}

export interface Base {
  readonly store: ContentStore
  readonly manifest: Descriptor
  readonly view: BaseImage
}

/** Folders of a merged root, a shell that a package owns, and its ndb database. */
export async function baseWith(entries: readonly Entry[] = [], packages: readonly RpmPackage[] = []): Promise<Base> {
  const bash = rpm('bash', { files: [{ path: '/usr/bin/bash', digest: digestOf('shell').slice(7) }], provides: ['bash', '/bin/sh'] })
  const { store, manifest } = await image([
    [
      ...['usr', 'usr/bin', 'usr/lib64', 'usr/share', 'etc', 'var', 'var/lib', 'var/lib/rpm'].map(
        (name): Entry => ({ name: `${name}/`, type: 'directory' }),
      ),
      { name: 'bin', type: 'symlink', linkname: 'usr/bin' },
      { name: 'lib64', type: 'symlink', linkname: 'usr/lib64' },
      { name: 'usr/bin/bash', mode: 0o755, body: 'shell' },
      { name: 'etc/passwd', body: 'root:x:0:0:root:/root:/bin/bash\nbin:x:1:1:bin:/bin:/sbin/nologin\n' },
      { name: 'etc/group', body: 'root:x:0:\nbin:x:1:\ndaemon:x:2:\n' },
      { name: 'etc/os-release', body: osRelease },
      { name: 'var/lib/rpm/Packages.db', body: writeNdb([bash, ...packages]) },
      ...entries,
    ],
  ])
  return { store, manifest, view: await readBaseImage(manifest, store, { tempDir: '/nonexistent' }) }
}

/** What an installation with these files gives: packages in the order of their names. */
export async function layerOf(files: readonly string[], base: BaseImage, more: Partial<LayerRequest> = {}): Promise<Buffer> {
  const named = files.map(async (file) => ({ file, nevra: nevraOf(solvableOf((await readRpmFile(file)).header)) }))
  const rpms = (await Promise.all(named)).sort((a, b) => (a.nevra < b.nevra ? -1 : 1))
  const made = await packagesLayer({ rpms, base, arch, epoch, decompress: { env: { PATH: process.env.PATH ?? '' } }, ...more })
  const parts: Uint8Array[] = []
  for await (const part of made.tar()) parts.push(Buffer.from(part))
  return Buffer.concat(parts)
}
