/** A C library on its way through a release: its own task, part of the keys of what links it, in SBOM and provenance. */
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openDirectoryStore } from '../../src/content/directory.ts'
import { RfoError } from '../../src/error.ts'
import type { Task } from '../../src/graph/task.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { canonicalJson } from '../../src/oci/json.ts'
import type { LibraryPlan } from '../../src/plan/library.ts'
import type { ReleasePlan } from '../../src/plan/release-plan.ts'
import { buildScope } from '../../src/release/build.ts'
import { type BuildTools, buildTools } from '../../src/release/compilers.ts'
import { imageTasks } from '../../src/release/image-tasks.ts'
import { libraryTask, withLibraries } from '../../src/release/library-tasks.ts'
import { libraryFacts, libraryTools, linkedInto } from '../../src/release/linked.ts'
import type { ReleasePorts } from '../../src/release/ports.ts'
import { preflight } from '../../src/release/preflight.ts'
import { build, files } from '../build/autotools.ts'
import { tarOf } from '../inspect/images.ts'
import { tool } from '../tools.ts'
import { compiledImage, smallPlan } from './small-plan.ts'

const go = { kind: 'go', toolchain: 'go1.21.13', commands: [{ package: '.', output: '/usr/bin/x' }], tags: [], ldflags: [] } as const

const prebuilt = { kind: 'archive', url: 'https://example.test/x.tar', digest: digestOf('x'), size: 1, prebuilt: 'bin/{architecture}' }
const url = 'https://example.test/say.tar.gz'
let archive: Buffer
let plan: ReleasePlan
let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rfo-libraries-'))
  const entries = Object.entries(files).map(([name, body]) => ({ name: `say-1/${name}`, body, mode: name === 'configure' ? 0o755 : 0o644 }))
  archive = gzipSync(await tarOf(entries))
  const say: LibraryPlan = {
    name: 'say',
    version: '1.0',
    source: { kind: 'archive', url },
    build,
    license: 'LGPL-2.1-only',
    tools: ['gperf'],
    locked: { fingerprint: digestOf('say'), pin: { kind: 'archive', url, digest: digestOf(archive), size: archive.length } },
  }
  plan = {
    ...smallPlan(),
    unresolved: [],
    libraries: [say],
    images: [
      compiledImage('collector', {
        kind: 'collect',
        from: [
          { component: 'links', program: '/usr/bin/x', output: '/bin/x' },
          { component: 'without', program: '/usr/bin/x', output: '/bin/y' },
        ],
      }),
      compiledImage('links', { ...go, cgo: 'all', libraries: ['say'] }),
      compiledImage('links-on-amd64', { ...go, cgo: ['amd64'], libraries: ['say'] }),
      compiledImage('prebuilt', { ...go, cgo: 'all', libraries: ['say'] }, prebuilt),
      compiledImage('without', { ...go, cgo: 'all' }),
    ],
  }
})
afterAll(async () => {
  await rm(dir, { recursive: true, force: true })
})

const facts = { version: 'gcc 12.2.0' }
const tools = (gperf = 'GNU gperf 3.1', gcc = facts): BuildTools => ({
  compilers: new Map([
    ['amd64', gcc],
    ['riscv64', gcc],
  ]),
  versions: new Map([['gperf', gperf]]),
})

function walked(of: ReleasePlan, with_: BuildTools): ReadonlyMap<string, Task> {
  const seen = new Map<string, Task>()
  const walk = (task: Task): void => {
    seen.set(task.id, task)
    for (const need of Object.values(task.needs)) walk(need)
  }
  for (const { index } of imageTasks(of, [], with_, { env: {} } as unknown as ReleasePorts)) walk(index)
  return seen
}

test('one task for a library and platform, whoever links it; none for what is prebuilt or has no cgo there', () => {
  const tasks = walked(plan, tools())
  const needing = (id: string): string[] =>
    [...tasks.values()].filter(({ needs }) => Object.values(needs).some((need) => need.id === id)).map((task) => task.id)
  expect([...tasks.keys()].filter((id) => id.startsWith('library/'))).toEqual(['library/say/linux/amd64', 'library/say/linux/riscv64'])
  expect(needing('library/say/linux/amd64')).toEqual(['programs/links/linux/amd64', 'programs/links-on-amd64/linux/amd64'])
  expect(needing('library/say/linux/riscv64')).toEqual(['programs/links/linux/riscv64'])
  // one task object: it runs once
  expect(tasks.get('programs/links/linux/amd64')?.needs['library/say']).toBe(
    tasks.get('programs/links-on-amd64/linux/amd64')?.needs['library/say'],
  )
})

test('another compiler, another gperf, another archive, another step is another key of the library', () => {
  const keys = (of: ReleasePlan, with_: BuildTools): Map<string, string> =>
    new Map([...walked(of, with_)].map(([id, task]) => [id, canonicalJson(task.key)]))
  const first = keys(plan, tools())
  const changed = (of: ReleasePlan, with_ = tools()): string[] =>
    [...keys(of, with_)].filter(([id, key]) => first.get(id) !== key).map(([id]) => id)
  expect(changed(plan)).toEqual([])
  const both = ['library/say/linux/amd64', 'library/say/linux/riscv64']
  // what links it gets it as an input: the graph compares the digest of what was made
  expect(changed(plan, tools('GNU gperf 3.2'))).toEqual(both)
  expect(changed(plan, tools(undefined, { version: 'gcc 14' }))).toEqual(expect.arrayContaining([...both, 'programs/without/linux/amd64']))
  const library = plan.libraries?.[0]
  if (library?.locked?.pin.kind !== 'archive') throw new Error('it is locked')
  const pinned = { ...library.locked, pin: { ...library.locked.pin, digest: digestOf('another') } }
  expect(changed({ ...plan, libraries: [{ ...library, locked: pinned }] })).toEqual(both)
  expect(changed({ ...plan, libraries: [{ ...library, build: { ...build, configure: ['--with-x'] } }] })).toEqual(both)
})

test('SBOM and provenance say what is inside, and where it was collected', () => {
  const said = (component: string, platform: 'linux/amd64' | 'linux/riscv64' = 'linux/riscv64'): unknown => {
    const one = plan.images.find((each) => each.component === component)
    if (one === undefined) throw new Error(component)
    const { materials, parameters } = libraryFacts(plan, one, platform)
    return {
      linked: linkedInto(plan, one, platform).map(({ name, programs }) => [name, programs]),
      materials,
      parameters: Object.keys(parameters),
    }
  }
  const nothing = { linked: [], materials: [], parameters: [] }
  const material = { uri: url, digest: { sha256: digestOf(archive).slice(7) }, name: 'say@1.0' }
  expect(said('links')).toEqual({ linked: [['say', ['/usr/bin/x']]], materials: [material], parameters: ['libraries'] })
  // its provenance names the images that it collects from
  expect(said('collector')).toEqual({ ...nothing, linked: [['say', ['/bin/x']]] })
  expect(said('links-on-amd64')).toEqual(nothing)
  expect(said('links-on-amd64', 'linux/amd64')).not.toEqual(nothing)
  expect(said('prebuilt')).toEqual(nothing)
  expect(said('without')).toEqual(nothing)
  const links = plan.images.find(({ component }) => component === 'links')
  if (links !== undefined) expect(libraryTools(plan, links, 'linux/amd64', tools())).toEqual({ gperf: 'GNU gperf 3.1' })
})

test('what it is made with is asked for before the first task, with the components that need it', async () => {
  const problems: unknown = await preflight({ plan, env: { PATH: dir }, writes: [], workDir: dir, host: 'amd64' }).catch(
    (thrown: unknown) => thrown,
  )
  const details = problems instanceof RfoError ? problems.details : []
  for (const program of ['make', 'pkg-config', 'gperf'])
    expect(details).toContainEqual(
      expect.stringMatching(new RegExp(`no program ${program} on the PATH \\(links, links-on-amd64\\); next: install ${program}`)),
    )
  const without = { ...plan, images: plan.images.filter(({ component }) => component === 'prebuilt' || component === 'without') }
  const others: unknown = await preflight({ plan: without, env: { PATH: dir }, writes: [], workDir: dir, host: 'amd64' }).catch(
    (thrown: unknown) => thrown,
  )
  expect(others instanceof RfoError && others.details.some((line) => /make|gperf|pkg-config/.test(line))).toBe(false)
})

test('the programs that its build calls are asked for their version, when something is linked', async () => {
  const bin = join(dir, 'bin')
  await mkdir(bin)
  await writeFile(join(bin, 'gperf'), '#!/bin/sh\necho "GNU gperf 9.9"\necho more\n')
  await chmod(join(bin, 'gperf'), 0o755)
  const asked = async (of: ReleasePlan): Promise<unknown> => [
    ...(await buildTools(of, { env: { PATH: bin }, signal: new AbortController().signal })).versions,
  ]
  expect(await asked(plan)).toEqual([['gperf', 'GNU gperf 9.9']])
  expect(await asked({ ...plan, images: plan.images.filter(({ component }) => component === 'prebuilt') })).toEqual([])
})

test('without its archive, `build` leaves out what links it and says why', () => {
  const unresolved = [{ what: 'library/say', reason: 'HTTP 404' }]
  const scope = buildScope({ ...plan, unresolved }, [])
  expect(scope.images.map(({ component }) => component)).toEqual(['prebuilt', 'without'])
  expect(scope.leftOut.map(({ image: { component }, reason }) => [component, reason])).toEqual(
    ['collector', 'links', 'links-on-amd64'].map((component) => [component, 'library/say: HTTP 404']),
  )
  expect(buildScope({ ...plan, unresolved }, ['collector']).needed.unresolved).toEqual(unresolved)
})

const [make, gcc, pkgConfig] = [tool('make'), tool('gcc'), tool('pkg-config')]
test.skipIf(make.skip || gcc.skip || pkgConfig.skip || process.arch !== 'x64')(
  'its task opens the pinned archive, compiles, and leaves a layer that is unpacked for one build alone',
  async () => {
    const server = createServer((_, response) => response.end(archive))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    try {
      const store = await openDirectoryStore(join(dir, 'store'))
      const env = { PATH: process.env.PATH ?? '' }
      const addresses = { 'https://example.test/': `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }
      const ports = { store, env, addresses, workDir: join(dir, 'work') } as unknown as ReleasePorts
      const found = await buildTools(plan, { env, signal: new AbortController().signal })
      const at = { signal: new AbortController().signal, log: () => {} }
      const layer = await libraryTask(plan, 'say', 'linux/amd64', found, ports).run({}, at)
      let folder = ''
      await withLibraries([layer], ports, at.signal, async (root) => {
        folder = root ?? ''
        expect(await readFile(join(folder, 'usr/lib/pkgconfig/say.pc'), 'utf8')).toContain(`prefix=\${pcfiledir}/../..\n`)
        expect((await readFile(join(folder, 'usr/lib/libsay.a'))).subarray(0, 8).toString()).toBe('!<arch>\n')
      })
      await expect(readFile(join(folder, 'usr/lib/libsay.a'))).rejects.toMatchObject({ code: 'ENOENT' })
      expect(await withLibraries([], ports, at.signal, async (root) => root)).toBeUndefined()
      // another archive at the same address
      archive = gzipSync(Buffer.alloc(1024))
      await rm(join(dir, 'work/downloads'), { recursive: true })
      const again = libraryTask(plan, 'say', 'linux/amd64', found, ports).run({}, at)
      await expect(again).rejects.toMatchObject({ code: 'RFO_SOURCE_SUM', exit: 'untrusted' })
    } finally {
      await new Promise((resolve) => server.close(resolve))
    }
  },
)
