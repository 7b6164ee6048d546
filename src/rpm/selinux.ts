/**
 * A compiled SELinux policy module as a package: https://github.com/rancher/rke2-selinux.
 */
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { RpmPackage } from './package.ts'
import { type MadeBy, packageShell } from './shell.ts'

export interface SelinuxInput extends MadeBy {
  /** `rfo` of `rfo.pp` */
  readonly module: string
  /** a compiled module */
  readonly content: Descriptor
}

/** What the module labels, and what must be labelled anew when it comes or goes. */
const labelled = ['/usr/bin/rfo', '/var/lib/rancher/rfo', '/etc/rancher/rfo', '/run/k3s', '/var/lib/cni', '/var/lib/kubelet']

export function selinuxPackage(input: SelinuxInput): RpmPackage {
  const { module } = input
  if (!/^[a-z][a-z0-9_-]{0,40}$/.test(module))
    throw new RfoError('RFO_RPM_SELINUX', `${JSON.stringify(module).slice(0, 60)} is no name of a policy module`, { exit: 'usage' })
  const path = `/usr/share/selinux/packages/${module}.pp`
  const relabel = [
    'if /usr/sbin/selinuxenabled 2>/dev/null; then',
    '    /usr/sbin/load_policy || :',
    `    for path in ${labelled.join(' ')}; do`,
    '        [ ! -e "$path" ] || /usr/sbin/restorecon -R "$path" || :',
    '    done',
    'fi',
  ]
  return {
    ...packageShell(input, { name: 'rfo-selinux', arch: 'noarch', archives: {}, loose: [`${module}.pp`] }),
    summary: 'SELinux policy module for RFO',
    description: 'Labels the files of RFO and lets its containers run where SELinux is enforcing.',
    files: [{ kind: 'file', path, source: `${module}.pp`, mode: 0o644, content: input.content }],
    requires: [
      ...['policycoreutils', 'libselinux-utils', 'selinux-policy-base', 'container-selinux'].map((name) => ({ name })),
      ...['policycoreutils', 'selinux-policy-base', 'container-selinux'].map((name) => ({ name, script: 'post' as const })),
    ],
    // they label the same paths
    conflicts: [{ name: 'k3s-selinux' }, { name: 'rke2-selinux' }],
    scripts: {
      post: [`/usr/sbin/semodule -n -X 200 -i ${path} || exit 1`, ...relabel].join('\n'),
      postun: [
        'if [ "$1" -eq 0 ]; then',
        `    /usr/sbin/semodule -n -X 200 -r ${module} >/dev/null 2>&1 || :`,
        ...relabel.map((line) => `    ${line}`),
        'fi',
      ].join('\n'),
    },
  }
}
