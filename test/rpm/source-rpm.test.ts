import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { memoryStore } from '../../src/content/memory.ts'
import { pushBytes, readBytes } from '../../src/content/read.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { rpmFileName, sourceNames } from '../../src/rpm/package.ts'
import { writeSourceRpm } from '../../src/rpm/source-rpm.ts'
import { sourceRpmName } from '../../src/rpm/tags.ts'
import { tool } from '../tools.ts'
import { inFolder, run } from './folder.ts'
import { epoch, hostPackages, options, packagesOf, toFolder, writeSources } from './made.ts'

const rpmbuild = tool('rpmbuild')

test.skipIf(rpmbuild.skip)(
  'rpmbuild --rebuild makes of each source what the writer makes; rpm reads it and finds its digests right',
  async () => {
    await inFolder(async (folder) => {
      const store = memoryStore()
      const raw = join(folder, 'raw')
      mkdirSync(raw)
      await writeSources(raw)
      for (const pkg of [...(await packagesOf('linux/amd64', store)), ...(await hostPackages('linux/amd64', store))]) {
        const sources = new Map<string, Descriptor>()
        const names = sourceNames(pkg)
        for (const name of names) sources.set(name, await pushBytes(store, 'application/octet-stream', readFileSync(join(raw, name))))
        const { rpm } = await writeSourceRpm(pkg, sources, store, options)
        expect((await writeSourceRpm(pkg, sources, store, options)).rpm).toEqual(rpm)
        const path = join(folder, sourceRpmName(pkg))
        writeFileSync(path, await readBytes(store, rpm, 1 << 30))
        expect(run('rpm', ['-K', '--nosignature', path])).toEqual({ code: 0, out: `${path}: digests OK\n` })
        const told = run('rpm', ['-qp', '--nosignature', '--qf', '%{NAME} %{SOURCEPACKAGE} %{SOURCERPM}\n[%{FILENAMES}\n]', path])
        expect(told.out.trim().split('\n')).toEqual([`${pkg.name} 1 (none)`, ...[`${pkg.name}.spec`, ...names].sort()])
        const defines = {
          _topdir: join(folder, 'top'),
          _buildhost: 'reproducible',
          use_source_date_epoch_as_buildtime: '1',
          clamp_mtime_to_source_date_epoch: '1',
          _binary_payload: 'w9.gzdio',
        }
        const args = Object.entries(defines).flatMap(([name, value]) => ['--define', `${name} ${value}`])
        const ran = run(rpmbuild.path, ['--rebuild', '--quiet', '--target', `${pkg.arch}-linux`, ...args, path], {
          SOURCE_DATE_EPOCH: String(epoch),
          HOME: folder,
        })
        expect(ran.code, ran.out).toBe(0)
        await toFolder(pkg, store, folder)
        // the plain archive and the names of all that is in it
        const query = ['-qp', '--nosignature', '--qf', '%{NEVRA} %{SOURCERPM} %{PAYLOADDIGESTALT}\n[%{FILENAMES} %{FILEDIGESTS}\n]']
        const built = join(folder, 'top/RPMS', pkg.arch, rpmFileName(pkg))
        expect(run('rpm', [...query, built])).toEqual(run('rpm', [...query, join(folder, rpmFileName(pkg))]))
      }
    })
  },
)

test('a source that nobody gives is missed', async () => {
  const store = memoryStore()
  const [pkg] = await packagesOf('linux/amd64', store)
  await expect(writeSourceRpm(pkg!, new Map(), store, options)).rejects.toMatchObject({ code: 'RFO_RPM_BUNDLE' })
})
