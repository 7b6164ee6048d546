import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { memoryStore } from '../../src/content/memory.ts'
import { pushBytes, readBytes } from '../../src/content/read.ts'
import type { ContentStore } from '../../src/content/store.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { platformNames } from '../../src/oci/platform.ts'
import { type RpmPackage, rpmFileName } from '../../src/rpm/package.ts'
import type { Compression } from '../../src/rpm/payload.ts'
import { buildRpm, rpmbuildVersion } from '../../src/rpm/rpmbuild.ts'
import { renderSpec } from '../../src/rpm/spec.ts'
import { tool } from '../tools.ts'
import { inFolder, run } from './folder.ts'
import { epoch, everything, hostPackages, packagesOf, toFolder, writeSources } from './made.ts'

const rpmbuild = tool('rpmbuild')

/** Everything a package says, apart from rpmbuild's own notes and the compressed bytes: Debian's zlib is another one. */
const dump = [
  '%{NEVRA}|%{SUMMARY}|%{DESCRIPTION}|%{BUILDTIME}|%{BUILDHOST}|%{SIZE}|%{VENDOR}|%{LICENSE}|%{PACKAGER}|%{GROUP}|%{URL}|%{OS}|%{ARCH}',
  '%{SOURCERPM}|%{ENCODING}|%{PAYLOADFORMAT}|%{PAYLOADCOMPRESSOR}|%{PAYLOADFLAGS}|%{HEADERI18NTABLE}|%{FILEDIGESTALGO}|%{PAYLOADDIGESTALGO}',
  ...['PREIN', 'POSTIN', 'PREUN', 'POSTUN', 'POSTTRANS'].map((name) => `${name} %{${name}} %{${name}PROG}`),
  ...['PROVIDE', 'REQUIRE', 'CONFLICT', 'OBSOLETE'].map((kind) => `[${kind} %{${kind}NAME} %{${kind}FLAGS} %{${kind}VERSION}\n]`),
  `[${['FILENAMES', 'FILEMODES', 'FILERDEVS', 'FILEDIGESTS', 'FILELINKTOS', 'FILEFLAGS', 'FILEUSERNAME', 'FILEGROUPNAME'].map((tag) => `%{${tag}} `).join('')}`,
  `${['FILEVERIFYFLAGS', 'FILEDEVICES', 'FILEINODES', 'FILELANGS', 'FILESIZES', 'FILEMTIMES'].map((tag) => `%{${tag}} `).join('')}\n]`,
  '[%{DIRNAMES}\n][%{CHANGELOGTIME} %{CHANGELOGNAME} %{CHANGELOGTEXT}\n]',
  // the whole archive, uncompressed
  'PAYLOAD %{PAYLOADDIGESTALT} %{LONGARCHIVESIZE}',
].join('\n')

describe.skipIf(rpmbuild.skip)('rpmbuild', () => {
  const env = { PATH: process.env.PATH ?? '' }
  /** The path of what the backend makes, of the files in `folder`/sources. */
  const build = async (folder: string, pkg: RpmPackage, store: ContentStore, compression: Compression = 'gzip'): Promise<string> => {
    const sources = new Map<string, Descriptor>()
    for (const name of readdirSync(join(folder, 'sources')))
      sources.set(name, await pushBytes(store, 'application/octet-stream', readFileSync(join(folder, 'sources', name))))
    const { rpm } = await buildRpm(pkg, sources, store, { epoch, compression, workDir: join(folder, 'work'), env })
    expect(readdirSync(join(folder, 'work'))).toEqual([])
    mkdirSync(join(folder, 'built'), { recursive: true })
    const path = join(folder, 'built', rpmFileName(pkg))
    writeFileSync(path, await readBytes(store, rpm, 1 << 30))
    return path
  }
  const said = (path: string): string => {
    const ran = run('rpm', ['-qp', '--qf', dump, path])
    expect(ran.code, ran.out).toBe(0)
    return ran.out
  }

  test('makes of each spec and the release tarballs what our writer makes, down to the archive', async () => {
    await inFolder(async (folder) => {
      mkdirSync(join(folder, 'sources'))
      await writeSources(join(folder, 'sources'))
      for (const platform of platformNames) {
        const store = memoryStore()
        for (const pkg of [...(await packagesOf(platform, store)), ...(await hostPackages(platform, store))]) {
          await toFolder(pkg, store, folder)
          expect(said(await build(folder, pkg, store))).toBe(said(join(folder, rpmFileName(pkg))))
        }
      }
    })
  })

  test('reads everything that a model can say as it was meant', async () => {
    await inFolder(async (folder) => {
      const store = memoryStore()
      const pkg = await everything(store)
      const tree = join(folder, 'tree')
      for (const file of pkg.files) {
        if (file.kind !== 'file') continue
        mkdirSync(dirname(join(tree, file.source)), { recursive: true })
        writeFileSync(join(tree, file.source), await readBytes(store, file.content))
      }
      mkdirSync(join(folder, 'sources'))
      execFileSync('tar', ['-C', tree, '-czf', join(folder, 'sources', 'every.tar.gz'), '.'])
      await toFolder(pkg, store, folder, { compression: 'zstd' })
      const built = await build(folder, pkg, store, 'zstd')
      expect(said(built)).toBe(said(join(folder, rpmFileName(pkg))))
      // the same again, in another folder; and rpm finds its sums right behind the signature header that room was kept in
      const once = readFileSync(built)
      expect(readFileSync(await build(folder, pkg, store, 'zstd')).equals(once)).toBe(true)
      expect(run('rpm', ['-K', '--nosignature', built])).toEqual({ code: 0, out: `${built}: digests OK\n` })
    })
  })

  test('that makes another package than the model, or is not there, is an error by its code', async () => {
    await inFolder(async (folder) => {
      const store = memoryStore()
      const [, server] = await packagesOf('linux/amd64', store)
      mkdirSync(join(folder, 'sources'))
      await writeSources(join(folder, 'sources'))
      writeFileSync(join(folder, 'sources', 'rfo-server.env'), 'HOME=/other\n')
      await expect(build(folder, server!, store)).rejects.toMatchObject({
        code: 'RFO_RPM_RPMBUILD',
        message: expect.stringContaining('fileDigests'),
      })
      await expect(buildRpm(server!, new Map(), store, { epoch, compression: 'gzip', workDir: folder, env })).rejects.toMatchObject({
        code: 'RFO_RPM_BUNDLE',
      })
      await expect(rpmbuildVersion({ PATH: folder })).rejects.toMatchObject({ code: 'RFO_EXEC_ABSENT', exit: 'machine' })
      const odd = { epoch, compression: 'gzip', workDir: join(folder, 'a b'), env } as const
      await expect(buildRpm(server!, new Map(), store, odd)).rejects.toMatchObject({ code: 'RFO_RPM_RPMBUILD', exit: 'machine' })
    })
  })
})

test("a spec follows openEuler's order of fields, and is one text for every architecture", async () => {
  const store = memoryStore()
  const texts = new Map<string, Set<string>>()
  for (const platform of platformNames) {
    for (const pkg of [...(await packagesOf(platform, store)), ...(await hostPackages(platform, store))])
      texts.set(pkg.name, (texts.get(pkg.name) ?? new Set()).add(renderSpec(pkg)))
  }
  expect([...texts.keys()]).toEqual(['rfo-common', 'rfo-server', 'rfo-agent', 'kube-explorer', 'rfo-selinux', 'rfo-release'])
  for (const each of texts.values()) {
    expect(each.size).toBe(1)
    const [text = ''] = each
    const fields = [...text.matchAll(/^([A-Z]\w+):/gm)].map(([, name]) => name)
    expect(fields.slice(0, 7)).toEqual(['Name', 'Version', 'Release', 'Summary', 'License', 'URL', 'Source0'])
    expect(text).not.toMatch(/^Group:|%\{\?dist\}|%\{\?_isa\}|rm -rf %\{buildroot\}/m)
    expect(text).toMatch(/^\* Wed Nov 23 2022 RFO <rfo@openeuler.org> - (1\.24\.8~rfor1-1|0\.4\.2-1\.24\.8~rfor1)$/m)
  }
})
