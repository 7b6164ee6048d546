import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { memoryStore } from '../../src/content/memory.ts'
import { pushBytes, readBytes } from '../../src/content/read.ts'
import type { ContentStore } from '../../src/content/store.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { writeSourceRepository } from '../../src/rpm/make.ts'
import type { RpmPackage } from '../../src/rpm/package.ts'
import { repositoryConfig, repositoryFolder, repositoryMetadata, sourceFolder } from '../../src/rpm/repository.ts'
import { tool } from '../tools.ts'
import { inFolder, run } from './folder.ts'
import { epoch, everything, hostPackages, options, packagesOf, place, writeSources } from './made.ts'
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
    '[rancher-rfo-1.24-stable]\nname=RFO 1.24 (stable)\nbaseurl=file:///media/rfo/rpm/stable/1.24/openeuler/24.03-LTS/$basearch\nenabled=1\ngpgcheck=0\nrepo_gpgcheck=0\n\n[rancher-rfo-1.24-stable-source]\nname=RFO 1.24 (stable), sources\nbaseurl=file:///media/rfo/rpm/source\nenabled=0\ngpgcheck=0\nrepo_gpgcheck=0\n',
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
    same(ours, join(folder, 'theirs'))
  })
})

function same(ours: string, theirs: string): void {
  cpSync(join(ours, 'Packages'), join(theirs, 'Packages'), { recursive: true })
  for (const name of readdirSync(join(theirs, 'Packages'))) utimesSync(join(theirs, 'Packages', name), epoch, epoch)
  const args = ['--quiet', '--general-compress-type=gz', '--no-database', '--revision', String(epoch), '--set-timestamp-to-revision']
  expect(run(createrepo.path, [...args, theirs]).code).toBe(0)
  expect(lists(ours)).toEqual(lists(theirs))
  const shape = (of: string): string => readFileSync(join(of, 'repodata/repomd.xml'), 'utf8').replace(/[0-9a-f]{64}|<size>\d+/g, '#')
  expect(shape(ours)).toBe(shape(theirs))
}

/** The sources of these packages in `folder`, of the files that `made.ts` writes. */
async function sourcesIn(folder: string, packages: readonly RpmPackage[], store: ContentStore): Promise<string> {
  const raw = join(folder, 'raw')
  mkdirSync(raw)
  await writeSources(raw)
  writeFileSync(join(raw, 'every.tar.gz'), 'an archive')
  const sources = new Map<string, Descriptor>()
  for (const name of readdirSync(raw)) sources.set(name, await pushBytes(store, 'application/octet-stream', readFileSync(join(raw, name))))
  for (const { path, content } of await writeSourceRepository(packages, sources, store, options)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), await readBytes(store, content, 1 << 30))
  }
  return join(folder, sourceFolder)
}

test.skipIf(createrepo.skip)('of sources, too', async () => {
  await inFolder(async (folder) => {
    const store = memoryStore()
    const packages = [...(await packagesOf('linux/arm64', store)), ...(await hostPackages('linux/arm64', store)), await everything(store)]
    same(await sourcesIn(folder, packages, store), join(folder, 'theirs'))
  })
})

const dnf = tool('dnf')
test.skipIf(dnf.skip)('dnf finds the sources of a package when it is asked for them', async () => {
  await inFolder(async (folder) => {
    const store = memoryStore()
    const packages = await packagesOf('linux/amd64', store)
    await repository(join(folder, repositoryFolder(place, 'x86_64')), packages, store)
    await sourcesIn(folder, packages, store)
    const main = { cachedir: 'cache', persistdir: 'persist', logdir: '.', reposdir: 'none' }
    const lines = Object.entries(main).map(([name, value]) => `${name}=${join(folder, value)}`)
    writeFileSync(
      join(folder, 'dnf.conf'),
      `[main]\n${lines.join('\n')}\n${repositoryConfig({ id: 'rfo', name: 'RFO', url: `file://${folder}`, place })}`,
    )
    // `dnf download --source` enables this one, too, and is a plugin, which would be there for every other test
    const words = ['-c', join(folder, 'dnf.conf'), '-q', '--releasever=24.03', '--forcearch=x86_64', '--enablerepo=rfo-source']
    const got = run(dnf.path, [...words, 'repoquery', '--arch=src', '--location'])
    const paths = packages.map(({ name }) => `file://${folder}/${sourceFolder}/Packages/${name}-1.24.8~rfor1-1.src.rpm\n`)
    expect(got).toEqual({ code: 0, out: paths.sort().join('') })
  })
})
