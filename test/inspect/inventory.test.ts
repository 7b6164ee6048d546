import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { verified } from '../../src/content/read.ts'
import type { ContentReader } from '../../src/content/store.ts'
import { type Inventory, inventoryImage } from '../../src/inspect/inventory.ts'
import { writeNdb } from '../../src/sandbox/rpmdb.ts'
import { type Entry, elf, type Image, image, osRelease, rpm } from './images.ts'

let tempDir: string
beforeAll(() => {
  tempDir = mkdtempSync(join(tmpdir(), 'rfo-inventory-'))
})
afterAll(() => rmSync(tempDir, { recursive: true, force: true }))

const look = ({ store, manifest }: Image): Promise<Inventory> => inventoryImage(manifest, store, { tempDir })
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
const link = (name: string, linkname: string): Entry => ({ name, type: 'symlink', linkname })

const bash = rpm('bash', {
  epoch: 1,
  requires: ['libc.so.6()(64bit)', '/usr/lib64/libtinfo.so.6', 'rpmlib(x)'],
  files: [{ path: '/bin/bash', digest: sha256(elf('bash')) }],
})
const glibc = rpm('glibc', {
  license: 'LGPLv2+',
  provides: ['glibc', 'libc.so.6()(64bit)'],
  files: [{ path: '/usr/lib64/libc.so.6', digest: sha256(elf('libc')) }],
})
const ncurses = rpm('ncurses-libs', { files: [{ path: '/usr/lib64/libtinfo.so.6', digest: '' }] })
const base: readonly Entry[] = [
  { name: 'usr/lib/os-release', body: osRelease },
  link('etc/os-release', '../usr/lib/os-release'),
  link('bin', 'usr/bin'),
  { name: 'usr/bin/bash', body: elf('bash') },
  { name: 'usr/lib64/libc.so.6', body: elf('libc') },
  { name: 'usr/lib64/libtinfo.so.6', body: elf('tinfo') },
  { name: 'usr/share/text', body: 'text' },
  { name: 'var/lib/rpm/Packages.db', body: writeNdb([glibc, bash, ncurses]) },
]

describe('an inventory', () => {
  test('of packages, of what they own through links, and of strangers', async () => {
    const made = await image([
      base,
      [
        { name: 'opt/stranger', body: elf('stranger') },
        { name: 'opt/script', body: '#!/bin/sh\n' },
      ],
    ])
    const found = await look(made)
    expect(found).toMatchObject({
      schema: 'rfo-build.inventory/1',
      image: made.manifest.digest,
      platform: 'linux/amd64',
      os: { id: 'openEuler', version: '24.03', prettyName: 'openEuler 24.03 (LTS-SP1)' },
      rpmDatabase: 'ndb',
      go: [],
      unexplained: [{ path: '/opt/stranger', sha256: sha256(elf('stranger')) }],
      files: 8,
      coverage: { explained: 3, total: 4 },
    })
    expect(found.rpm.map(({ name, epoch, dependsOn }) => [name, epoch, dependsOn])).toEqual([
      ['bash', 1, ['glibc-1.0-1.oe2403sp1.x86_64', 'ncurses-libs-1.0-1.oe2403sp1.x86_64']],
      ['glibc', undefined, []],
      ['ncurses-libs', undefined, []],
    ])
    expect(JSON.stringify(await look(made))).toBe(JSON.stringify(found))
  })

  test('a file that is not as its package had it is not explained by it', async () => {
    const found = await look(await image([base, [{ name: 'usr/bin/bash', body: elf('changed') }]]))
    expect(found.unexplained).toMatchObject([{ path: '/usr/bin/bash', sha256: sha256(elf('changed')) }])
    expect(found.owned.map(({ path, owner }) => [path, owner])).toContainEqual(['/usr/lib64/libc.so.6', 'glibc-1.0-1.oe2403sp1.x86_64'])
    expect(found.owned.map(({ path }) => path)).not.toContain('/usr/bin/bash')
  })

  test('what a whiteout hides is not there: no packages, no system', async () => {
    const found = await look(await image([base, ['var/.wh.lib', 'usr/lib/.wh.os-release', 'usr/bin/.wh.bash'].map((name) => ({ name }))]))
    expect(found).toMatchObject({ rpm: [], rpmDatabase: 'none', os: null, coverage: { explained: 0, total: 2 } })
  })

  test('a database reached through a link is read once', async () => {
    const moved = base.map((entry) => (entry.name.startsWith('var/') ? { ...entry, name: 'usr/lib/sysimage/rpm/Packages.db' } : entry))
    const found = await look(await image([[...moved, link('var/lib/rpm', '../../usr/lib/sysimage/rpm')]]))
    expect([found.rpmDatabase, found.rpm.length]).toEqual(['ndb', 3])
  })

  test('a database that cannot be read is an error and never an image without packages', async () => {
    for (const body of ['nonsense', 'RpmP', writeNdb([bash]).subarray(0, 5000)]) {
      const made = await image([[{ name: 'var/lib/rpm/Packages.db', body }]])
      await expect(look(made)).rejects.toMatchObject({ exit: 'untrusted', code: expect.stringMatching(/^RFO_INSPECT_(RPMDB|NDB)$/) })
    }
  })

  test('a database of another package manager is named as one that nobody read', async () => {
    const found = await look(await image([base, [{ name: 'var/lib/dpkg/status', body: 'Package: x\n' }]]))
    expect(found.unread).toEqual(['/var/lib/dpkg/status'])
    expect((await look(await image([base]))).unread).toEqual([])
  })

  test('a platform that is not in the table is refused', async () => {
    await expect(look(await image([base], { architecture: 's390x' }))).rejects.toMatchObject({ code: 'RFO_INSPECT_PLATFORM' })
  })

  test('bytes that are not the layer’s are found while they stream', async () => {
    const { store, manifest } = await image([base], { packing: 'plain' })
    const flipping: ContentReader = {
      ...store,
      fetch: (target, signal) =>
        verified(
          target,
          (async function* () {
            for await (const chunk of store.fetch(target, signal)) {
              const bytes = Buffer.from(chunk)
              if (target.size > 8192) bytes[600] = (bytes[600] ?? 0) ^ 1
              yield bytes
            }
          })(),
        ),
    }
    await expect(inventoryImage(manifest, flipping, { tempDir })).rejects.toMatchObject({ code: 'RFO_CONTENT_DIGEST', exit: 'untrusted' })
  })
})
