import { describe, expect, test } from 'vitest'
import { digestOf } from '../../src/oci/digest.ts'
import { checksumLists, imageLists, platformOfFile } from '../../src/release/lists.ts'
import { rootDigest, rootIndex } from '../../src/release/root.ts'
import { smallPlan } from './small-plan.ts'

describe('image lists', () => {
  test('one file a group and platform, in the list’s order, and the legacy file is core and canal', () => {
    const files = new Map(imageLists(smallPlan()).map((file) => [file.path, file.text]))
    expect([...files.keys()].sort()).toEqual([
      'rfo-images-all.linux-amd64.txt',
      'rfo-images-all.linux-riscv64.txt',
      'rfo-images-canal.linux-amd64.txt',
      'rfo-images-canal.linux-riscv64.txt',
      'rfo-images-core.linux-amd64.txt',
      'rfo-images-core.linux-riscv64.txt',
      'rfo-images.linux-amd64.txt',
      'rfo-images.linux-riscv64.txt',
    ])
    expect(files.get('rfo-images.linux-amd64.txt')).toBe('docker.io/rfolabs/b:v1\ndocker.io/rfolabs/a:v1\ndocker.io/rancher/c:v2\n')
    expect(files.get('rfo-images-all.linux-amd64.txt')).toBe('docker.io/rancher/c:v2\ndocker.io/rfolabs/a:v1\ndocker.io/rfolabs/b:v1\n')
  })

  test('an image that a platform lacks is in none of its lists', () => {
    for (const file of imageLists(smallPlan())) {
      if (file.path.includes('riscv64')) expect(file.text).not.toContain('rancher/c')
    }
  })
})

describe('checksum lists', () => {
  const file = (path: string) => ({ path, digest: digestOf(path), sm3: 'f'.repeat(64) })

  test('a platform’s list holds its files and those of no platform', () => {
    const lists = checksumLists(
      ['linux/amd64', 'linux/riscv64'],
      [file('plan.json'), file('rfo-images.linux-amd64.txt'), file('rfo-images.linux-riscv64.txt')],
    )
    const amd64 = lists.find((list) => list.path === 'sha256sum-amd64.txt')?.text ?? ''
    expect(
      amd64
        .split('\n')
        .filter(Boolean)
        .map((line) => line.split('  ')[1]),
    ).toEqual(['plan.json', 'rfo-images.linux-amd64.txt'])
    expect(lists.map((list) => list.path)).toEqual([
      'sha256sum-amd64.txt',
      'sm3sum-amd64.txt',
      'sha256sum-riscv64.txt',
      'sm3sum-riscv64.txt',
    ])
  })

  test('a name that contains another is refused: installers grep', () => {
    expect(() => checksumLists(['linux/amd64'], [file('images.lock'), file('old/images.lock')])).toThrow(/contained/)
  })

  test('the bare program alone begins another name, as in RKE2’s lists, whose own greps still find one line each', () => {
    const [list] = checksumLists(
      ['linux/amd64'],
      ['rfo.linux-amd64', 'rfo.linux-amd64.tar.gz', 'rfo-images.linux-amd64.tar.zst', 'rfo-images-core.linux-amd64.tar.zst'].map(file),
    )
    const grep = (pattern: RegExp): number => (list?.text ?? '').split('\n').filter((line) => pattern.test(line)).length
    // install.sh greps "rke2.${SUFFIX}.tar.gz" and "rke2-images.${SUFFIX}.tar.zst", unanchored; rke2-upgrade "rke2.linux-$ARCH$"
    expect([grep(/rfo.linux-amd64.tar.gz/), grep(/rfo-images.linux-amd64.tar.zst/), grep(/rfo.linux-amd64$/)]).toEqual([1, 1, 1])
  })

  test('the platform is read from RKE2’s form alone', () => {
    expect(platformOfFile('rfo-images-core.linux-arm64.tar.zst')).toBe('linux/arm64')
    expect(platformOfFile('rfo.linux-riscv64')).toBe('linux/riscv64')
    const folder = 'rpm/stable/1.24/openeuler/22.03-LTS/aarch64'
    expect(platformOfFile(`${folder}/Packages/rfo-selinux-1.24.8~rfor1-1.noarch.rpm`)).toBe('linux/arm64')
    expect(platformOfFile(`${folder}/repodata/repomd.xml`)).toBe('linux/arm64')
    expect(platformOfFile('rpm/rfo-release-1.24.8~rfor1-1.x86_64.rpm')).toBe('linux/amd64')
    expect(platformOfFile('rpm/source/Packages/rfo-common-1.24.8~rfor1-1.src.rpm')).toBeUndefined()
    expect(platformOfFile('images.lock')).toBeUndefined()
    expect(platformOfFile('x.linux-s390x.txt')).toBeUndefined()
  })
})

describe('root', () => {
  const images = [
    { reference: 'docker.io/rfolabs/b:v1', digest: digestOf('b'), size: 1 },
    { reference: 'docker.io/rfolabs/a:v1', digest: digestOf('a'), size: 2 },
  ]
  const files = [
    { path: 'plan.json', digest: digestOf('p'), size: 3 },
    { path: 'images.lock', digest: digestOf('l'), size: 4 },
  ]

  test('order of what goes in does not matter, content does', () => {
    const root = rootDigest(rootIndex('v1.24.8+rfor1', images, files))
    expect(rootDigest(rootIndex('v1.24.8+rfor1', images.toReversed(), files.toReversed()))).toBe(root)
    expect(rootDigest(rootIndex('v1.24.8+rfor2', images, files))).not.toBe(root)
    expect(rootDigest(rootIndex('v1.24.8+rfor1', images, files.slice(1)))).not.toBe(root)
  })
})
