/** syft reads the same layout: what it finds of rpm and of Go, we find, and nothing else. It reads our ndb, and both read what rpm wrote. */
import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openLayout } from '../../src/content/layout.ts'
import { type Inventory, inventoryImage } from '../../src/inspect/inventory.ts'
import { tool } from '../tools.ts'
import { layoutOf } from './layout-of.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'rfo-syft-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const syft = tool('syft')
const rpmTool = tool('rpm')
const rpmbuild = tool('rpmbuild')
const crane = tool('crane')
const oras = tool('oras')

interface Artifact {
  readonly type: string
  readonly name: string
  readonly version: string
  readonly locations: readonly { readonly path: string }[]
  readonly metadata?: { readonly architecture?: string; readonly license?: string; readonly sourceRpm?: string }
}

test.skipIf(syft.skip || rpmTool.skip || rpmbuild.skip || crane.skip || oras.skip)(
  'the same packages and modules',
  async () => {
    const database = theirDatabase()
    const layout = join(folder, 'layout')
    await layoutOf(layout, { 'usr/bin/crane': crane.path, 'usr/bin/oras': oras.path }, [
      { name: 'usr/lib/sysimage/rpm/rpmdb.sqlite', body: readFileSync(database) },
    ])
    const { stdout } = await promisify(execFile)(syft.path, [`oci-dir:${layout}`, '-q', '-o', 'json'], {
      maxBuffer: 1 << 28,
      env: { PATH: process.env['PATH'] ?? '', HOME: folder, SYFT_CHECK_FOR_APP_UPDATE: 'false' },
    })
    const { artifacts } = JSON.parse(stdout) as { artifacts: readonly Artifact[] }
    const store = await openLayout(layout)
    const target = await store.resolve('scanned')
    if (target === undefined) throw new Error('no image')
    const ours = await inventoryImage(target, store, { tempDir: join(folder, 'temp') })
    expect(ours.rpmDatabase).toBe('several')
    expect(rpmsOf(ours)).toEqual(
      artifacts
        .filter(({ type }) => type === 'rpm')
        .map(rpmOf)
        .sort(),
    )
    expect(rpmsOf(ours)).toHaveLength(35 + 1)
    const theirs = artifacts
      .filter(({ type }) => type === 'go-module')
      .map(({ name, version, locations }) => `${locations[0]?.path} ${name}@${version}`)
    expect(modulesOf(ours)).toEqual([...new Set(theirs)].sort())
    expect(modulesOf(ours).length).toBeGreaterThan(30)
  },
  120_000,
)

/** A database as Debian's rpm makes it: sqlite. */
function theirDatabase(): string {
  const spec = join(folder, 'theirs.spec')
  writeFileSync(
    spec,
    'Name: theirs\nVersion: 2.0\nRelease: 3\nEpoch: 7\nSummary: x\nLicense: GPLv2+\nVendor: Nobody\nBuildArch: noarch\n%description\nx\n%install\nmkdir -p %{buildroot}/opt\necho x >%{buildroot}/opt/theirs\n%files\n/opt/theirs\n',
  )
  execFileSync(rpmbuild.path, ['-bb', '--define', `_topdir ${folder}/build`, '--quiet', spec], { stdio: 'pipe' })
  const database = join(folder, 'database')
  mkdirSync(database)
  execFileSync(
    rpmTool.path,
    ['--dbpath', database, '-i', '--justdb', '--nodeps', '--noscripts', join(folder, 'build/RPMS/noarch/theirs-2.0-3.noarch.rpm')],
    { stdio: 'pipe' },
  )
  return join(database, 'rpmdb.sqlite')
}

function rpmsOf({ rpm }: Inventory): string[] {
  return rpm
    .map((one) => `${one.name} ${one.epoch === undefined ? '' : `${one.epoch}:`}${one.version}-${one.release} ${one.arch} ${one.sourceRpm}`)
    .sort()
}

function rpmOf({ name, version, metadata }: Artifact): string {
  return `${name} ${version} ${metadata?.architecture} ${metadata?.sourceRpm}`
}

/** Its one rule of its own: a main module of no version gets one of its commit or of its linker's flags, or none. */
function modulesOf({ go }: Inventory): string[] {
  return go
    .flatMap(({ path, goVersion, main, deps }) => [
      ...(main === null ? [] : [`${path} ${main.path}@${main.version}`]),
      ...deps.map((one) => `${path} ${one.replace?.path ?? one.path}@${one.replace?.version ?? one.version}`),
      `${path} stdlib@${goVersion}`,
    ])
    .sort()
}
