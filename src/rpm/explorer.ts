/** kube-explorer on a host: the program that its image holds, a unit and what an administrator sets. */
import { pushBytes } from '../content/read.ts'
import type { ContentStore } from '../content/store.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import { type PlatformName, platformOf } from '../oci/platform.ts'
import { spellRpm } from '../plan/version.ts'
import { type PackageFile, type RpmPackage, rpmArch } from './package.ts'
import { type MadeBy, packageShell, perArch } from './shell.ts'
import { unitScripts } from './unit.ts'

export interface ExplorerInput extends MadeBy {
  readonly platform: PlatformName
  /** of the component: `v0.4.2` */
  readonly tag: string
  readonly program: Descriptor
  /** every platform that the program is made for */
  readonly platforms: readonly PlatformName[]
}

const name = 'kube-explorer'

/** It has no login of its own: whoever reaches its port may do what the kubeconfig may. So the unit lets nobody else in. */
const unit = `[Unit]
Description=Resources of a cluster in a browser
Documentation=https://github.com/cnrancher/kube-explorer
Wants=network-online.target
After=network-online.target rfo-server.service
ConditionPathExists=/etc/rancher/rfo/rfo.yaml

[Service]
EnvironmentFile=-/etc/sysconfig/kube-explorer
ExecStart=/usr/bin/kube-explorer $KUBE_EXPLORER_OPTIONS
Restart=on-failure
RestartSec=5s
# of this host alone; a proxy that asks who somebody is can stand before it
IPAddressDeny=any
IPAddressAllow=localhost
NoNewPrivileges=true
PrivateTmp=true
ProtectHome=true
ProtectSystem=full

[Install]
WantedBy=multi-user.target
`

const settings = `# Read by kube-explorer.service: http://127.0.0.1:9898/ on this host, with the rights of this kubeconfig.
KUBE_EXPLORER_OPTIONS=--kubeconfig=/etc/rancher/rfo/rfo.yaml --http-listen-port=9898 --https-listen-port=0
`

/** Loose sources by name, as the spec takes them. */
export const explorerSources = { 'kube-explorer.service': unit, 'kube-explorer.sysconfig': settings } as const

export async function explorerPackage(input: ExplorerInput, store: ContentStore): Promise<RpmPackage> {
  const archives = Object.fromEntries(input.platforms.map((each) => [each, `${name}.linux-${platformOf(each).architecture}`]))
  const loose = async (path: string, source: keyof typeof explorerSources, mark?: 'config(noreplace)'): Promise<PackageFile> => ({
    kind: 'file',
    path,
    source,
    mode: 0o644,
    content: await pushBytes(store, mediaTypes.octets, explorerSources[source]),
    ...(mark === undefined ? {} : { mark }),
  })
  return {
    ...packageShell(input, {
      name,
      // its own version first; the release tells apart what two releases of RFO made of it
      version: input.tag.replace(/^v/, '').replace(/[-+]/g, '~'),
      release: spellRpm(input.version),
      arch: rpmArch(input.platform),
      archives: perArch(archives),
      loose: Object.keys(explorerSources),
      url: 'https://github.com/cnrancher/kube-explorer',
    }),
    summary: 'Resources of a Kubernetes cluster in a browser',
    description: [
      'kube-explorer shows and changes the resources of a cluster.',
      'Its unit lets in this host alone, and is not started by itself.',
    ].join('\n'),
    files: [
      { kind: 'file', path: '/usr/bin/kube-explorer', source: name, mode: 0o755, content: input.program },
      await loose('/usr/lib/systemd/system/kube-explorer.service', 'kube-explorer.service'),
      await loose('/etc/sysconfig/kube-explorer', 'kube-explorer.sysconfig', 'config(noreplace)'),
    ],
    scripts: unitScripts('kube-explorer.service'),
  }
}
