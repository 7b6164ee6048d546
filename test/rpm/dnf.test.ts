/** dnf as the client, with gpgcheck and repo_gpgcheck, beside a repository of the system's: into a root of its own. */
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { memoryStore } from '../../src/content/memory.ts'
import type { ContentStore } from '../../src/content/store.ts'
import { type PlatformName, platformNames } from '../../src/oci/platform.ts'
import { type RpmPackage, rpmArch } from '../../src/rpm/package.ts'
import { repomdPath, repositoryConfig, repositoryFolder } from '../../src/rpm/repository.ts'
import { packagePath } from '../../src/rpm/repository-entries.ts'
import type { PgpKey } from '../../src/sign/pgp.ts'
import { tool } from '../tools.ts'
import { inFolder, type Ran, run } from './folder.ts'
import { pgpKey } from './keys.ts'
import { epoch, hostPackages, packagesOf, place } from './made.ts'
import { repository, system } from './openeuler.ts'

const dnf = tool('dnf')

let key: PgpKey
beforeAll(async () => {
  key = await pgpKey()
})

/** A medium with RFO's repository, all of it signed, and beside it the system's, which is signed by nobody. */
async function medium(
  folder: string,
  platform: PlatformName,
  versions: readonly string[],
): Promise<{ store: ContentStore; repo: string; packages: RpmPackage[] }> {
  const store = memoryStore()
  const repo = join(folder, repositoryFolder(place, rpmArch(platform)))
  const packages: RpmPackage[] = []
  for (const version of versions)
    packages.push(...(await packagesOf(platform, store, version)), ...(await hostPackages(platform, store, version)))
  await repository(repo, packages, store, { sign: (header) => key.packet(header, epoch) })
  await repository(join(folder, 'system'), [await system(store)], store)
  await signed(repo)
  writeFileSync(join(folder, 'key.asc'), key.publicKey.armored)
  return { store, repo, packages }
}

async function signed(repo: string): Promise<void> {
  writeFileSync(join(repo, `${repomdPath}.asc`), await key.detached(readFileSync(join(repo, repomdPath)), epoch))
}

function ask(folder: string, platform: PlatformName, ...words: readonly string[]): Ran {
  const config = join(folder, 'dnf.conf')
  const main = { cachedir: 'cache', persistdir: 'persist', logdir: '.', reposdir: 'none' }
  const lines = Object.entries(main).map(([name, value]) => `${name}=${join(folder, value)}`)
  const rfo = repositoryConfig({ id: 'rfo', name: 'RFO', url: `file://${folder}`, place, key: `file://${folder}/key.asc` })
  const os = `[system]\nname=openEuler\nbaseurl=file://${folder}/system\ngpgcheck=0\n`
  writeFileSync(config, `[main]\nplugins=0\n${lines.join('\n')}\n${rfo}${os}`)
  const root = [`--installroot=${join(folder, 'root')}`, '--releasever=24.03', `--forcearch=${rpmArch(platform)}`]
  return run(dnf.path, ['-c', config, ...root, '-y', '--setopt=tsflags=noscripts', ...words])
}

/** kube-explorer has a version of its own, and RFO's in its release. */
function isOf(pkg: RpmPackage, version: string): boolean {
  return pkg.version === version || pkg.release === version
}

function installed(folder: string): string[] {
  return run('rpm', ['--root', join(folder, 'root'), '-qa'])
    .out.trim()
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('system-') && !line.startsWith('gpg-pubkey-'))
    .sort()
}

describe.skipIf(dnf.skip)('dnf', () => {
  test.each(platformNames)('installs, upgrades and removes every package for %s from a medium, with what they need', async (platform) => {
    await inFolder(async (folder) => {
      const [old, young] = ['v1.24.8+rfor1', 'v1.24.8+rfor2']
      const { packages } = await medium(folder, platform, [old, young])
      const named = (version: string): string[] =>
        packages
          .filter((pkg) => isOf(pkg, version))
          .map((pkg) => `${pkg.name}-${pkg.version}-${pkg.release}.${pkg.arch}`)
          .sort()
      const first = packages.filter((pkg) => isOf(pkg, '1.24.8~rfor1')).map((pkg) => `${pkg.name}-${pkg.version}-${pkg.release}`)
      const made = ask(folder, platform, 'install', ...first)
      expect([made.code, made.out]).toEqual([0, expect.stringContaining('Complete!')])
      expect(installed(folder)).toEqual(named('1.24.8~rfor1'))
      expect(run('rpm', ['--root', join(folder, 'root'), '-Va'])).toEqual({ code: 0, out: '' })
      const upgraded = ask(folder, platform, 'upgrade')
      expect([upgraded.code, upgraded.out]).toEqual([0, expect.stringContaining('Complete!')])
      expect(installed(folder)).toEqual(named('1.24.8~rfor2'))
      expect(run('rpm', ['--root', join(folder, 'root'), '-Va'])).toEqual({ code: 0, out: '' })
      const removed = ask(folder, platform, 'remove', ...new Set(packages.map(({ name }) => name)))
      expect([removed.code, removed.out]).toEqual([0, expect.stringContaining('Complete!')])
      expect(installed(folder)).toEqual([])
    })
  })

  test('refuses an altered package, one that is not signed, an altered repomd.xml, and a server without its common package', async () => {
    await inFolder(async (folder) => {
      const { store, repo, packages } = await medium(folder, 'linux/amd64', ['v1.24.8+rfor1'])
      const [common] = packages
      const kept = join(folder, 'kept')
      cpSync(repo, kept, { recursive: true })
      const afresh = (): void => {
        for (const name of ['cache', 'root', repo]) rmSync(join(folder, name.replace(folder, '')), { recursive: true, force: true })
        cpSync(kept, repo, { recursive: true })
      }
      const refused = (): string => {
        const ran = ask(folder, 'linux/amd64', 'install', 'rfo-server')
        expect(ran.code).not.toBe(0)
        expect(installed(folder)).toEqual([])
        return ran.out
      }
      const flipped = (path: string, at: number): void => {
        const bytes = readFileSync(path)
        bytes[bytes.length - at] = bytes[bytes.length - at]! ^ 1
        writeFileSync(path, bytes)
      }
      flipped(join(repo, packagePath(common!)), 9)
      expect(refused()).toContain('rfo-common')
      afresh()
      // a comment's worth: the file is still XML
      flipped(join(repo, repomdPath), 2)
      expect(refused()).toMatch(/signature|GPG/i)
      afresh()
      // listed and signed as a repository, and its packages are not
      await repository(repo, packages, store)
      await signed(repo)
      expect(refused()).toMatch(/rfo-\w+-1\.24\.8~rfor1-1\.x86_64\.rpm is not signed/)
      afresh()
      rmSync(join(repo, 'Packages', '..'), { recursive: true })
      await repository(repo, packages.slice(1), store, { sign: (header) => key.packet(header, epoch) })
      await signed(repo)
      expect(refused()).toContain('nothing provides rfo-common = 1.24.8~rfor1-1 needed by rfo-server')
    })
  })
})
