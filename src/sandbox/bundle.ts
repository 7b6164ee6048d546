/**
 * What the stand-in for RKE2's source serves besides programs: its bundle of scripts and units. Short files of our own that name
 * the same things as often as RKE2's do, so that the rules of pipelines/rfo.yaml hold for both.
 */
import { platformNames, platformOf } from '../oci/platform.ts'
import type { ImagePlan } from '../plan/release-plan.ts'
import { standInProgram } from './elf.ts'
import type { SourceFile } from './git-objects.ts'

const killall = `#!/bin/sh
# Stops a node's services and what they started.
[ "$(id -u)" -eq 0 ] || { echo 'must be run as root' >&2; exit 1; }
export PATH="$PATH:/var/lib/rancher/rke2/bin"
systemctl stop rke2-server.service || true
systemctl stop rke2-agent.service || true
pkill -9 -f 'rke2/data/[^/]*/bin/containerd-shim' || true
for below in /run/k3s /var/lib/rancher/rke2 /var/lib/kubelet/pods /run/netns/cni-; do
  awk -v at="$below" 'index($2, at) == 1 { print $2 }' /proc/self/mounts | sort -r | while read -r mount; do umount "$mount"; done
done
`

const uninstall = `#!/bin/sh
# Removes what the tarball or the packages installed, and its data.
set -e
[ "$(id -u)" -eq 0 ] || { echo 'must be run as root' >&2; exit 1; }
writable() {
  touch "$1/.rke2-ro-test" && rm -f "$1/.rke2-ro-test"
}
if rpm -q rke2-common >/dev/null 2>&1; then
  # rke2 rpm
  : "\${INSTALL_RKE2_ROOT:="/usr"}"
elif writable /usr/local; then
  : "\${INSTALL_RKE2_ROOT:="/usr/local"}"
else
  # /usr/local is read-only: the tarball went to /opt/rke2
  : "\${INSTALL_RKE2_ROOT:="/opt/rke2"}"
fi
echo "removing what was installed below $INSTALL_RKE2_ROOT"
killall="$(dirname "$0")/rke2-killall.sh"
[ ! -e "$killall" ] || "$killall"
if command -v systemctl >/dev/null 2>&1; then
  systemctl disable rke2-server || true
  systemctl disable rke2-agent || true
  systemctl reset-failed rke2-server || true
  systemctl reset-failed rke2-agent || true
fi
remove_packages() {
  if [ -d /etc/zypp/repos.d ] && rpm -q rke2-common >/dev/null 2>&1; then
    zypper remove -y rke2-server rke2-agent rke2-common rke2-selinux
    rm -f /etc/zypp/repos.d/rancher-rke2*.repo
  elif [ "$INSTALL_RKE2_ROOT" = /usr ]; then
    yum remove -y "rke2-*"
    rm -f /etc/yum.repos.d/rancher-rke2*.repo
  fi
}
remove_packages
find "$INSTALL_RKE2_ROOT/lib/systemd/system" -name 'rke2-*.service' -type f -delete
find "$INSTALL_RKE2_ROOT/lib/systemd/system" -name 'rke2-*.env' -type f -delete
find /etc/systemd/system -name 'rke2-*.service' -type f -delete
rm -rf /etc/rancher/rke2 /var/lib/rancher/rke2 "$INSTALL_RKE2_ROOT/share/rke2"
rm -f "$INSTALL_RKE2_ROOT/bin/rke2" "$INSTALL_RKE2_ROOT/bin/rke2-killall.sh"
rm -f "\${INSTALL_RKE2_ROOT:?}/bin/rke2-uninstall.sh"
`

function unit(own: string, other: string): string {
  return `[Unit]
Description=Rancher Kubernetes Engine v2 (${own})
Documentation=https://github.com/rancher/rke2#readme
Wants=network-online.target
After=network-online.target
Conflicts=rke2-${other}.service

[Install]
WantedBy=multi-user.target

[Service]
Type=notify
EnvironmentFile=-/etc/default/%N
EnvironmentFile=-/etc/sysconfig/%N
EnvironmentFile=-/usr/local/lib/systemd/system/%N.env
KillMode=process
Delegate=yes
Restart=always
ExecStart=/usr/local/bin/rke2 ${own}
`
}

const texts: readonly { readonly path: string; readonly text: string; readonly executable: boolean }[] = [
  { path: 'bundle/bin/rke2-killall.sh', text: killall, executable: true },
  { path: 'bundle/bin/rke2-uninstall.sh', text: uninstall, executable: true },
  { path: 'bundle/lib/systemd/system/rke2-agent.env', text: 'HOME=/root\n', executable: false },
  { path: 'bundle/lib/systemd/system/rke2-agent.service', text: unit('agent', 'server'), executable: false },
  { path: 'bundle/lib/systemd/system/rke2-server.env', text: 'HOME=/root\n', executable: false },
  { path: 'bundle/lib/systemd/system/rke2-server.service', text: unit('server', 'agent'), executable: false },
  { path: 'bundle/share/rke2/rke2-cis-sysctl.conf', text: 'kernel.panic=10\nkernel.panic_on_oops=1\n', executable: false },
]

/** RKE2's own source, of which the tarball's files come, as pipelines name it. */
const source = /^(https:\/\/)?github\.com\/rancher\/rke2(\.git)?(@|$)/

/** The bundle, and RFO's program for each platform: nothing for another source. */
export function bundleFiles(standIn: string, component: ImagePlan, text: string): SourceFile[] {
  if (!source.test(standIn)) return []
  const programs = platformNames
    .filter((platform) => component.platforms[platform]?.status === 'made')
    .map((platform) => platformOf(platform).architecture)
    .map((architecture) => ({ path: `bin/${architecture}/bin/rfo`, bytes: standInProgram(architecture, text), executable: true }))
  return [...texts.map(({ path, text: own, executable }) => ({ path, bytes: Buffer.from(own), executable })), ...programs]
}
