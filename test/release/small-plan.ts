/** A plan of three images on two platforms, small enough to read. */
import { digestOf } from '../../src/oci/digest.ts'
import type { ImagePlan, ReleasePlan } from '../../src/plan/release-plan.ts'

export function smallPlan(): ReleasePlan {
  return {
    schema: 'rfo-build.plan/1',
    version: 'v1.24.8+rfor1',
    upstream: { version: 'v1.24.8+rke2r1', commit: 'b'.repeat(40) },
    epoch: 1_668_400_000,
    vendor: 'RFO',
    url: 'https://example.test/rfo',
    platforms: ['linux/amd64', 'linux/riscv64'],
    bases: {
      'linux/amd64': { name: 'openEuler 22.03-LTS', reference: 'docker.io/openeuler/openeuler:22.03-lts' },
      'linux/riscv64': {
        name: 'openEuler 24.03-LTS',
        reference: 'docker.io/openeuler/openeuler:24.03-lts',
        reason: 'the first LTS with riscv64',
      },
    },
    images: [
      rebuilt('b', ['core']),
      rebuilt('a', ['canal', 'core']),
      {
        component: 'c',
        action: 'mirror',
        groups: ['canal'],
        upstream: 'docker.io/rancher/c:v2',
        reference: 'docker.io/rancher/c:v2',
        version: 'v2',
        platforms: {
          'linux/amd64': { status: 'made' },
          'linux/riscv64': { status: 'unsupported', reason: 'upstream has no riscv64 image' },
        },
        config: {},
        packages: [],
        layers: 'zstd',
        locked: { fingerprint: digestOf('c'), pin: { kind: 'unresolved', reason: 'no network' } },
      },
    ],
    charts: [],
    unresolved: [{ what: 'image c', reason: 'no network' }],
  }
}

const sum = `h1:${'A'.repeat(43)}=`
/** Of the source of `compiledImage`. */
const modulePin = { kind: 'go-module', module: 'example.test/x', version: 'v1.0.0', h1: sum, goModH1: sum } as const

/** On two platforms, out of a Go module, on no base. */
export function compiledImage(component: string, build: unknown, pin: object = modulePin): ImagePlan {
  return {
    ...rebuilt(component, ['core']),
    source: { kind: 'go-module', module: modulePin.module, version: modulePin.version },
    build: build as NonNullable<ImagePlan['build']>,
    base: 'scratch',
    locked: { fingerprint: digestOf(component), pin: pin as NonNullable<ImagePlan['locked']>['pin'] },
  }
}

function rebuilt(component: string, groups: readonly string[]): ImagePlan {
  return {
    component,
    action: 'rebuild',
    groups,
    upstream: `docker.io/rancher/${component}:v1`,
    reference: `docker.io/rfolabs/${component}:v1`,
    version: 'v1',
    platforms: { 'linux/amd64': { status: 'made' }, 'linux/riscv64': { status: 'made' } },
    source: { kind: 'git', url: 'https://example.test/x', tag: 'v1' },
    build: { kind: 'recipe', outputs: ['/usr/bin/x'], reason: 'needs RUN' },
    config: {},
    packages: [],
    layers: 'zstd',
  }
}
