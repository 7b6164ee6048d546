import { expect, test } from 'vitest'
import { memoryStore } from '../../src/content/memory.ts'
import { readBytes } from '../../src/content/read.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { platformNames } from '../../src/oci/platform.ts'
import { specFiles, writeRepository } from '../../src/rpm/make.ts'
import type { RpmPackage } from '../../src/rpm/package.ts'
import { options, packagesOf, place } from './made.ts'

test("a platform's repository as files of a release: everything pushed, the same twice, no name inside another one", async () => {
  for (const platform of platformNames) {
    const store = memoryStore()
    const packages = (await packagesOf(platform, store)) as [RpmPackage, ...RpmPackage[]]
    const files = await writeRepository(packages, place, store, options)
    expect(await writeRepository(packages, place, store, options)).toEqual(files)
    expect(files.map(({ path }) => path.split('/').slice(0, 5).join('/'))).toEqual(files.map(() => 'rpm/stable/1.24/openeuler/24.03-LTS'))
    for (const { path, content, unsigned } of files) {
      const bytes = await readBytes(store, content)
      expect(unsigned !== undefined).toBe(path.endsWith('.rpm') || path.endsWith('/repomd.xml'))
      if (unsigned !== undefined && path.endsWith('.rpm'))
        expect(digestOf(bytes.subarray(bytes.length - unsigned.size))).toBe(unsigned.digest)
    }
    const all = files.map(({ path }) => path).join('\n')
    for (const { path } of files) expect(all.indexOf(path)).toBe(all.lastIndexOf(path))
    expect(specFiles(packages).map(({ path }) => path)).toEqual(['common', 'server', 'agent'].map((name) => `rpm/specs/rfo-${name}.spec`))
  }
})
