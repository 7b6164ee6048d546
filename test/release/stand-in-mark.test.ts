/** Whatever of a stand-in release can be carried alone says what it is. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ReleasePredicate } from '../../src/attest/release.ts'
import { openLayout } from '../../src/content/layout.ts'
import { readBytes, readJson } from '../../src/content/read.ts'
import { parseIndex, parseManifest } from '../../src/oci/manifest.ts'
import { madeProject, type Project, run, version } from './project.ts'

let project: Project
let made: string
beforeAll(async () => {
  project = await madeProject('amd64,riscv64')
  made = join(project.folder, 'dist', version)
})
afterAll(() => project.remove())

test('every image, by a label that says what it stands for', async () => {
  const layout = await openLayout(join(made, 'oci'))
  const statement = JSON.parse(await readFile(join(made, 'evidence/release.json'), 'utf8')) as { predicate: ReleasePredicate }
  let images = 0
  for (const image of statement.predicate.images) {
    const index = parseIndex(
      await readBytes(layout, { mediaType: 'application/vnd.oci.image.index.v1+json', digest: image.digest, size: image.size }),
    )
    for (const manifest of index.manifests) {
      const { config } = parseManifest(await readBytes(layout, manifest))
      const value = (await readJson(layout, config)) as { config?: { Labels?: Record<string, string> } }
      expect(value.config?.Labels?.['io.rfolabs.stand-in'], `${image.reference} ${manifest.digest}`).toMatch(/\S/)
      images += 1
    }
  }
  expect(images).toBeGreaterThan(5)
})

const marks = [
  ['.spdx.json', '"comment":"io.rfolabs.stand-in: '],
  ['.cdx.json', '"name": "io.rfolabs.stand-in"'],
  ['.vuln.json', '"uri":"stand-in:'],
] as const

test('every SBOM and scan, the statement, the notes in both languages, and a file of its own that the lists cover', async () => {
  for (const name of await readdir(join(made, 'sbom'))) {
    const sbom = await readFile(join(made, 'sbom', name), 'utf8')
    // a mirrored image's SBOM is about a stand-in as well
    expect(sbom, name).toContain(marks.find(([end]) => name.endsWith(end))?.[1])
  }
  const statement = JSON.parse(await readFile(join(made, 'evidence/release.json'), 'utf8')) as { predicate: ReleasePredicate }
  expect(statement.predicate.images.every((image) => image.standIn !== undefined)).toBe(true)
  expect(statement.predicate.standIns.length).toBe(statement.predicate.images.length + 3) // one chart, what installs it, and the advisories
  expect(await readFile(join(made, 'SANDBOX'), 'utf8')).toContain('not for use')
  expect(await readFile(join(made, 'RELEASE.md'), 'utf8')).toContain('Not for use')
  expect(await readFile(join(made, 'RELEASE.md'), 'utf8')).toContain(
    '- hardened-coredns: github.com/coredns/coredns@v1.9.3; docker.io/openeuler/openeuler:22.03-lts',
  )
  expect(await readFile(join(made, 'RELEASE.zh.md'), 'utf8')).toContain('不可用于生产')
  for (const list of ['sha256sum-amd64.txt', 'sm3sum-riscv64.txt'])
    expect(await readFile(join(made, list), 'utf8')).toMatch(/ {2}SANDBOX\n/)
})

test('verify ends with the word, and with 4 for whoever has not the sandbox’s own key', async () => {
  const verified = await run(project.folder, ['verify', version, '--key', '.rfo/sandbox/cosign.pub'])
  expect(verified.code).toBe(0)
  expect(verified.stdout.trim().split('\n').at(-1)).toMatch(/ SANDBOX$/)
  expect(verified.stdout).toContain('stand-in for github.com/coredns/coredns@v1.9.3')
  const without = await run(project.folder, ['verify', version])
  expect([without.code, without.stdout]).toEqual([5, ''])
  expect(without.stderr).toMatch(/sha256:[0-9a-f]{64}/)
})
