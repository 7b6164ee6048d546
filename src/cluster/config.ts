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
const etcdUrl = 'https://127.0.0.1:2379'
const etcdPeer = 'https://127.0.0.1:2380'
/** Of those that k3s and RKE2 serve with, what the CIS benchmark calls strong: https://github.com/k3s-io/k3s/blob/v1.25.4%2Bk3s1/pkg/daemons/control/server.go */
const ciphers = [
  'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384',
  'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384',
  'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256',
  'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256',
  'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305',
  'TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305',
]

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
    'audit.json': JSON.stringify(audit),
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

/** Who reads secrets and goes into pods; all of it would fill a disk. https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/ */
const audit = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  rules: [
    {
      level: 'Metadata',
      resources: [
        {
          group: '',
          resources: ['secrets', 'serviceaccounts/token', 'pods/exec', 'pods/attach', 'pods/portforward', 'pods/proxy', 'services/proxy'],
        },
        { group: 'rbac.authorization.k8s.io' },
      ],
    },
    { level: 'None' },
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
    tlsCipherSuites: ciphers,
    readOnlyPort: 0,
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
export function groundArgv({ paths, pki }: ConfigInput): Readonly<Record<'etcd' | 'containerd', Argv>> {
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
      `--cert-file=${pki.file('etcd.crt')}`,
      `--key-file=${pki.file('etcd.key')}`,
      '--client-cert-auth=true',
      `--trusted-ca-file=${pki.file('etcd-ca.crt')}`,
      `--peer-cert-file=${pki.file('etcd.crt')}`,
      `--peer-key-file=${pki.file('etcd.key')}`,
      '--peer-client-cert-auth=true',
      `--peer-trusted-ca-file=${pki.file('etcd-ca.crt')}`,
      // its folder is memory
      '--unsafe-no-fsync',
    ],
    containerd: [`${paths.programs}/containerd`, '--config', `${paths.config}/containerd.toml`],
  }
}

/** With it, etcdctl needs no flag to reach etcd: https://etcd.io/docs/v3.5/dev-guide/interacting_v3/ */
export function etcdctlEnv(pki: Pki): Readonly<Record<string, string>> {
  return {
    ETCDCTL_API: '3',
    ETCDCTL_ENDPOINTS: etcdUrl,
    ETCDCTL_CACERT: pki.file('etcd-ca.crt'),
    ETCDCTL_CERT: pki.file('etcd-client.crt'),
    ETCDCTL_KEY: pki.file('etcd-client.key'),
  }
}

/** In `paths.config`: what of etcd is encrypted, and with which keys. */
export const encryptionFile = 'encryption.json'

export function apiserverArgv({ paths, pki }: ConfigInput, encrypted: boolean): Argv {
  return [
    `${paths.programs}/kube-apiserver`,
    `--etcd-servers=${etcdUrl}`,
    `--etcd-cafile=${pki.file('etcd-ca.crt')}`,
    `--etcd-certfile=${pki.file('etcd-client.crt')}`,
    `--etcd-keyfile=${pki.file('etcd-client.key')}`,
    `--advertise-address=${network.address}`,
    '--bind-address=0.0.0.0',
    `--secure-port=${network.port}`,
    `--service-cluster-ip-range=${network.services}`,
    `--service-account-issuer=https://kubernetes.default.svc.${network.domain}`,
    `--service-account-key-file=${pki.file('accounts.pub')}`,
    `--service-account-signing-key-file=${pki.file('accounts.key')}`,
    `--client-ca-file=${pki.file('ca.crt')}`,
    '--anonymous-auth=false',
    '--profiling=false',
    `--audit-policy-file=${paths.config}/audit.json`,
    '--audit-log-path=/var/log/kube-apiserver/audit.log',
    // days, files, megabytes
    '--audit-log-maxage=30',
    '--audit-log-maxbackup=10',
    '--audit-log-maxsize=100',
    `--tls-cipher-suites=${ciphers.join(',')}`,
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
      '--profiling=false',
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
      '--use-service-account-credentials=true',
      // k3s' and RKE2's
      '--terminated-pod-gc-threshold=1000',
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
