/**
 * The installer on a host whose systemd runs, and the units that it put there. The program is a stand-in: it says with what it was
 * started, tells systemd that it is ready, and waits.
 */
import { copyFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { boot, bootTool } from './booted.ts'
import { installable } from './installable.ts'

const nspawn = await bootTool()

const program = `#!/usr/bin/python3
import os, signal, socket, sys
if len(sys.argv) < 2 or sys.argv[1] not in ("server", "agent"):
    sys.exit("rfo version v1.24.8+rfor1 (stand-in)")
print("stand-in for rfo", sys.argv[1], os.environ.get("HOME"), os.environ.get("HTTP_PROXY"), flush=True)
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.connect(os.environ["NOTIFY_SOCKET"].replace("@", "\\0", 1))
notify.send(b"READY=1")
signal.pause()
`

const shown =
  'systemctl show -P ActiveState -P SubState -P UnitFileState -P NRestarts -P Restart -P FragmentPath rfo-server.service | paste -sd " "'

test.skipIf(nspawn.skip)(
  'systemd starts what the installer installed, again when it was killed, by itself at the next boot, and stops it',
  { timeout: 300_000 },
  async () => {
    const release = await installable(Buffer.from(program))
    await copyFile(join(import.meta.dirname, '../../install/install-rfo.sh'), join(release.folder, 'install-rfo.sh'))
    await writeFile(join(release.folder, 'cosign.pub'), release.publicPem)
    const boots = [
      `export INSTALL_RFO_ARTIFACT_PATH=/mnt/release INSTALL_RFO_KEY=/mnt/release/cosign.pub INSTALL_RFO_IMAGE_GROUPS=core
sh /mnt/release/install-rfo.sh
echo "ended with $?"
${shown}
mkdir -p /etc/default; echo HTTP_PROXY=http://proxy >/etc/default/rfo-server
systemctl enable --now rfo-server.service 2>/dev/null
${shown}
systemctl kill --kill-whom=main --signal=KILL rfo-server.service
n=0; until [ "$(systemctl show -P NRestarts -P ActiveState rfo-server.service | paste -sd ' ')" = "active 1" ] || [ $n -gt 100 ]; do sleep 0.2; n=$((n + 1)); done
${shown}
journalctl --output=cat --no-pager --unit=rfo-server.service | grep stand-in
systemctl is-active rfo-agent.service
systemctl start rfo-agent.service; systemctl is-active rfo-server.service rfo-agent.service
systemctl start rfo-server.service; systemctl is-active rfo-server.service rfo-agent.service`,
      `${shown}
PATH=/usr/local/bin:$PATH rfo-killall.sh >/dev/null 2>&1
systemctl is-active rfo-server.service
PATH=/usr/local/bin:$PATH rfo-uninstall.sh >/dev/null 2>&1
systemctl daemon-reload; systemctl show -P LoadState rfo-server.service; find /var/lib/rancher /usr/local -name 'rfo*'`,
    ]
    const [first = '', second = ''] = await boot({ release: release.folder, boots })
    await release.remove()
    const fragment = '/usr/local/lib/systemd/system/rfo-server.service'
    const server = (restarts: number, state: string, enabled: string): string => `always ${restarts} ${state} ${fragment} ${enabled}`
    expect(first.trim().split('\n')).toEqual([
      '[INFO]  staging local checksums from /mnt/release/sha256sum-amd64.txt',
      '[INFO]  staging tarball from /mnt/release/rfo.linux-amd64.tar.gz',
      '[INFO]  verifying tarball',
      '[INFO]  verifying rfo-images-core.linux-amd64.tar.zst',
      '[INFO]  installing images to /var/lib/rancher/rfo/agent/images',
      '[INFO]  unpacking tarball file to /usr/local',
      'ended with 0',
      server(0, 'inactive dead', 'disabled'),
      server(0, 'active running', 'enabled'),
      server(1, 'active running', 'enabled'),
      // what /etc/default and the unit's own file set, at both starts
      'stand-in for rfo server /root http://proxy',
      'stand-in for rfo server /root http://proxy',
      // one ends the other
      ...['inactive', 'inactive', 'active', 'active', 'inactive'],
    ])
    expect(second.trim().split('\n')).toEqual([server(0, 'active running', 'enabled'), 'inactive', 'not-found'])
  },
)
