/** What only an installed rfo can show: `rfo` does it, or its installer. */
import type { Check } from './check.ts'

const restart = ['systemctl', 'restart', 'rfo-server'] as const
const stop = ['systemctl', 'stop', 'rfo-server'] as const
const start = ['systemctl', 'start', 'rfo-server'] as const
const ready = [
  'kubectl',
  '--kubeconfig=/etc/rancher/rfo/rfo.yaml',
  'wait',
  '--for=condition=Ready',
  'nodes',
  '--all',
  '--timeout=10m',
] as const
const reset = (snapshot: string) => ['rfo', 'server', '--cluster-reset', `--cluster-reset-restore-path=${snapshot}`] as const
const install = (release: string) => ['env', `INSTALL_RFO_ARTIFACT_PATH=${release}`, 'sh', `${release}/install-rfo.sh`] as const
const snapshots = '/var/lib/rancher/rfo/server/db/snapshots'

export const rfoChecks = {
  'rfo-install': {
    needs: 'rfo',
    title: { en: 'installed without a network, a server becomes ready', zh: '离线安装后，服务器就绪' },
    commands: [install('<release>'), start, ready],
  },
  'rfo-etcd-snapshot': {
    needs: 'rfo',
    title: { en: 'a snapshot of etcd is taken and listed', zh: '创建并列出 etcd 快照' },
    commands: [
      ['rfo', 'etcd-snapshot', 'save', '--name', 'check'],
      ['rfo', 'etcd-snapshot', 'ls'],
    ],
  },
  'rfo-etcd-restore': {
    needs: 'rfo',
    title: { en: 'a cluster is restored from a snapshot', zh: '从快照恢复集群' },
    commands: [stop, reset(`${snapshots}/<snapshot>`), start, ready],
  },
  'rfo-certificate-rotate': {
    needs: 'rfo',
    title: { en: 'certificates are rotated, and the node comes back', zh: '轮换证书后节点恢复' },
    commands: [stop, ['rfo', 'certificate', 'rotate'], start, ready],
  },
  'rfo-secrets-encrypt': {
    needs: 'rfo',
    title: { en: 'rfo rotates the key of secrets', zh: 'rfo 轮换 Secret 加密密钥' },
    commands: [
      ['rfo', 'secrets-encrypt', 'prepare'],
      restart,
      ['rfo', 'secrets-encrypt', 'rotate'],
      restart,
      ['rfo', 'secrets-encrypt', 'reencrypt'],
      ['rfo', 'secrets-encrypt', 'status'],
    ],
  },
  'rfo-agent-join': {
    needs: 'rfo',
    title: { en: 'an agent joins with the server’s token', zh: 'agent 以服务器的 token 加入' },
    commands: [
      ['cat', '/var/lib/rancher/rfo/server/node-token'],
      ['env', 'INSTALL_RFO_TYPE=agent', 'INSTALL_RFO_ARTIFACT_PATH=<release>', 'sh', '<release>/install-rfo.sh'],
      ['systemctl', 'start', 'rfo-agent'],
      ready,
    ],
  },
  'rfo-upgrade-restore': {
    needs: 'rfo',
    title: { en: 'upgraded from the release before, and restored to it from a snapshot', zh: '从前一发布升级，再用快照恢复到前一发布' },
    commands: [
      ['rfo', 'etcd-snapshot', 'save', '--name', 'before'],
      install('<release>'),
      restart,
      ready,
      ['rfo-killall.sh'],
      install('<release before>'),
      reset(`${snapshots}/<snapshot>`),
      start,
      ready,
    ],
  },
  'rfo-uninstall': {
    needs: 'rfo',
    title: { en: 'removed, nothing of it runs and no file is left', zh: '卸载后没有残留的进程与文件' },
    commands: [['rfo-killall.sh'], ['rfo-uninstall.sh'], ['find', '/etc/rancher/rfo', '/var/lib/rancher/rfo']],
  },
} as const satisfies Readonly<Record<string, Extract<Check, { needs: 'rfo' }>>>
