/** Where RFO's image is not built as RKE2's row says, and why. */

export interface Difference {
  readonly field: 'tags' | 'boring' | 'outputs' | 'packages' | 'entrypoint' | 'cmd' | 'user' | 'workdir' | 'overrides'
  readonly components: readonly string[]
  /** of Kubernetes; absent = of all recorded releases */
  readonly versions?: readonly string[]
  readonly reason: string
}

const november = ['v1.23.14', 'v1.24.8', 'v1.25.4']
const newest = ['v1.34.10']

export const differences: readonly Difference[] = [
  {
    field: 'boring',
    components: [
      'hardened-cluster-autoscaler',
      'hardened-cni-plugins',
      'hardened-containerd',
      'hardened-coredns',
      'hardened-crictl',
      'hardened-dns-node-cache',
      'hardened-etcd',
      'hardened-k8s-metrics-server',
      'hardened-kubernetes',
      'hardened-whereabouts',
      'rke2-cloud-provider',
    ],
    reason:
      'Compiled by Go alone, which gives the same bytes on any machine: BoringSSL needs a C compiler. What has C in it anyway has BoringSSL too.',
  },
  {
    field: 'boring',
    components: [
      'hardened-addon-resizer',
      'hardened-csi-snapshotter',
      'hardened-multus-cni',
      'hardened-multus-thick',
      'hardened-snapshot-controller',
      'hardened-traefik',
    ],
    versions: newest,
    reason: 'As above; in November 2022 RKE2 had the others not, and compiled multus without BoringSSL.',
  },
  {
    field: 'overrides',
    components: ['hardened-calico', 'hardened-runc', 'klipper-helm'],
    versions: newest,
    reason: 'Each is a recipe with RUN steps: what it compiles, and with which modules, is its own.',
  },
  {
    field: 'overrides',
    components: ['hardened-etcd'],
    versions: newest,
    reason:
      'With a raised grpc Go reads the go.mod of an etcd of 2019, which etcd replaces by FORBIDDEN_DEPENDENCY, a folder that is nowhere.',
  },
  {
    field: 'packages',
    components: ['hardened-kubernetes'],
    reason: 'RKE2 copies iptables, ipset and kmod out of k3s-root, which has no riscv64; they come from openEuler.',
  },
  {
    field: 'packages',
    components: ['hardened-dns-node-cache', 'hardened-flannel'],
    reason: 'RKE2 copies iptables out of k3s-root, which has no riscv64; it comes from openEuler.',
  },
  {
    field: 'packages',
    components: ['hardened-calico'],
    versions: november,
    reason: 'RKE2 copies iptables out of k3s-root, which has no riscv64; it comes from openEuler.',
  },
  {
    field: 'packages',
    components: ['hardened-calico'],
    versions: newest,
    reason: 'RKE2 reads its packages out of a file of its own, packages.txt, which the row does not hold: they are those of November 2022.',
  },
  {
    field: 'packages',
    components: ['nginx-ingress-controller'],
    versions: november,
    reason: 'RKE2 leaves what it builds nginx with in the image: git, make, tar, wget. Certificates are a package of openEuler’s.',
  },
  {
    field: 'outputs',
    components: ['hardened-etcd'],
    reason: 'etcdutl is what restores a snapshot since etcd 3.6, and tells what is in one before.',
  },
  {
    field: 'outputs',
    components: ['hardened-multus-cni', 'hardened-multus-thick'],
    versions: newest,
    reason: 'The row names what one Dockerfile compiles for both images; each holds those that it copies.',
  },
  {
    field: 'outputs',
    components: ['klipper-helm', 'rke2-runtime'],
    versions: newest,
    reason: 'The row names what its Dockerfile downloads on the way, and not what the image holds.',
  },
  {
    field: 'tags',
    components: ['hardened-runc'],
    reason: 'RKE2 calls `make static`, which adds netgo and osusergo to the tags that it is given.',
  },
  {
    field: 'tags',
    components: ['hardened-multus-cni'],
    versions: november,
    reason: 'RKE2 calls the project’s own build script, which sets no_openssl.',
  },
  {
    field: 'entrypoint',
    components: ['hardened-multus-cni'],
    versions: november,
    reason: 'RKE2’s name without a folder is looked for in PATH, where / is not: the file is named where it lies.',
  },
]
