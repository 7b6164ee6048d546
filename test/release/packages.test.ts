/** OS packages from a pipeline's names to the image: resolved by `lock`, put into a layer by `release`, seen by whoever looks. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { openDirectoryStore } from '../../src/content/directory.ts'
import { memoryStore } from '../../src/content/memory.ts'
import { readJson } from '../../src/content/read.ts'
import { inventoryImage } from '../../src/inspect/inventory.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { listDigest } from '../../src/plan/fingerprint.ts'
import type { Lock } from '../../src/plan/lock.ts'
import { parseLock } from '../../src/plan/lock-text.ts'
import { planOf, type ReleaseInputs, readInputs } from '../../src/release/inputs.ts'
import { type Sandbox, startSandbox } from '../../src/sandbox/start.ts'
import { tool } from '../tools.ts'
import { type Project, type Ran, run, smallProject, version } from './project.ts'

let project: Project
let inputs: ReleaseInputs
let world: Sandbox
let scratch: string
let mirrors: string
beforeAll(async () => {
  project = await smallProject()
  scratch = await mkdtemp(join(tmpdir(), 'rfo-packages-'))
  inputs = await readInputs(project.folder, version)
  const list = listDigest(inputs.pipelines.upstream)
  world = await startSandbox({ plan: planOf(inputs), kinds: new Set(), everything: true, lock: inputs.lock, list, stateDir: scratch })
  mirrors = Object.entries(world.addresses)
    .map(([prefix, to]) => `${prefix}=${to}`)
    .join(',')
})
afterAll(async () => {
  await world.close()
  await project.remove()
  await rm(scratch, { recursive: true, force: true })
})

const component = 'hardened-kubernetes'

/** The real `lock`, led to the stand-ins' servers; sources in git are theirs, and Go modules nobody serves. */
async function lock(...argv: string[]): Promise<Ran & { readonly written: Lock }> {
  const ran = await run(project.folder, ['lock', version, '--progress', 'none', ...argv], {
    RFO_MIRRORS: mirrors,
    GOPROXY: 'off',
    GOFLAGS: '',
  })
  return { ...ran, written: parseLock(await readFile(join(project.folder, 'images.lock'), 'utf8'), 'images.lock') }
}

async function asking(names: string): Promise<void> {
  const file = join(project.folder, `pipelines/${component}.yaml`)
  await writeFile(file, (await readFile(file, 'utf8')).replace(/^packages: .*$/m, `packages: ${names}`))
}

describe('lock', () => {
  test('reads base and repositories, and finds what the stand-ins’ own lock says', async () => {
    const { written } = await lock()
    const found = written.releases[version]?.packages
    expect(found).toEqual(world.lock.releases[version]?.packages)
    expect(found?.['linux/riscv64']?.components[component]).toMatchObject({
      kind: 'rpms',
      rpms: ['conntrack-tools', 'ipset', 'iptables', 'kmod', 'rfo-stand-in', 'which'].map((name) =>
        expect.stringMatching(new RegExp(`^${name}-1\\.0-1\\.oe2403\\.(riscv64|noarch)$`)),
      ),
    })
  })

  test('a package that no repository has stops everything that needs it: by its code, with the name that may have been meant', async () => {
    await asking('[iptable, which]')
    const { code, stderr, written } = await lock()
    expect(code).toBe(6)
    const what = `RFO_RPM_ABSENT: no repository has a package iptable; there is iptables (for ${component} on linux/arm64)`
    expect(written.releases[version]?.packages?.['linux/arm64']?.components[component]).toEqual({ kind: 'unresolved', reason: what })
    expect(stderr).toContain(`packages/${component}/linux/arm64: ${what}`)
    expect((await run(project.folder, ['keys', 'generate'])).code).toBe(0)
    const released = await run(project.folder, ['release', version, '--sign-key', 'rfo.key', '--progress', 'none'])
    expect(released.code, released.stderr).toBe(6)
    expect(released.stderr).toContain(`packages/${component}/linux/amd64 is not pinned: RFO_RPM_ABSENT`)
    const built = await run(project.folder, ['build', version, component, '--progress', 'none'])
    expect([built.code, /RFO_LOCK_UNRESOLVED/.test(built.stderr)]).toEqual([6, true])
    await asking('[conntrack-tools, ipset, iptables, kmod, which]')
    const { written: mended } = await lock()
    expect(mended.releases[version]?.packages).toEqual(world.lock.releases[version]?.packages)
  })

  test('--check says that a pin is for other packages, and asks nobody', async () => {
    await asking('[iptables]')
    const { code, stdout, stderr } = await lock('--check')
    await asking('[conntrack-tools, ipset, iptables, kmod, which]')
    expect(code).toBe(6)
    expect(stderr).toContain('RFO_LOCK_STALE: 3 pins do not fit')
    expect(stdout).toContain(`packages/${component}/linux/amd64`)
    expect(stdout).not.toContain('rpm/')
  })
})

describe('a release', () => {
  let made: Ran
  beforeAll(async () => {
    await rm(join(project.folder, 'images.lock'), { force: true })
    made = await run(project.folder, ['release', version, '--sandbox', '--progress', 'json'])
    expect(made.code, made.stderr.slice(-2000)).toBe(0)
  })
  const dist = (): string => join(project.folder, 'dist', version)

  async function imageOf(platform: string): Promise<{ readonly manifest: Descriptor; readonly layers: readonly Descriptor[] }> {
    const { subject } = JSON.parse(await readFile(join(dist(), 'evidence/release.json'), 'utf8')) as {
      subject: { name: string; digest: { sha256: string } }[]
    }
    const index = subject.find(({ name }) => name.includes(`/${component}:`))
    const blob = async (digest: string): Promise<never> =>
      JSON.parse(await readFile(join(dist(), 'oci/blobs/sha256', digest), 'utf8')) as never
    const { manifests } = (await blob(index?.digest.sha256 ?? '')) as { manifests: Descriptor[] }
    const manifest = manifests.find((each) => `linux/${each.platform?.architecture}` === platform) as Descriptor
    const { layers } = (await blob(manifest.digest.slice(7))) as { layers: Descriptor[] }
    return { manifest, layers }
  }

  test.each(['linux/amd64', 'linux/riscv64'] as const)(
    'has the packages in the image for %s: between base and programs, in database and SBOM',
    async (platform) => {
      const { manifest, layers } = await imageOf(platform)
      expect(layers).toHaveLength(3)
      const store = await openDirectoryStore(join(dist(), 'oci'))
      const found = await inventoryImage(manifest, store, { tempDir: scratch })
      const installed = found.rpm.filter(({ name }) => ['ipset', 'iptables', 'rfo-stand-in'].includes(name))
      expect(installed.map(({ name, version: own }) => `${name} ${own}`)).toEqual(['ipset 1.0', 'iptables 1.0', 'rfo-stand-in 1.0'])
      expect(found.rpm.find(({ name }) => name === 'iptables')?.dependsOn).toEqual([expect.stringMatching(/^rfo-stand-in-1\.0-1\./)])
      expect(found.rpm.map(({ name }) => name)).toContain('glibc')
      // the program of a package is the package's
      expect(found.unexplained.map(({ path }) => path)).not.toContain('/usr/bin/iptables')
      const sbom = await readFile(join(dist(), 'sbom', `${component}.${platform.replace('/', '-')}.cdx.json`), 'utf8')
      expect(sbom).toContain('pkg:rpm/openeuler/iptables@1.0-1.oe')
      expect((await readJson(store, { ...manifest })) as object).toMatchObject({ layers: [{}, {}, {}] })
    },
  )

  test('says in its provenance which RPMs went in', async () => {
    const { manifest } = await imageOf('linux/amd64')
    const store = await openDirectoryStore(join(project.folder, '.rfo'))
    const said: string[] = []
    for (const each of await store.referrers(manifest)) {
      const { layers } = (await readJson(store, each)) as { layers: Descriptor[] }
      for (const layer of layers) {
        const bundle = (await readJson(store, layer)) as { dsseEnvelope?: { payload: string } }
        said.push(Buffer.from(bundle.dsseEnvelope?.payload ?? '', 'base64').toString())
      }
    }
    const provenance = said
      .map((text) => (text === '' ? {} : JSON.parse(text)))
      .find((each) => each.predicateType === 'https://slsa.dev/provenance/v1')
    const { rpms } = world.lock.releases[version]!.packages!['linux/amd64']!
    const pin = Object.entries(rpms).find(([nevra]) => nevra.startsWith('iptables-'))!
    expect(provenance.predicate.buildDefinition.resolvedDependencies).toContainEqual({
      name: pin[0],
      uri: 'pkg:rpm/openeuler/iptables@1.0-1.oe2203?arch=x86_64&distro=openeuler-22.03&upstream=iptables-1.0-1.oe2203.src.rpm',
      digest: { sha256: pin[1].digest.slice(7) },
    })
    expect(provenance.predicate.buildDefinition.internalParameters.packages).toEqual({ notDone: {} })
  })

  test('is the same in another folder', async () => {
    const other = await smallProject()
    try {
      const again = await run(other.folder, ['build', version, component, '--sandbox', '--progress', 'none'])
      expect(again.stdout).toContain((await imageOf('linux/arm64')).manifest.digest)
    } finally {
      await other.remove()
    }
  })
})

const rpm = tool('rpm')
test.skipIf(rpm.skip)('rpm itself takes the stand-ins for packages, and installs them', async () => {
  const { rpms } = world.lock.releases[version]!.packages!['linux/amd64']!
  const files: string[] = []
  for (const [nevra, { url }] of Object.entries(rpms)) {
    const prefix = Object.keys(world.addresses)
      .filter((each) => url.startsWith(each))
      .sort((a, b) => b.length - a.length)[0] as string
    const response = await fetch(`${world.addresses[prefix]}${url.slice(prefix.length)}`)
    const file = join(scratch, `${nevra}.rpm`)
    await writeFile(file, Buffer.from(await response.arrayBuffer()))
    files.push(file)
  }
  const { spawnSync } = await import('node:child_process')
  const asked = (...argv: string[]): string => {
    const { stdout, stderr } = spawnSync(rpm.path, ['--root', join(scratch, 'root'), ...argv], {
      encoding: 'utf8',
      env: { PATH: process.env.PATH, HOME: scratch },
    })
    return `${stdout}${stderr}`.replace(/^rpm: .*\n/gm, '')
  }
  const { mkdir } = await import('node:fs/promises')
  await mkdir(join(scratch, 'root'))
  expect(asked('--nodeps', '-i', ...files)).toBe('')
  expect(asked('-Va', '--nodeps')).toBe('')
  expect(asked('-q', 'iptables', '--requires')).toBe('rfo-stand-in\n')
  expect(asked('-ql', 'rfo-stand-in')).toContain('/usr/share/doc/rfo-stand-in/STAND-IN\n')
})
void [parse, memoryStore]
