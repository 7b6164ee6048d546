import { describe, expect, test } from 'vitest'
import { ReleasePredicate } from '../../src/attest/release.ts'
import { digestOf } from '../../src/oci/digest.ts'

const digest = digestOf('x')
const release = {
  schema: 'rfo-build.release/1',
  version: 'v1.24.8+rfor1',
  upstream: { version: 'v1.24.8+rke2r1', commit: 'a'.repeat(40) },
  epoch: 1_668_000_000,
  root: { digest, index: { schemaVersion: 2 } },
  platforms: ['linux/amd64', 'linux/riscv64'],
  bases: { 'linux/amd64': { name: 'openEuler 22.03-LTS', reference: 'docker.io/openeuler/openeuler:22.03-lts', digest } },
  images: [
    {
      component: 'coredns',
      reference: 'docker.io/rfolabs/hardened-coredns:v1.9.3',
      digest,
      size: 3,
      action: 'rebuild',
      groups: ['core'],
      platforms: { 'linux/amd64': { status: 'made', digest }, 'linux/riscv64': { status: 'unsupported', reason: 'no base' } },
      deviates: { from: 'x', reason: 'y' },
      standIn: 'z',
    },
  ],
  files: [{ path: 'rfo-images.linux-amd64.tar.zst', digest, size: 1, sm3: '0'.repeat(64) }],
  support: {
    'linux/amd64': { status: 'bootable' },
    'linux/riscv64': { status: 'partial', missing: [{ reference: 'docker.io/x/y:v1', neededBy: 'rke2-canal', reason: 'nobody makes it' }] },
  },
  standIns: [{ what: 'base linux/amd64', standsFor: 'docker.io/openeuler/openeuler' }],
}
const image = release.images[0]

describe('the release predicate', () => {
  test('is read', () => {
    const parsed: ReleasePredicate = ReleasePredicate.parse(release)
    expect(parsed).toEqual(release)
  })

  test.each<readonly [string, unknown]>([
    ['a member that nobody knows', { ...release, extra: 1 }],
    ['another schema', { ...release, schema: 'rfo-build.release/2' }],
    ['an unknown platform', { ...release, platforms: ['linux/386'] }],
    ['a base of an unknown platform', { ...release, bases: { 'linux/386': release.bases['linux/amd64'] } }],
    ['silence about a platform', { ...release, images: [{ ...image, platforms: { 'linux/amd64': { status: 'made', digest } } }] }],
    [
      'unsupported without a reason',
      { ...release, images: [{ ...image, platforms: { ...image?.platforms, 'linux/riscv64': { status: 'unsupported' } } }] },
    ],
    ['silence about what a platform supports', { ...release, support: { 'linux/amd64': { status: 'bootable' } } }],
    ['an image twice', { ...release, images: [image, image] }],
    ['a file twice', { ...release, files: [release.files[0], release.files[0]] }],
    ...['../x', '/etc/x', 'a//b', 'a/./b', 'a\\b', 'a\nb', '', 'a/'].map(
      (path) => [`the path ${JSON.stringify(path)}`, { ...release, files: [{ ...release.files[0], path }] }] as const,
    ),
  ])('%s is refused', (_, value) => {
    expect(ReleasePredicate.safeParse(value).success).toBe(false)
  })
})
