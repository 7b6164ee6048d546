import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { memoryStore } from '../../src/content/memory.ts'
import { rpmFileName } from '../../src/rpm/package.ts'
import { renderSpec } from '../../src/rpm/spec.ts'
import { tool } from '../tools.ts'
import { inFolder, run } from './folder.ts'
import { pgpKey } from './keys.ts'
import { epoch, hostPackages, packagesOf, toFolder } from './made.ts'

const rpmlint = tool('rpmlint')

test.skipIf(rpmlint.skip)('rpmlint has nothing to say of packages and specs but what rpmlint.toml explains', async () => {
  await inFolder(async (folder) => {
    const store = memoryStore()
    const key = await pgpKey()
    const files: string[] = []
    for (const pkg of [...(await packagesOf('linux/amd64', store)), ...(await hostPackages('linux/amd64', store))]) {
      await toFolder(pkg, store, folder, { sign: (header) => key.packet(header, epoch) })
      writeFileSync(join(folder, `${pkg.name}.spec`), renderSpec(pkg))
      files.push(join(folder, rpmFileName(pkg)), join(folder, `${pkg.name}.spec`))
    }
    const ran = run(rpmlint.path, ['--config', join(import.meta.dirname, 'rpmlint.toml'), ...files], { HOME: folder })
    expect(ran.out.split('\n').filter((line) => /: [EW]: /.test(line))).toEqual([])
    expect(ran.out).toContain('6 packages and 6 specfiles checked; 0 errors, 0 warnings')
    expect(ran.code).toBe(0)
  })
})
