/** What each program of a node is told: argv and configuration files. Pure: paths and names in, text out. */
import { network } from './network.ts'
import type { Pki } from './pki.ts'

export interface Paths {
  /** holds the programs of a node, by their names */
  readonly programs: string
  /** holds the CNI plugins */
  readonly cniPlugins: string
  /** for configuration files */
  readonly config: string
}

/** Inside the namespaces these are the cluster's own: see mounts.ts. */
const socket = '/run/containerd/containerd.sock'
export const containerdSocket = socket
const etcdUrl = 'http://127.0.0.1:2379'
const etcdPeer = 'http://127.0.0.1:2380'

export interface ConfigInput {
  readonly paths: Paths
  readonly pki: Pki
  /** image reference: the first container of every pod */
  readonly pause: string
  /** below every hierarchy of the machine */
  readonly cgroup: string
}

/** File name → content, in `paths.config`. */
export function configFiles(input: ConfigInput): Readonly<Record<string, string>> {
  return {
    'containerd.toml': containerdToml(input),
    'kubelet.json': JSON.stringify(kubelet(input)),
    'proxy.json': JSON.stringify(proxy(input)),
    'resolv.conf': `nameserver ${network.dns}\n`,
    'cni/10-rfo.conflist': JSON.stringify(cni),
  }
}

/** https://github.com/containerd/containerd/blob/v1.6.8/docs/cri/config.md */
function containerdToml({ paths, pause }: ConfigInput): string {
  return [
    'version = 2',
    '[grpc]',
    `  address = ${JSON.stringify(socket)}`,
    '[plugins."io.containerd.grpc.v1.cri"]',
    `  sandbox_image = ${JSON.stringify(pause)}`,
    // where CAP_SYS_RESOURCE is missing, nobody may lower it
    '  restrict_oom_score_adj = true',
    '  [plugins."io.containerd.grpc.v1.cri".cni]',
    `    bin_dir = ${JSON.stringify(paths.cniPlugins)}`,
    `    conf_dir = ${JSON.stringify(`${paths.config}/cni`)}`,
    '',
  ].join('\n')
}

const cni = {
  cniVersion: '0.4.0',
  name: 'rfo',
  plugins: [
    {
      type: 'ptp',
      ipMasq: true,
      ipam: { type: 'host-local', ranges: [[{ subnet: network.pods }]], routes: [{ dst: '0.0.0.0/0' }] },
    },
    { type: 'portmap', capabilities: { portMappings: true } },
  ],
}

function kubelet({ paths, pki, cgroup }: ConfigInput): unknown {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: pki.file('ca.crt') } },
    authorization: { mode: 'Webhook' },
    tlsCertFile: pki.file('kubelet.crt'),
    tlsPrivateKeyFile: pki.file('kubelet.key'),
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${cgroup}`,
    failSwapOn: false,
    clusterDNS: [network.dns],
    clusterDomain: network.domain,
    resolvConf: `${paths.config}/resolv.conf`,
    // images are put there by hand and can't be pulled again
    imageGCHighThresholdPercent: 100,
    imageGCLowThresholdPercent: 99,
    evictionHard: { 'memory.available': '100Mi', 'nodefs.available': '1%', 'imagefs.available': '1%', 'nodefs.inodesFree': '1%' },
    maxPods: 110,
    serializeImagePulls: false,
  }
}

function proxy({ pki }: ConfigInput): unknown {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    clientConnection: { kubeconfig: pki.file('proxy.kubeconfig') },
    mode: 'iptables',
    clusterCIDR: network.pods,
    // none of the machine's own limits is changed
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
    bindAddress: '0.0.0.0',
  }
}

export type Argv = readonly [string, ...string[]]

/** What keeps the cluster's state, and what runs its containers. */
export function groundArgv({ paths }: ConfigInput): Readonly<Record<'etcd' | 'containerd', Argv>> {
  return {
    etcd: [
      `${paths.programs}/etcd`,
      '--name=local',
      '--data-dir=/run/etcd',
      `--listen-client-urls=${etcdUrl}`,
      `--advertise-client-urls=${etcdUrl}`,
      `--listen-peer-urls=${etcdPeer}`,
      `--initial-advertise-peer-urls=${etcdPeer}`,
      `--initial-cluster=local=${etcdPeer}`,
      // its folder is memory
      '--unsafe-no-fsync',
    ],
    containerd: [`${paths.programs}/containerd`, '--config', `${paths.config}/containerd.toml`],
  }
}

/** In `paths.config`: what of etcd is encrypted, and with which keys. */
export const encryptionFile = 'encryption.json'

export function apiserverArgv({ paths, pki }: ConfigInput, encrypted: boolean): Argv {
  return [
    `${paths.programs}/kube-apiserver`,
    `--etcd-servers=${etcdUrl}`,
    `--advertise-address=${network.address}`,
    '--bind-address=0.0.0.0',
    `--secure-port=${network.port}`,
    `--service-cluster-ip-range=${network.services}`,
    `--service-account-issuer=https://kubernetes.default.svc.${network.domain}`,
    `--service-account-key-file=${pki.file('accounts.pub')}`,
    `--service-account-signing-key-file=${pki.file('accounts.key')}`,
    `--client-ca-file=${pki.file('ca.crt')}`,
    `--tls-cert-file=${pki.file('apiserver.crt')}`,
    `--tls-private-key-file=${pki.file('apiserver.key')}`,
    `--kubelet-client-certificate=${pki.file('kubelet-client.crt')}`,
    `--kubelet-client-key=${pki.file('kubelet-client.key')}`,
    `--kubelet-certificate-authority=${pki.file('ca.crt')}`,
    '--kubelet-preferred-address-types=InternalIP',
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--allow-privileged=true',
    `--requestheader-client-ca-file=${pki.file('front.crt')}`,
    '--requestheader-allowed-names=front-proxy-client',
    '--requestheader-username-headers=X-Remote-User',
    '--requestheader-group-headers=X-Remote-Group',
    '--requestheader-extra-headers-prefix=X-Remote-Extra-',
    `--proxy-client-cert-file=${pki.file('front-client.crt')}`,
    `--proxy-client-key-file=${pki.file('front-client.key')}`,
    ...(encrypted ? [`--encryption-provider-config=${paths.config}/${encryptionFile}`] : []),
  ]
}

/** What may start once the API answers. */
export function nodeArgv({ paths, pki }: ConfigInput): Readonly<Record<string, Argv>> {
  const everywhere = (name: string): string[] => {
    const config = pki.file(`${name}.kubeconfig`)
    return [
      `--kubeconfig=${config}`,
      `--authentication-kubeconfig=${config}`,
      `--authorization-kubeconfig=${config}`,
      '--leader-elect=false',
    ]
  }
  return {
    'kube-controller-manager': [
      `${paths.programs}/kube-controller-manager`,
      ...everywhere('controller-manager'),
      '--bind-address=127.0.0.1',
      `--service-account-private-key-file=${pki.file('accounts.key')}`,
      `--root-ca-file=${pki.file('ca.crt')}`,
      `--cluster-signing-cert-file=${pki.file('ca.crt')}`,
      `--cluster-signing-key-file=${pki.file('ca.key')}`,
      '--use-service-account-credentials',
      '--allocate-node-cidrs=false',
    ],
    'kube-scheduler': [`${paths.programs}/kube-scheduler`, ...everywhere('scheduler'), '--bind-address=127.0.0.1'],
    kubelet: [
      `${paths.programs}/kubelet`,
      `--config=${paths.config}/kubelet.json`,
      `--kubeconfig=${pki.file('node.kubeconfig')}`,
      // a field of the configuration only since 1.27
      `--container-runtime-endpoint=unix://${socket}`,
      `--hostname-override=${network.node}`,
      `--node-ip=${network.address}`,
      '--v=2',
    ],
    'kube-proxy': [`${paths.programs}/kube-proxy`, `--config=${paths.config}/proxy.json`, `--hostname-override=${network.node}`],
  }
}
