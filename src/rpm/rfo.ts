/**
 * RFO's own packages out of one platform's release tarball, laid out as https://github.com/rancher/rke2-packaging does:
 * what server and agent share, and one unit each. Packages of other contents are beside this file.
 */
import { pushBytes, readBytes } from '../content/read.ts'
import type { ContentStore } from '../content/store.ts'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import type { PlatformName } from '../oci/platform.ts'
import { type Edit, type PackageFile, type RpmPackage, rpmArch } from './package.ts'
import { type MadeBy, type PackageShell, packageShell, perArch } from './shell.ts'
import { unitScripts } from './unit.ts'

export interface RfoPackagesInput extends MadeBy {
  readonly platform: PlatformName
  /** Files of the release tarball by their path in it: `bin/rfo`, `lib/systemd/system/rfo-server.service`. */
  readonly bundle: ReadonlyMap<string, { readonly content: Descriptor }>
  /** Every platform whose release tarball ships, and the tarball's name: the spec is one text for all of them. */
  readonly tarballs: Readonly<Partial<Record<PlatformName, string>>>
}

/** What the tarball is made for, and what a package is: upstream's specs do the same with sed. */
const fromTarball: readonly Edit[] = [
  ['/usr/local/lib/systemd/system', '/usr/lib/systemd/system'],
  ['/usr/local/bin', '/usr/bin'],
]

const kinds = ['server', 'agent'] as const
type Kind = (typeof kinds)[number]

const unitFolder = 'lib/systemd/system/'
const unitFiles = (kind: Kind): readonly string[] => [`rfo-${kind}.service`, `rfo-${kind}.env`]
/** Loose sources, by where they lie in the release tarball: without them each source RPM of a unit would hold the tarballs again. */
export const unitSources: readonly string[] = kinds.flatMap(unitFiles).map((name) => `${unitFolder}${name}`)

/** rfo-common, rfo-server, rfo-agent. Edited files are pushed. Throws RFO_RPM_BUNDLE when the tarball lacks a file. */
export async function rfoPackages(input: RfoPackagesInput, store: ContentStore): Promise<readonly RpmPackage[]> {
  const found = (source: string): Descriptor => {
    const file = input.bundle.get(source)
    if (file !== undefined) return file.content
    throw new RfoError('RFO_RPM_BUNDLE', `the release tarball of ${input.platform} has no ${source}`, { exit: 'build' })
  }
  const file = (path: string, source: string, mode: number): PackageFile => ({ kind: 'file', path, source, mode, content: found(source) })
  const edited = async (path: string, source: string, mark?: 'config(noreplace)'): Promise<PackageFile> => ({
    kind: 'file',
    path,
    source,
    mode: 0o644,
    content: await edit(found(`${unitFolder}${source}`), store),
    edits: fromTarball,
    ...(mark === undefined ? {} : { mark }),
  })
  const packages = [common(input, file)]
  for (const kind of kinds) {
    packages.push(
      unitPackage(input, kind, [
        await edited(`/usr/lib/systemd/system/rfo-${kind}.service`, `rfo-${kind}.service`),
        await edited(`/etc/sysconfig/rfo-${kind}`, `rfo-${kind}.env`, 'config(noreplace)'),
      ]),
    )
  }
  return packages
}

/** bytes; units and environment files are a few KiB */
const longestText = 1024 * 1024

async function edit(content: Descriptor, store: ContentStore): Promise<Descriptor> {
  const before = Buffer.from(await readBytes(store, content, longestText)).toString('latin1')
  const after = fromTarball.reduce((text, [from, to]) => text.replaceAll(from, to), before)
  return after === before ? content : await pushBytes(store, mediaTypes.octets, Buffer.from(after, 'latin1'))
}

function common(input: RfoPackagesInput, file: (path: string, source: string, mode: number) => PackageFile): RpmPackage {
  const shared = [...input.bundle.keys()].filter((path) => path.startsWith('share/rfo/'))
  return {
    ...own(input, 'rfo-common'),
    summary: "Programs and files that RFO's server and agent share",
    description: [
      "RFO is RKE2, Rancher's Kubernetes distribution, rebuilt on openEuler.",
      'This package holds the program, and the scripts that stop and remove it.',
    ].join('\n'),
    files: [
      file('/usr/bin/rfo', 'bin/rfo', 0o755),
      file('/usr/bin/rfo-killall.sh', 'bin/rfo-killall.sh', 0o755),
      file('/usr/bin/rfo-uninstall.sh', 'bin/rfo-uninstall.sh', 0o755),
      { kind: 'directory', path: '/usr/share/rfo', mode: 0o755 },
      ...shared.map((source): PackageFile => {
        const each = file(`/usr/${source}`, source, 0o644)
        return each.kind === 'file' && /\/LICENSE[^/]*$/.test(source) ? { ...each, mark: 'license' } : each
      }),
      { kind: 'directory', path: '/etc/rancher/rfo', mode: 0o755 },
      { kind: 'directory', path: '/var/lib/rancher/rfo', mode: 0o755 },
      // on a tmpfs: there while the program runs
      { kind: 'directory', path: '/run/k3s', mode: 0o755, ghost: true },
    ],
    requires: [{ name: 'iptables' }],
    // the same ports, the same /run/k3s, and each killall ends the other's containers
    conflicts: [{ name: 'rke2-common' }],
    scripts: {
      preun: 'if [ "$1" -eq 0 ]; then\n    INSTALL_RFO_ROOT=/usr /usr/bin/rfo-killall.sh >/dev/null 2>&1 || :\nfi',
    },
  }
}

function unitPackage(input: RfoPackagesInput, kind: Kind, files: readonly PackageFile[]): RpmPackage {
  const made = { ...own(input, `rfo-${kind}`), loose: unitFiles(kind) }
  const archives = Object.fromEntries(Object.keys(made.archives).map((arch) => [arch, null]))
  const role = { server: 'a node with the control plane', agent: 'a node that only runs workloads' }[kind]
  return {
    ...made,
    archives,
    summary: `Unit that runs RFO's ${kind}`,
    description: `RFO is RKE2, Rancher's Kubernetes distribution, rebuilt on openEuler.\nThis package makes ${role} of a host.`,
    files,
    requires: [{ name: 'rfo-common', is: { relation: '=', version: `${made.version}-${made.release}` } }],
    scripts: unitScripts(`rfo-${kind}.service`),
  }
}

function own(input: RfoPackagesInput, name: string): PackageShell {
  return packageShell(input, { name, arch: rpmArch(input.platform), archives: perArch(input.tarballs) })
}
