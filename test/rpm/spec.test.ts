import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { memoryStore } from '../../src/content/memory.ts'
import { readBytes } from '../../src/content/read.ts'
import { platformNames } from '../../src/oci/platform.ts'
import { type RpmPackage, rpmFileName } from '../../src/rpm/package.ts'
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
  const build = (folder: string, pkg: RpmPackage, payload: string): string => {
    const spec = join(folder, `${pkg.name}.spec`)
    writeFileSync(spec, renderSpec(pkg))
    const defines = {
      _topdir: join(folder, 'top'),
      _sourcedir: join(folder, 'sources'),
      _rpmdir: join(folder, 'built'),
      _buildhost: 'reproducible',
      use_source_date_epoch_as_buildtime: '1',
      clamp_mtime_to_source_date_epoch: '1',
      _binary_payload: payload,
    }
    const args = Object.entries(defines).flatMap(([name, value]) => ['--define', `${name} ${value}`])
    const ran = run(rpmbuild.path, ['-bb', '--quiet', '--target', `${pkg.arch}-linux`, ...args, spec], {
      SOURCE_DATE_EPOCH: String(epoch),
      HOME: folder,
    })
    expect(ran.code, ran.out).toBe(0)
    return join(folder, 'built', pkg.arch, rpmFileName(pkg))
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
          expect(said(build(folder, pkg, 'w9.gzdio'))).toBe(said(join(folder, rpmFileName(pkg))))
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
      const built = build(folder, pkg, 'w9.zstdio')
      expect(said(built)).toBe(said(join(folder, rpmFileName(pkg))))
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
