import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { memoryStore } from '../../src/content/memory.ts'
import type { ContentStore } from '../../src/content/store.ts'
import { type PlatformName, platformNames } from '../../src/oci/platform.ts'
import { type RpmPackage, rpmArch } from '../../src/rpm/package.ts'
import { packagePath, type RepositoryPackage, repositoryConfig, repositoryFolder, repositoryMetadata } from '../../src/rpm/repository.ts'
import { tool } from '../tools.ts'
import { inFolder, type Ran, run } from './folder.ts'
import { epoch, everything, packagesOf, toFolder } from './made.ts'

const createrepo = tool('createrepo_c')
const dnf = tool('dnf')
const place = { channel: 'stable', minor: '1.24', os: '24.03-LTS' }

/** What RFO's packages need of openEuler, as one package that has nothing in it. */
async function system(store: ContentStore): Promise<RpmPackage> {
  const empty = { files: [], requires: [], conflicts: [], obsoletes: [], scripts: {} }
  return await everything(store, { ...empty, name: 'system', arch: 'noarch', provides: [{ name: 'iptables' }, { name: '/bin/sh' }] })
}

/** A repository in `folder`, as a release lays it out. */
async function repository(folder: string, packages: readonly RpmPackage[], store: ContentStore): Promise<readonly RepositoryPackage[]> {
  const listed: RepositoryPackage[] = []
  for (const pkg of packages) listed.push(await toFolder(pkg, store, join(folder, packagePath(pkg), '..')))
  mkdirSync(join(folder, 'repodata'), { recursive: true })
  for (const { path, bytes } of repositoryMetadata(listed, { epoch })) writeFileSync(join(folder, path), bytes)
  return listed
}

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
    await repository(ours, [...(await packagesOf('linux/arm64', store)), await everything(store), aged, await system(store)], store)
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

describe.skipIf(dnf.skip)('dnf', () => {
  const install = (folder: string, platform: PlatformName, packages: readonly string[]): Ran => {
    const config = join(folder, 'dnf.conf')
    const main = { cachedir: 'cache', persistdir: 'persist', logdir: '.', reposdir: 'none' }
    const lines = Object.entries(main).map(([name, value]) => `${name}=${join(folder, value)}`)
    const repositories = repositoryConfig({ id: 'rfo', name: 'RFO', url: `file://${folder}`, place })
    writeFileSync(config, `[main]\nplugins=0\n${lines.join('\n')}\n${repositories}`)
    const args = [
      '-c',
      config,
      `--installroot=${join(folder, 'root')}`,
      '--releasever=24.03',
      `--forcearch=${rpmArch(platform)}`,
      '-y',
      '--setopt=tsflags=noscripts',
    ]
    return run(dnf.path, [...args, 'install', ...packages])
  }

  test.each(platformNames)('installs server and agent for %s from a medium, with what they need', async (platform) => {
    await inFolder(async (folder) => {
      const store = memoryStore()
      const repo = join(folder, repositoryFolder(place, rpmArch(platform)))
      await repository(repo, [...(await packagesOf(platform, store)), await system(store)], store)
      const installed = install(folder, platform, ['rfo-server', 'rfo-agent'])
      expect(installed.out).toContain('Complete!')
      expect(installed.code).toBe(0)
      const found = run('rpm', ['--root', join(folder, 'root'), '-qa'])
        .out.trim()
        .split('\n')
        .sort()
      const own = ['agent', 'common', 'server'].map((name) => `rfo-${name}-1.24.8~rfor1-1.${rpmArch(platform)}`)
      expect(found).toEqual([...own, 'system-1.0~rc1^git5-3.noarch'])
      expect(run('rpm', ['--root', join(folder, 'root'), '-Va'])).toEqual({ code: 0, out: '' })
    })
  })

  test('refuses a package that is not the one listed, and a server without its common package', async () => {
    await inFolder(async (folder) => {
      const store = memoryStore()
      const repo = join(folder, repositoryFolder(place, 'x86_64'))
      const packages = await packagesOf('linux/amd64', store)
      await repository(repo, [...packages, await system(store)], store)
      const [common] = packages
      const path = join(repo, packagePath(common!))
      const bytes = readFileSync(path)
      bytes[bytes.length - 9] = bytes[bytes.length - 9]! ^ 1
      writeFileSync(path, bytes)
      expect(install(folder, 'linux/amd64', ['rfo-server']).code).not.toBe(0)
      rmSync(repo, { recursive: true })
      for (const name of ['cache', 'root']) rmSync(join(folder, name), { recursive: true, force: true })
      await repository(repo, [...packages.slice(1), await system(store)], store)
      expect(install(folder, 'linux/amd64', ['rfo-server']).out).toContain(
        'nothing provides rfo-common = 1.24.8~rfor1-1 needed by rfo-server',
      )
    })
  })
})
