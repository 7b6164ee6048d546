/**
 * Programs that are really compiled, by the command line: from a module proxy, an archive and a registry to images. The same
 * digests whoever makes them, when and where; and what is wrong in a source ends with a code and a log, and a rerun goes on.
 */
import { execFile } from 'node:child_process'
import { chmod, chown, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { assembleIndex } from '../../src/build/assemble.ts'
import { memoryStore } from '../../src/content/memory.ts'
import type { Event } from '../../src/graph/event.ts'
import { platformNames, platformOf } from '../../src/oci/platform.ts'
import { standInProgram } from '../../src/sandbox/elf.ts'
import { type RunningRegistry, startRegistry } from '../../src/sandbox/registry.ts'
import { gzip, tar } from '../../src/sandbox/tar.ts'
import { smallBase } from '../build/image.ts'
import { putModule, putToolchain } from '../source/go-proxy.ts'
import { tool } from '../tools.ts'
import { type Ran, root } from './project.ts'

const [go, gcc] = [tool('go'), tool('gcc')]
const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64'
const other = architecture === 'amd64' ? 'arm64' : 'amd64'
const platform = `linux/${architecture}` as const
const [version, upstream, toolchain] = ['v1.0.0+rfor1', 'v1.0.0+rke2r1', 'go1.21.13']

const source = {
  'go.mod': 'module example.org/tool\n\ngo 1.20\n\nrequire example.org/lib v1.1.0\n',
  'main.go': 'package main\n\nimport "example.org/lib"\n\nfunc main() { println("tool", lib.Name) }\n',
  'broken.go': '//go:build broken\n\npackage main\n\nvar Count int = "three"\n',
  'cmd/cgo/main.go':
    'package main\n\n/*\n#include <stdio.h>\nstatic void say(void) { puts("cgo " __FILE__); fflush(stdout); }\n*/\nimport "C"\n\nfunc main() { C.say() }\n',
  'c/say.c': '#include <stdio.h>\nint main(void) { return puts("c " __FILE__ " " __DATE__ " " __TIME__) < 0; }\n',
}
const module = { kind: 'go-module', module: 'example.org/tool' }
const edited = { ...module, edit: { require: { 'example.org/lib': 'v1.1.0' } } }
const compiled = (path: string, output: string, more: object = {}): object => ({
  kind: 'go',
  toolchain,
  commands: [{ package: path, output }],
  ldflags: ['-s', '-w'],
  ...more,
})

/** Pipelines by name. */
const good: Readonly<Record<string, object>> = {
  'go-tool': { source: edited, build: compiled('.', '/tool'), smoke: { argv: ['/tool'], expect: 'tool lib 1.1' } },
  'cgo-tool': {
    source: edited,
    build: compiled('./cmd/cgo', '/cgo', { cgo: [architecture] }),
    smoke: { argv: ['/cgo'], expect: 'cgo ' },
  },
  'c-tool': {
    source: module,
    build: { kind: 'c', commands: [{ sources: ['c/say.c'], output: '/say' }] },
    base: 'scratch',
    smoke: { argv: ['/say'], expect: 'c c/say.c Nov  1 2026 00:00:00' },
  },
}

let scratch: string
let registry: RunningRegistry
let files: Server
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'rfo-compiled-'))
  await chmod(scratch, 0o755)
  const proxy = join(scratch, 'proxy')
  await putToolchain(proxy, toolchain, go.path)
  await putModule(proxy, 'example.org/tool', 'v1.0.0', source)
  await putModule(proxy, 'example.org/absent', 'v1.0.0', { ...source, 'go.mod': 'module example.org/absent\n\ngo 1.20\n' })
  await putModule(proxy, 'example.org/lib', 'v1.1.0', {
    'go.mod': 'module example.org/lib\n\ngo 1.20\n',
    'lib.go': 'package lib\n\nconst Name = "lib 1.1"\n',
  })
  const store = memoryStore()
  const base = { ...(await smallBase(store, platform)), platform: platformOf(platform) }
  registry = await startRegistry({ over: { from: store, tags: { 'small/base:1': await assembleIndex([base], {}, store) } } })
  const elsewhere = standInProgram(other, 'for another machine')
  const archive = gzip(tar([{ kind: 'file', path: `top/${architecture}/bin/old`, bytes: elsewhere, mode: 0o755 }], 0))
  files = createServer((_request, response) => response.end(archive))
  await new Promise<void>((done) => files.listen(0, '127.0.0.1', done))
})
afterAll(async () => {
  await registry.close()
  files.close()
  await rm(scratch, { recursive: true, force: true })
})

async function put(folder: string, pipelines: Readonly<Record<string, object>>): Promise<void> {
  for (const [name, pipeline] of Object.entries(pipelines)) {
    const written = { name, upstream: `rancher/${name}`, action: 'rebuild', ...pipeline }
    await writeFile(join(folder, 'pipelines', `${name}.yaml`), stringify(written))
  }
}

async function project(
  name: string,
  pipelines: Readonly<Record<string, object>>,
  bases: readonly string[] = [architecture],
): Promise<string> {
  const folder = join(scratch, name)
  await mkdir(join(folder, 'pipelines/upstream'), { recursive: true })
  await cp(join(root, 'pipelines/rfo.yaml'), join(folder, 'pipelines/rfo.yaml'))
  const base = { name: 'small', reference: 'docker.io/small/base:1' }
  const platforms = bases.map((each) => `linux/${each}`)
  const release = { name: 'RFO', vendor: 'x', url: 'https://example.org', registry: 'docker.io', repository: 'rfolabs', platforms }
  const list = {
    version: upstream,
    commit: 'c'.repeat(40),
    date: '2026-11-02T00:00:00Z',
    how: 'by hand',
    groups: { core: Object.keys(pipelines).map((each) => `docker.io/rancher/${each}:v1.0.0-build20200101`) },
    charts: [],
  }
  await writeFile(
    join(folder, 'pipelines/release.yaml'),
    stringify({ ...release, bases: Object.fromEntries(platformNames.map((each) => [each, base])) }, { aliasDuplicateObjects: false }),
  )
  await writeFile(join(folder, `pipelines/upstream/${upstream}.yaml`), stringify(list))
  await put(folder, pipelines)
  return folder
}

function run(
  folder: string,
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
  before: readonly string[] = [],
): Promise<Ran> {
  const [program = '', ...args] = [...before, process.execPath, join(root, 'bin/rfo-build.js'), ...argv]
  const { port } = files.address() as AddressInfo
  const settings = {
    PATH: process.env.PATH ?? '',
    HOME: folder,
    RFO_STORE: join(scratch, 'store'),
    GOPROXY: `file://${join(scratch, 'proxy')}`,
    GOSUMDB: 'off',
    RFO_MIRRORS: `docker.io=${registry.url},https://example.org/=http://127.0.0.1:${port}/`,
    SOURCE_DATE_EPOCH: String(Date.UTC(2026, 10, 1, 12) / 1000),
    ...env,
  }
  return new Promise((done) => {
    const child = execFile(program, args, { cwd: folder, env: settings, maxBuffer: 64 * 1024 * 1024 }, (_error, stdout, stderr) =>
      done({ code: child.exitCode, stdout, stderr }),
    )
  })
}

async function locked(name: string, pipelines: Readonly<Record<string, object>>): Promise<string> {
  const folder = await project(name, pipelines)
  const { code, stderr } = await run(folder, ['lock', version, '--progress', 'none'])
  expect([code, stderr]).toEqual([0, ''])
  return folder
}

function events({ stderr }: Ran): Event[] {
  return stderr.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as Event] : []))
}
const ids = (ran: Ran, kind: Event['kind']): string[] =>
  events(ran)
    .flatMap((event) => (event.kind === kind && 'task' in event ? [event.task] : []))
    .sort()
const lastLine = (ran: Ran): string => ran.stderr.trim().split('\n').at(-1) ?? ''

describe.skipIf(go.skip || gcc.skip)('compiled', { timeout: 240_000 }, () => {
  test('Go, cgo and C: other folder, time, user, umask, language, fresh caches; the same digests', async () => {
    const first = await locked('one', good)
    const again = join(scratch, 'a/much/longer/place')
    await mkdir(join(again, '..'), { recursive: true })
    await cp(first, again, { recursive: true, filter: (path) => !path.endsWith('/.rfo') })
    const plain = await run(first, ['build', version, '--progress', 'none'])
    expect(plain.stderr).toBe('')
    expect(plain.stdout.split('\n').map((line) => line.replace(/:.*/, ''))).toEqual([
      `c-tool ${platform} sha256`,
      `cgo-tool ${platform} sha256`,
      `go-tool ${platform} sha256`,
      '',
    ])
    const others = {
      TZ: 'Asia/Shanghai',
      LC_ALL: 'de_DE.UTF-8',
      CGO_CFLAGS: '-g',
      CFLAGS: '-O0',
      GOFLAGS: '-race',
      SOURCE_DATE_EPOCH: '1',
      RFO_STORE: join(again, '.rfo'),
    }
    const elsewhere = await run(again, ['build', version, '--progress', 'none'], others, await asAnother(again))
    expect([elsewhere.stdout, elsewhere.stderr]).toEqual([plain.stdout, ''])
  })

  test('a compile error: its code, what the compiler said in the log, the other image made; mended, the rest goes on', async () => {
    // not what another test has made in that store
    const own = { ldflags: ['-s'] }
    const tags = { ...good['go-tool'], build: compiled('.', '/tool', { ...own, tags: ['broken'] }) }
    const folder = await locked('compile', { 'c-tool': good['c-tool'] ?? {}, 'go-tool': tags })
    const ran = await run(folder, ['build', version, '--progress', 'json'])
    expect([ran.code, lastLine(ran)]).toEqual([7, expect.stringMatching(/RFO_BUILD_COMPILE: .*cannot use/)])
    const failed = events(ran).find((event) => event.kind === 'task-failed')
    expect(failed).toMatchObject({ task: `programs/go-tool/${platform}`, code: 'RFO_BUILD_COMPILE', log: expect.any(String) })
    const log = failed !== undefined && 'log' in failed ? String(failed.log) : ''
    expect(await readFile(resolve(folder, log), 'utf8')).toContain('broken.go:5:17: cannot use "three"')
    expect([...ids(ran, 'task-done'), ...ids(ran, 'task-cached')]).toContain(`smoke/c-tool/${platform}`)
    // the pin is the same, and what only builds gives nobody a tag: no lock in between
    await put(folder, { 'go-tool': { ...good['go-tool'], build: compiled('.', '/tool', own) } })
    const mended = await run(folder, ['build', version, '--progress', 'json'])
    expect(mended.code).toBe(0)
    expect(ids(mended, 'task-done')).toEqual(['image', 'programs', 'smoke'].map((kind) => `${kind}/go-tool/${platform}`))
    const key = await run(folder, ['keys', 'generate'])
    expect(key.code).toBe(0)
    const release = await run(folder, ['release', version, '--sign-key', 'rfo.key', '--progress', 'none'])
    expect([release.code, lastLine(release)]).toEqual([6, expect.stringContaining('tag/go-tool is not pinned: stale')])
  })

  test('a package that the module does not have, and one that nobody serves', async () => {
    const folder = await locked('package', { 'go-tool': { source: edited, build: compiled('./cmd/absent', '/tool') } })
    const ran = await run(folder, ['build', version, '--progress', 'json'])
    expect([ran.code, lastLine(ran)]).toEqual([7, expect.stringMatching(/RFO_BUILD_COMPILE: .*cmd\/absent/)])
    expect(events(ran).find((event) => event.kind === 'task-failed')).toMatchObject({ log: expect.stringContaining('programs') })

    const nowhere = await project('nowhere', {
      'go-tool': { source: { kind: 'go-module', module: 'example.org/absent' }, build: compiled('.', '/tool') },
    })
    const lock = await run(nowhere, ['lock', version, '--progress', 'none'])
    expect([lock.code, lastLine(lock)]).toEqual([6, expect.stringContaining('RFO_LOCK_UNRESOLVED')])
    expect(lock.stderr).toMatch(/go-tool: RFO_SOURCE_(GO|SUM): .*example\.org\/lib/)
  })

  test('a prebuilt program for another machine', async () => {
    const pipeline = {
      source: { kind: 'archive', url: 'https://example.org/old.tar.gz' },
      build: { kind: 'recipe', outputs: ['/bin/old'], reason: 'it comes compiled' },
      base: 'scratch',
    }
    const folder = await locked('machine', { 'old-tool': pipeline })
    const lock = join(folder, 'images.lock')
    await writeFile(
      lock,
      (await readFile(lock, 'utf8')).replace('kind: archive\n', "kind: archive\n          prebuilt: '{architecture}'\n"),
    )
    const ran = await run(folder, ['build', version, '--progress', 'json'])
    expect([ran.code, lastLine(ran)]).toEqual([7, expect.stringMatching(/RFO_BUILD_ELF: /)])
    expect(ids(ran, 'task-failed')).toEqual([`programs/old-tool/${platform}`])
  })

  test('a base without the platform: said by lock, and by whoever builds on it', async () => {
    const folder = await project('base', { 'go-tool': good['go-tool'] ?? {} }, [architecture, 'riscv64'])
    const lock = await run(folder, ['lock', version, '--progress', 'none'])
    expect([lock.code, lock.stderr]).toEqual([
      6,
      expect.stringContaining('RFO_UPSTREAM_PLATFORM: docker.io/small/base:1 has no manifest for linux/riscv64'),
    ])
    const ran = await run(folder, ['build', version, '--progress', 'none'])
    expect([ran.code, lastLine(ran)]).toEqual([
      6,
      expect.stringMatching(/RFO_LOCK_UNRESOLVED: base\/linux\/riscv64 .*next: rfo-build lock/),
    ])
    const alone = await run(folder, ['build', version, '--platform', architecture, '--progress', 'none'])
    expect([alone.code, alone.stderr]).toEqual([0, ''])
    expect(await readdir(folder)).not.toContain('dist')
  })
})

/** Another user where this one may become another; another umask in any case. The folder is given to them. */
async function asAnother(folder: string): Promise<string[]> {
  const umask = ['sh', '-c', 'umask 077; exec "$@"', 'sh']
  const setpriv = process.getuid?.() === 0 ? tool('setpriv') : { path: '', skip: true }
  if (setpriv.skip) return umask
  const nobody = 65_534
  const become = [setpriv.path, `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups']
  const reads = await new Promise<boolean>((done) =>
    execFile(setpriv.path, [...become.slice(1), process.execPath, join(root, 'bin/rfo-build.js'), '--version'], (error) =>
      done(error === null),
    ),
  )
  // a checkout below somebody's own home
  if (!reads) return umask
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }))
    await chown(join(entry.parentPath, entry.name), nobody, nobody)
  await chown(folder, nobody, nobody)
  return [...become, ...umask]
}
