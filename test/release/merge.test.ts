/** A release's packages into a repository that is there; createrepo_c and dnf say whether it is one. */
import { cpSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { beforeAll, describe, expect, test } from 'vitest'
import { memoryStore } from '../../src/content/memory.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { mergeRelease } from '../../src/release/merge.ts'
import type { ReleaseFiles } from '../../src/release/shelf.ts'
import { repomdPath, repositoryFolder } from '../../src/rpm/repository.ts'
import { packagePath } from '../../src/rpm/repository-entries.ts'
import type { PgpKey } from '../../src/sign/pgp.ts'
import { inFolder, run } from '../rpm/folder.ts'
import { pgpKey } from '../rpm/keys.ts'
import { epoch, packagesOf, place } from '../rpm/made.ts'
import { repository, system } from '../rpm/openeuler.ts'
import { tool } from '../tools.ts'
import { madeProject, run as rfo, version } from './project.ts'

const [createrepo, modifyrepo, dnf] = [tool('createrepo_c'), tool('modifyrepo_c'), tool('dnf')]
const repo = repositoryFolder(place, 'x86_64')
const [old, young] = ['v1.24.8+rfor1', 'v1.24.8+rfor2']

let key: PgpKey
beforeAll(async () => {
  key = await pgpKey()
})

function filesOf(folder: string): string[] {
  const found = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((each) => each.isFile())
  return found.map((each) => join(each.parentPath, each.name).slice(folder.length + 1)).sort()
}

/** What `merge` sees of a release: files that have been verified. */
async function release(folder: string, of: string): Promise<ReleaseFiles> {
  const store = memoryStore()
  const where = join(folder, of)
  await repository(join(where, repo), await packagesOf('linux/amd64', store, of), store, { sign: (header) => key.packet(header, epoch) })
  writeFileSync(join(where, 'rpm/RPM-GPG-KEY-rfo'), key.publicKey.armored)
  const files = filesOf(where).map((path) => {
    const bytes = readFileSync(join(where, path))
    return { path, size: bytes.length, digest: digestOf(bytes) }
  })
  return {
    where,
    files,
    async *open({ path }) {
      yield readFileSync(join(where, path))
    },
    close: () => Promise.resolve(),
  }
}

const merge = (files: ReleaseFiles, into: string, more: { adopt?: boolean; key?: PgpKey } = {}) =>
  mergeRelease({ files, epoch, into, key, adopt: false, dryRun: false, ...more })

function lists(folder: string): Readonly<Record<string, string>> {
  const index = readFileSync(join(folder, repomdPath), 'utf8')
  const hrefs = [...index.matchAll(/href="(repodata\/[0-9a-f]+-(?:primary|filelists|other)\.xml\.gz)"/g)].map(([, href = '']) => href)
  return Object.fromEntries(hrefs.map((href) => [href.replace(/.*-/, ''), gunzipSync(readFileSync(join(folder, href))).toString()]))
}

function contents(folder: string): Readonly<Record<string, string>> {
  return Object.fromEntries(filesOf(folder).map((path) => [path, digestOf(readFileSync(join(folder, path)))]))
}

test('two releases in one repository, in either order and again: the lists that createrepo_c makes', async () => {
  await inFolder(async (folder) => {
    const [first, second] = [await release(folder, old), await release(folder, young)]
    const into = join(folder, 'into')
    expect(await merge(first, into)).toEqual([{ path: `${repo}/`, packages: 3, added: 3 }])
    expect(await merge(second, into)).toEqual([{ path: `${repo}/`, packages: 6, added: 3 }])
    const after = contents(into)
    expect(await merge(first, into)).toEqual([{ path: `${repo}/`, packages: 6, added: 0 }])
    expect(contents(into)).toEqual(after)
    const other = join(folder, 'other')
    await merge(second, other)
    await merge(first, other)
    expect(lists(join(other, repo))).toEqual(lists(join(into, repo)))
    expect(readFileSync(join(other, 'rpm/RPM-GPG-KEY-rfo'), 'utf8')).toBe(key.publicKey.armored)
    if (createrepo.skip) return
    const theirs = join(folder, 'theirs')
    cpSync(join(into, repo, 'Packages'), join(theirs, 'Packages'), { recursive: true })
    for (const name of readdirSync(join(theirs, 'Packages'))) utimesSync(join(theirs, 'Packages', name), epoch, epoch)
    const made = run(createrepo.path, [
      '--quiet',
      '--general-compress-type=gz',
      '--no-database',
      '--revision',
      String(epoch),
      '--set-timestamp-to-revision',
      theirs,
    ])
    expect(made.code, made.out).toBe(0)
    expect(lists(join(into, repo))).toEqual(lists(theirs))
  })
})

test.skipIf(dnf.skip)('dnf takes either version from it, with both signatures checked', async () => {
  await inFolder(async (folder) => {
    const into = join(folder, 'into')
    await merge(await release(folder, old), into)
    await merge(await release(folder, young), into)
    const store = memoryStore()
    await repository(join(folder, 'system'), [await system(store)], store)
    const config = join(folder, 'dnf.conf')
    const own = `[rfo]\nname=RFO\nbaseurl=file://${into}/${repo}\ngpgcheck=1\nrepo_gpgcheck=1\ngpgkey=file://${into}/rpm/RPM-GPG-KEY-rfo\n`
    const folders = ['cachedir', 'persistdir', 'logdir', 'reposdir'].map((name) => `${name}=${folder}/${name}\n`).join('')
    writeFileSync(config, `[main]\nplugins=0\n${folders}${own}[system]\nname=openEuler\nbaseurl=file://${folder}/system\ngpgcheck=0\n`)
    const root = [`--installroot=${join(folder, 'root')}`, '--releasever=24.03', '--forcearch=x86_64']
    const ask = (...words: string[]) => run(dnf.path, ['-c', config, ...root, '-y', '--setopt=tsflags=noscripts', ...words])
    const installed = ask('install', 'rfo-server-1.24.8~rfor1')
    expect(installed.code, installed.out).toBe(0)
    const upgraded = ask('upgrade')
    expect(upgraded.out).toMatch(/rfo-server\s+x86_64\s+1\.24\.8~rfor2-1/)
    expect(upgraded.code).toBe(0)
  })
})

describe('a repository of others', () => {
  test.skipIf(createrepo.skip || modifyrepo.skip)(
    'is taken over when that is said: packages and groups stay, and sqlite goes',
    async () => {
      await inFolder(async (folder) => {
        const files = await release(folder, young)
        const [into, store] = [join(folder, 'into'), memoryStore()]
        await repository(join(into, repo), [await system(store)], store)
        const groups = join(folder, 'groups.xml')
        writeFileSync(groups, '<?xml version="1.0"?>\n<comps><group><id>g</id></group></comps>\n')
        const there = join(into, repo)
        expect(run(createrepo.path, ['--quiet', '--database', there]).code).toBe(0)
        expect(run(modifyrepo.path, ['--mdtype=group', groups, join(there, 'repodata')]).code).toBe(0)
        const index = readFileSync(join(there, repomdPath), 'utf8')
        const before = contents(into)
        await expect(merge(files, into)).rejects.toMatchObject({ code: 'RFO_MERGE_SIGNATURE', exit: 'untrusted' })
        expect(contents(into)).toEqual(before)
        expect(await merge(files, into, { adopt: true })).toEqual([{ path: `${repo}/`, packages: 4, added: 3 }])
        const after = readFileSync(join(there, repomdPath), 'utf8')
        const group = /<data type="group">[\s\S]*?<\/data>/.exec(index)?.[0] ?? 'none'
        expect(after).toContain(group)
        expect(after).not.toContain('_db')
        expect(lists(there)['primary.xml.gz']).toContain('<name>system</name>')
        // signed by this key now
        expect(await merge(files, into)).toEqual([{ path: `${repo}/`, packages: 4, added: 0 }])
      })
    },
  )

  test('what is not what its lists say is not signed; a name and version is one package; nothing is written then', async () => {
    await inFolder(async (folder) => {
      const [first, second] = [await release(folder, old), await release(folder, young)]
      const into = join(folder, 'into')
      await merge(first, into)
      const altered = async (path: string, code: string, more: Parameters<typeof merge>[2] = {}): Promise<void> => {
        const copy = join(folder, `altered-${code}`)
        cpSync(into, copy, { recursive: true })
        const bytes = readFileSync(join(copy, repo, path))
        bytes[bytes.length - 2] = bytes[bytes.length - 2]! ^ 1
        writeFileSync(join(copy, repo, path), bytes)
        const before = contents(copy)
        await expect(merge(second, copy, more)).rejects.toMatchObject({ code, exit: 'untrusted' })
        expect(contents(copy)).toEqual(before)
      }
      const [common] = await packagesOf('linux/amd64', memoryStore(), old)
      await altered(packagePath(common!), 'RFO_MERGE_PACKAGE')
      await altered(repomdPath, 'RFO_MERGE_SIGNATURE')
      const list = readdirSync(join(into, repo, 'repodata')).find((name) => name.endsWith('primary.xml.gz'))
      await altered(`repodata/${list}`, 'RFO_MERGE_LIST', { adopt: true })
      await expect(merge(second, into, { key: await pgpKey() })).rejects.toMatchObject({ code: 'RFO_MERGE_SIGNATURE' })
      const [mine, before] = [key, contents(into)]
      key = await pgpKey()
      const again = await release(join(folder, 'again'), old)
      key = mine
      await expect(merge(again, into)).rejects.toMatchObject({
        code: 'RFO_RPM_TAKEN',
        exit: 'condition',
        details: expect.arrayContaining(['rfo-common-1.24.8~rfor1-1.x86_64']),
      })
      expect(contents(into)).toEqual(before)
    })
  })
})

test('the command: verified first, one PGP key, and nothing written by --dry-run', async () => {
  const project = await madeProject('amd64')
  try {
    const trust = ['--key', '.rfo/sandbox/cosign.pub']
    const words = ['merge', version, '--into', 'site', ...trust, '--sign-key', '.rfo/sandbox/pgp.key']
    const said = 'rpm/source/ 4 4\nrpm/stable/1.24/openeuler/22.03-LTS/x86_64/ 4 4\n'
    expect(await rfo(project.folder, [...words, '--dry-run'])).toEqual({ code: 0, stdout: said, stderr: '' })
    expect(await rfo(project.folder, words)).toEqual({ code: 0, stdout: said, stderr: '' })
    expect(filesOf(join(project.folder, 'site')).filter((path) => !path.includes('/repodata/'))).toEqual([
      'rpm/RPM-GPG-KEY-rfo',
      'rpm/rfo-release-1.24.8~rfor1-1.x86_64.rpm',
      'rpm/source/Packages/kube-explorer-0.4.2-1.24.8~rfor1.src.rpm',
      ...['agent', 'common', 'server'].map((name) => `rpm/source/Packages/rfo-${name}-1.24.8~rfor1-1.src.rpm`),
      ...['kube-explorer-0.4.2-1.24.8~rfor1', ...['agent', 'common', 'server'].map((name) => `rfo-${name}-1.24.8~rfor1-1`)].map(
        (name) => `rpm/stable/1.24/openeuler/22.03-LTS/x86_64/Packages/${name}.x86_64.rpm`,
      ),
    ])
    expect(await rfo(project.folder, words.slice(0, -2))).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('one PGP key is wanted'),
    })
    writeFileSync(join(project.folder, 'dist', version, 'platforms.txt'), 'x')
    expect(await rfo(project.folder, [...words, '--into', 'other'])).toMatchObject({ code: 3, stdout: '' })
    expect(readdirSync(project.folder)).not.toContain('other')
  } finally {
    await project.remove()
  }
})
