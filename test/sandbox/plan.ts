/** A small release with one of each: sources of every kind, a shared repository, a mirrored image that lacks a platform, charts. */

import { digestOf } from '../../src/oci/digest.ts'
import { platformNames } from '../../src/oci/platform.ts'
import type { Build, Source } from '../../src/plan/component.ts'
import type { Lock } from '../../src/plan/lock.ts'
import type { ImagePlan, ReleasePlan } from '../../src/plan/release-plan.ts'

const everywhere: ImagePlan['platforms'] = Object.fromEntries(platformNames.map((name) => [name, { status: 'made' }]))

function image(component: string, tag: string, more: Partial<ImagePlan>): ImagePlan {
  return {
    component,
    action: 'rebuild',
    groups: ['core'],
    upstream: `docker.io/rancher/${component}:${tag}`,
    reference: `docker.io/rfolabs/${component}:${tag}`,
    version: tag.replace(/-build\d+$/, ''),
    platforms: everywhere,
    config: {},
    packages: [],
    files: [],
    layers: 'zstd',
    ...more,
  }
}

function go(source: Source, ...outputs: string[]): { readonly source: Source; readonly build: Build } {
  const commands = outputs.map((output) => ({ package: '.', output }))
  return { source, build: { kind: 'go', toolchain: 'go1.21.13', commands, tags: [], ldflags: [], cgo: [] } }
}

export const images: readonly ImagePlan[] = [
  image('hardened-calico', 'v3.24.1-build20221011', {
    groups: ['canal'],
    source: { kind: 'git', url: 'https://github.com/projectcalico/calico', tag: 'v3.24.1' },
    build: { kind: 'recipe', outputs: ['/usr/bin/calico-node', '/opt/cni/bin/calico'], reason: 'needs cgo and BPF' },
  }),
  image('hardened-calico-extra', 'v3.24.1-build20221011', {
    source: { kind: 'git', url: 'https://github.com/projectcalico/calico.git', tag: 'v3.24.1' },
    build: { kind: 'recipe', outputs: ['/usr/bin/calicoctl'], reason: 'a second image of the same source' },
  }),
  image('hardened-coredns', 'v1.9.3-build20221011', {
    ...go({ kind: 'go-module', module: 'github.com/coredns/coredns', version: 'v1.9.3' }, '/coredns'),
    smoke: { argv: ['/coredns', '-version'], expect: 'CoreDNS-1.9.3' },
  }),
  image('hardened-kubernetes', 'v1.24.8-rke2r1-build20221110', {
    ...go(
      { kind: 'git', url: 'https://github.com/kubernetes/kubernetes', tag: 'v1.24.8' },
      ...['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kube-proxy', 'kubectl', 'kubelet'].map(
        (name) => `/usr/local/bin/${name}`,
      ),
    ),
  }),
  image('hardened-tool', 'v1.0.0-build20221011', {
    ...go({ kind: 'archive', url: 'https://example.org/tool/v1.0.0/tool.tar.gz' }, '/usr/bin/tool'),
  }),
  image('pause', '3.6', {
    source: { kind: 'go-module', module: 'k8s.io/kubernetes', version: 'v1.23.14' },
    build: { kind: 'c', commands: [{ sources: ['build/pause/linux/pause.c'], output: '/pause' }], cflags: [] },
  }),
  image('klipper-lb', 'v0.3.5', { action: 'mirror' }),
  image('mirrored-cilium-cilium', 'v1.12.3', {
    action: 'mirror',
    groups: ['cilium'],
    platforms: { ...everywhere, 'linux/riscv64': { status: 'unsupported', reason: 'upstream has none' } },
  }),
]

export const plan: ReleasePlan = {
  schema: 'rfo-build.plan/1',
  version: 'v1.24.8+rfor1',
  upstream: { version: 'v1.24.8+rke2r1', commit: 'b061438ce1f04518d980aac842b62f92095d793d' },
  epoch: 1668434731,
  vendor: 'RFO',
  url: 'https://example.org/rfo',
  platforms: platformNames,
  bases: {
    'linux/amd64': { name: 'openEuler 22.03-LTS', reference: 'docker.io/openeuler/openeuler:22.03-lts' },
    'linux/arm64': { name: 'openEuler 22.03-LTS', reference: 'docker.io/openeuler/openeuler:22.03-lts' },
    'linux/riscv64': {
      name: 'openEuler 24.03-LTS',
      reference: 'docker.io/openeuler/openeuler:24.03-lts',
      reason: 'the first LTS for riscv64',
    },
  },
  images,
  charts: [
    {
      name: 'rke2-canal',
      version: 'v3.24.1-build2022101103',
      url: 'https://rke2-charts.rancher.io/assets/rke2-canal/rke2-canal-v3.24.1-build2022101103.tgz',
    },
    { name: 'rke2-coredns', version: '1.19.401', url: 'https://rke2-charts.rancher.io/assets/rke2-coredns/rke2-coredns-1.19.401.tgz' },
  ],
  unresolved: [],
}

/** What a machine without a network has: everything unresolved, but for one real pin of each kind that may stay. */
export const realLock: Lock = {
  schema: 'rfo-build.lock/1',
  releases: {
    [plan.version]: {
      upstream: { ...plan.upstream, list: digestOf('the list') },
      epoch: plan.epoch,
      bases: Object.fromEntries(platformNames.map((name) => [name, { kind: 'unresolved', reason: 'no network' }])),
      components: Object.fromEntries(
        images.map(({ component }) => [component, { fingerprint: digestOf(component), pin: { kind: 'unresolved', reason: 'no network' } }]),
      ),
      charts: Object.fromEntries(plan.charts.map(({ name }) => [name, { kind: 'unresolved', reason: 'no network' }])),
    },
  },
}
