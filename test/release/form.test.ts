/** A whole release of v1.24.8, as the README makes it: every file that scripts rely on is there, and no other. */
import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { contractFiles, filesOf, readPlan, readPredicate, withoutListings } from './form.ts'
import { root, run, version } from './project.ts'

let folder: string
let made: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rfo-form-'))
  for (const name of ['pipelines', 'images.lock']) await symlink(join(root, name), join(folder, name))
  const ran = await run(folder, ['release', version, '--sandbox', '--progress', 'none'])
  expect([ran.code, ran.stderr]).toEqual([0, ''])
  made = join(folder, 'dist', version)
}, 120_000)
afterAll(() => rm(folder, { recursive: true, force: true }))

test('a sandbox release holds every file of the contract, and no other', async () => {
  const files = await filesOf(made)
  expect(withoutListings(files)).toEqual(contractFiles(await readPlan(made), await readPredicate(made)))
  expect(files.length - withoutListings(files).length).toBe(3 * (3 + 1))
})

test('the statement lists each of them but for signatures and what is derived', async () => {
  const listed = new Set((await readPredicate(made)).files.map((file) => file.path))
  const unlisted = (await filesOf(made)).filter((path) => !listed.has(path))
  expect(unlisted.filter((path) => !/\.(sig|sm2|asc|prov|sigstore\.json)$/.test(path))).toEqual([
    'evidence/release.json',
    'oci/index.json',
    'oci/oci-layout',
  ])
})

test('RKE2’s own greps find one line each in the lists of checksums', async () => {
  for (const arch of ['amd64', 'arm64', 'riscv64']) {
    const lines = (await readFile(join(made, `sha256sum-${arch}.txt`), 'utf8')).split('\n')
    for (const name of [`rfo-images.linux-${arch}.tar.zst`, `rfo-images-core.linux-${arch}.tar.zst`, `rfo.linux-${arch}.tar.gz`])
      expect(lines.filter((line) => line.includes(name))).toHaveLength(1)
  }
})
