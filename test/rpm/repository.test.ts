import { createHash } from 'node:crypto'
import { cpSync, readdirSync, readFileSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { memoryStore } from '../../src/content/memory.ts'
import { repositoryConfig, repositoryFolder, repositoryMetadata } from '../../src/rpm/repository.ts'
import { tool } from '../tools.ts'
import { inFolder, run } from './folder.ts'
import { epoch, everything, hostPackages, packagesOf, place } from './made.ts'
import { repository, system } from './openeuler.ts'

const createrepo = tool('createrepo_c')

function lists(folder: string): Readonly<Record<string, string>> {
  const names = readdirSync(join(folder, 'repodata')).filter((name) => name.endsWith('.xml.gz'))
  return Object.fromEntries(
    names.map((name) => [name.replace(/^[0-9a-f]{64}-/, ''), gunzipSync(readFileSync(join(folder, 'repodata', name))).toString()]),
  )
}

test('metadata is the same whatever the order, named by its digest, and without the time of day', async () => {
  await inFolder(async (folder) => {
    const store = memoryStore()
    const listed = await repository(folder, [...(await packagesOf('linux/amd64', store)), await everything(store)], store)
    const files = repositoryMetadata(listed, { epoch })
    expect(repositoryMetadata([...listed].reverse(), { epoch })).toEqual(files)
    expect(files.map(({ path }) => path.replace(/[0-9a-f]{64}/, '<digest>'))).toEqual([
      ...['primary', 'filelists', 'other'].map((kind) => `repodata/<digest>-${kind}.xml.gz`),
      'repodata/repomd.xml',
    ])
    for (const { path, bytes } of files.slice(0, 3)) expect(path).toContain(createHash('sha256').update(bytes).digest('hex'))
  })
})

test('places and the .repo file', () => {
  expect(repositoryFolder(place, 'riscv64')).toBe('rpm/stable/1.24/openeuler/24.03-LTS/riscv64')
  const config = { id: 'rancher-rfo-1.24-stable', name: 'RFO 1.24 (stable)', url: 'file:///media/rfo/', place }
  expect(repositoryConfig(config)).toBe(
    '[rancher-rfo-1.24-stable]\nname=RFO 1.24 (stable)\nbaseurl=file:///media/rfo/rpm/stable/1.24/openeuler/24.03-LTS/$basearch\nenabled=1\ngpgcheck=0\nrepo_gpgcheck=0\n',
  )
  expect(repositoryConfig({ ...config, key: 'file:///media/rfo/rpm/RPM-GPG-KEY-rfo' })).toContain(
    'gpgcheck=1\nrepo_gpgcheck=1\ngpgkey=file:///media/rfo/rpm/RPM-GPG-KEY-rfo\n',
  )
})

test.skipIf(createrepo.skip)('createrepo_c writes the same three lists, byte by byte', async () => {
  await inFolder(async (folder) => {
    const store = memoryStore()
    const ours = join(folder, 'ours')
    const old = { date: '2020-01-01', author: 'A "B" <c@example.org> - 0-1', changes: ['x'] }
    const aged = await everything(store, {
      name: 'aged',
      changelog: Array.from({ length: 14 }, (_, n) => ({ ...old, date: `2020-01-${30 - n}` })),
    })
    await repository(
      ours,
      [
        ...(await packagesOf('linux/arm64', store)),
        ...(await hostPackages('linux/arm64', store)),
        await everything(store),
        aged,
        await system(store),
      ],
      store,
    )
    const theirs = join(folder, 'theirs')
    cpSync(join(ours, 'Packages'), join(theirs, 'Packages'), { recursive: true })
    for (const name of readdirSync(join(theirs, 'Packages'))) utimesSync(join(theirs, 'Packages', name), epoch, epoch)
    const args = [
      '--quiet',
      '--general-compress-type=gz',
      '--no-database',
      '--revision',
      String(epoch),
      '--set-timestamp-to-revision',
      theirs,
    ]
    expect(run(createrepo.path, args).code).toBe(0)
    expect(lists(ours)).toEqual(lists(theirs))
    const shape = (of: string): string => readFileSync(join(of, 'repodata/repomd.xml'), 'utf8').replace(/[0-9a-f]{64}|<size>\d+/g, '#')
    expect(shape(ours)).toBe(shape(theirs))
  })
})
