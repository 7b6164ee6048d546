/** Go modules from lock to program, with the installed go against a module proxy on disk: no network. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { compileGo, type GoBuild } from '../../src/build/go.ts'
import { smokeProgram } from '../../src/build/smoke.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { GoBuild as GoBuildSchema, GoModuleSource } from '../../src/plan/component.ts'
import { type GoModulePin, Pin } from '../../src/plan/lock.ts'
import { openSource } from '../../src/source/open.ts'
import { resolveSource } from '../../src/source/resolve.ts'
import { tool } from '../tools.ts'
import { warmGoCache } from './go-cache.ts'
import { putModule, putToolchain } from './go-proxy.ts'

const go = tool('go')
const toolchain = 'go1.21.13'
const host = process.arch === 'arm64' ? ('linux-arm64' as const) : ('linux-amd64' as const)
const native = process.arch === 'arm64' ? ('linux/arm64' as const) : ('linux/amd64' as const)

const tools = {
  'go.mod': 'module example.org/Tool\n\ngo 1.20\n\nrequire example.org/lib v1.0.0\n\nreplace example.org/lib => ../lib\n',
  'main.go': 'package main\n\nimport "example.org/lib"\n\nvar version = "none"\n\nfunc main() { println(version, lib.Name) }\n',
}
const edit = { dropReplace: ['example.org/lib'], require: { 'example.org/lib': 'v1.1.0' } }
const source = GoModuleSource.parse({ kind: 'go-module', module: 'example.org/Tool', version: 'v1.0.0', edit })
const build: GoBuild = GoBuildSchema.parse({
  kind: 'go',
  toolchain,
  commands: [{ package: '.', output: '/usr/bin/tool' }],
  ldflags: ['-s', '-w', "-X 'main.version=v1.0.0 of the test'"],
})

describe.skipIf(go.skip)('a Go module', { timeout: 240_000 }, () => {
  let dir: string
  let proxy: string
  const env = () => ({ PATH: process.env.PATH ?? '', GOPROXY: `file://${proxy}`, GOSUMDB: 'off', GOFLAGS: '-mod=mod', GOOS: 'plan9' })
  const at = (name: string) => ({ env: env(), addresses: {}, host, toolchain, workDir: join(dir, name) })
  const resolve = async (name: string): Promise<GoModulePin> => (await resolveSource(source, at(name))) as GoModulePin

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'rfo-go-'))
    proxy = join(dir, 'proxy')
    // upper case is spelt !t by module proxies
    await putModule(proxy, 'example.org/!tool', 'v1.0.0', {})
    await putToolchain(proxy, toolchain, go.path)
    await putModule(proxy, 'example.org/lib', 'v1.1.0', {
      'go.mod': 'module example.org/lib\n\ngo 1.20\n',
      'lib.go': 'package lib\n\nconst Name = "lib 1.1"\n',
    })
    await putTool(tools)
  })
  afterEach(async () => {
    await rm(dir, { recursive: true, force: true })
  })

  async function putTool(files: Record<string, string>): Promise<void> {
    const { writeFile } = await import('node:fs/promises')
    await putModule(join(dir, 'scratch'), 'example.org/Tool', 'v1.0.0', files)
    for (const end of ['mod', 'zip', 'info']) {
      await writeFile(
        join(proxy, 'example.org/!tool/@v', `v1.0.0.${end}`),
        await readFile(join(dir, 'scratch/example.org/Tool/@v', `v1.0.0.${end}`)),
      )
    }
  }

  test('is pinned, opened with its go.mod edited, and compiled to the same bytes in two different places', async () => {
    const pin = await resolve('one')
    expect(Pin.parse(pin)).toEqual(pin)
    expect(Object.keys(pin.toolchain?.h1 ?? {})).toEqual(['linux-amd64', 'linux-arm64'])
    const said: string[] = []
    const digests: string[] = []
    for (const name of ['one', 'a/much/longer/place']) {
      const opened = await openSource(pin, { ...at(name), edit })
      await warmGoCache(go.path, at(name).workDir)
      expect(await readFile(join(opened.dir, 'go.mod'), 'utf8')).toContain('require example.org/lib v1.1.0')
      expect(opened.revision).toBe('pkg:golang/example.org/Tool@v1.0.0')
      expect(opened.materials.map(({ name: each }) => each)).toEqual([
        'example.org/Tool@v1.0.0',
        `golang.org/toolchain@v0.0.1-${toolchain}.${host}`,
        'example.org/lib@v1.1.0',
      ])
      expect(opened.materials[0]?.digest).toEqual({ dirHash: Buffer.from(pin.h1.slice(3), 'base64').toString('hex') })
      const request = {
        source: opened,
        build,
        platform: native,
        env: env(),
        workDir: at(name).workDir,
        line: (text: string) => said.push(text),
      }
      const { programs } = await compileGo(request)
      expect(programs.map(({ path }) => path)).toEqual(['/usr/bin/tool'])
      const file = programs[0]?.file ?? ''
      digests.push(digestOf(await readFile(file)))
      const run = {
        platform: native,
        argv: ['/usr/bin/tool'],
        expect: 'v1.0.0 of the test lib 1.1',
        host: native.slice(6) as 'amd64',
        env: env(),
        workDir: dir,
      }
      await smokeProgram(run, file, [])
    }
    expect(digests[1]).toBe(digests[0])
  })

  test('is its files alone when Go does not compile it: no toolchain is fetched, and a change is still refused', async () => {
    const { toolchain: _, ...without } = at('one')
    const files = GoModuleSource.parse({ kind: 'go-module', module: 'example.org/Tool', version: 'v1.0.0' })
    await rm(join(proxy, 'golang.org'), { recursive: true })
    const pin = (await resolveSource(files, without)) as GoModulePin
    expect(Pin.parse(pin)).toEqual(pin)
    expect(Object.keys(pin)).toEqual(['kind', 'module', 'version', 'h1', 'goModH1'])
    const opened = await openSource(pin, at('two'))
    expect(await readFile(join(opened.dir, 'main.go'), 'utf8')).toBe(tools['main.go'])
    expect(opened).toMatchObject({ revision: 'pkg:golang/example.org/Tool@v1.0.0', materials: [{ name: 'example.org/Tool@v1.0.0' }] })
    await expect(compileGo({ source: opened, build, platform: native, env: env(), workDir: at('two').workDir })).rejects.toMatchObject({
      code: 'RFO_BUILD_GO',
    })
    await putTool({ ...tools, 'main.go': 'package main\n' })
    await expect(openSource(pin, at('three'))).rejects.toMatchObject({ code: 'RFO_SOURCE_SUM', exit: 'untrusted' })
    expect(await readdir(at('three').workDir)).not.toContain('sources')
  })

  test.each([
    [
      'module',
      { 'main.go': `${tools['main.go']}\n// changed\n` },
      /example.org\/Tool v1.0.0 is not what the lock pins: expected h1:\S+, got h1:/,
    ],
    ['go.mod', { 'go.mod': `${tools['go.mod']}\n// changed\n` }, /is not what the lock pins/],
  ])('a changed %s is refused', async (_, changed, message) => {
    const pin = await resolve('one')
    await putTool({ ...tools, ...changed })
    await expect(openSource(pin, { ...at('two'), edit })).rejects.toMatchObject({
      code: 'RFO_SOURCE_SUM',
      exit: 'untrusted',
      message: expect.stringMatching(message),
    })
  })

  test('a changed toolchain is refused before it runs', async () => {
    const pin = await resolve('one')
    await putToolchain(proxy, toolchain, '/bin/false', 'changed')
    await expect(openSource(pin, { ...at('two'), edit })).rejects.toMatchObject({
      code: 'RFO_SOURCE_SUM',
      message: expect.stringContaining('golang.org/toolchain'),
    })
  })

  test('all that go.mod replaces by a folder is required at one version: the same go.mod as by names, but for what is left as it is', async () => {
    const kept = 'require example.org/other v1.0.0\n\nreplace example.org/other => ../other\n'
    await putModule(proxy, 'example.org/other', 'v1.0.0', {
      'go.mod': 'module example.org/other\n\ngo 1.20\n',
      'other.go': 'package other\n',
    })
    await putTool({ ...tools, 'go.mod': `${tools['go.mod']}\n${kept}` })
    const resolveWith = async (own: NonNullable<typeof source.edit>): Promise<GoModulePin> =>
      (await resolveSource({ ...source, edit: own }, at('one'))) as GoModulePin
    const names = { ...edit, dropReplace: ['example.org/lib', 'example.org/other'], packages: ['.'] }
    const local = { dropReplace: ['example.org/other'], require: {}, localReplaces: 'v1.1.0', packages: ['.'] }
    const pin = await resolveWith(local)
    expect(pin.sums).toBe((await resolveWith(names)).sums)
    const opened = await openSource(pin, { ...at('two'), edit: local })
    const mod = await readFile(join(opened.dir, 'go.mod'), 'utf8')
    expect(mod).not.toContain('=>')
    expect(mod).toMatch(/example.org\/lib v1.1.0[\s\S]*example.org\/other v1.0.0/)
    await expect(resolveWith({ ...local, localReplaces: 'v1.9.0' })).rejects.toMatchObject({ code: 'RFO_SOURCE_GO' })
    await putTool({ ...tools, 'go.mod': 'module example.org/Tool\n\ngo 1.20\n\nrequire example.org/lib v1.1.0\n' })
    await expect(resolveSource({ ...source, edit: local }, at('three'))).rejects.toMatchObject({
      code: 'RFO_SOURCE_MODULE',
      message: expect.stringContaining('replaces nothing by a folder'),
    })
  })

  test('a commit is what the pipeline says; a proxy that names one must name the same, when it is locked and when it is opened', async () => {
    const [commit, other] = ['a'.repeat(40), 'b'.repeat(40)]
    const files = GoModuleSource.parse({ kind: 'go-module', module: 'example.org/Tool', version: 'v1.0.0', commits: { 'v1.0.0': commit } })
    const { toolchain: _, ...without } = at('one')
    const resolveAt = async (name: string, from = files): Promise<GoModulePin> =>
      (await resolveSource(from, { ...without, workDir: join(dir, name) })) as GoModulePin
    const named = async (origin: object): Promise<void> => {
      const { writeFile } = await import('node:fs/promises')
      const info = { Version: 'v1.0.0', Time: '2022-11-15T00:00:00Z', Origin: { VCS: 'git', URL: 'https://example.org/Tool', ...origin } }
      await writeFile(join(proxy, 'example.org/!tool/@v/v1.0.0.info'), JSON.stringify(info))
    }
    const said = await resolveAt('one')
    expect(Pin.parse(said)).toEqual(said)
    expect(said.commit).toEqual({ hash: commit, saidBy: 'pipeline' })
    expect((await resolveAt('one', { ...files, commits: { 'v0.9.0': commit } })).commit).toBeUndefined()
    const { materials } = await openSource(said, at('two'))
    expect(materials[0]).toMatchObject({ name: 'example.org/Tool@v1.0.0', annotations: { commit, commitSaidBy: 'pipeline' } })
    expect(Object.keys(materials[0]?.digest ?? {})).toEqual(['dirHash'])
    await named({ Ref: 'refs/tags/v1.0.0', Hash: commit })
    expect((await resolveAt('three')).commit).toEqual({ hash: commit, saidBy: 'proxy' })
    await named({ Ref: 'refs/tags/v1.0.0', Hash: other })
    const refusal = { code: 'RFO_SOURCE_COMMIT', exit: 'untrusted', message: expect.stringMatching(`${commit}.*${other}`) }
    await expect(resolveAt('four')).rejects.toMatchObject(refusal)
    await expect(openSource(said, at('five'))).rejects.toMatchObject(refusal)
    // a pin without one is about the files alone
    const { commit: __, ...plain } = said
    expect((await openSource(plain, at('five'))).materials[0]).not.toHaveProperty('annotations')
  })

  test('another edit, or a changed dependency, is refused by the sums', async () => {
    const pin = await resolve('one')
    const lib = { 'go.mod': 'module example.org/lib\n\ngo 1.20\n', 'lib.go': 'package lib\n\nconst Name = "evil"\n' }
    await putModule(proxy, 'example.org/lib', 'v1.2.0', lib)
    const other = openSource(pin, { ...at('one'), edit: { ...edit, require: { 'example.org/lib': 'v1.2.0' } } })
    await expect(other).rejects.toMatchObject({ code: 'RFO_SOURCE_SUM', message: expect.stringContaining('go.mod and go.sum') })
    await putModule(proxy, 'example.org/lib', 'v1.1.0', lib)
    await expect(openSource(pin, { ...at('two'), edit })).rejects.toMatchObject({ code: 'RFO_SOURCE_SUM' })
    expect(await readdir(join(dir, 'two', 'sources'))).toEqual([])
    // what was prepared before stays good
    await rm((await openSource(pin, { ...at('one'), edit })).dir, { recursive: true })
  })

  test('no go on the PATH; a proxy that lacks the module; a lock without this host', async () => {
    const pin = await resolve('one')
    await expect(openSource(pin, { ...at('two'), env: { PATH: dir }, edit })).rejects.toMatchObject({
      code: 'RFO_SOURCE_GO',
      exit: 'machine',
      next: expect.stringContaining('Go'),
    })
    const absent = resolveSource({ ...source, version: 'v9.0.0' }, at('one'))
    await expect(absent).rejects.toMatchObject({ code: 'RFO_SOURCE_GO', exit: 'outside', message: expect.stringContaining('v9.0.0') })
    const elsewhere = { ...pin, toolchain: { version: toolchain, h1: {} } }
    await expect(openSource(elsewhere, { ...at('one'), edit })).rejects.toMatchObject({ code: 'RFO_SOURCE_TOOLCHAIN', exit: 'lock' })
  })

  test('a compile that fails says what the compiler said and leaves nothing; cgo without a compiler is named', async () => {
    const pin = await resolve('one')
    const opened = await openSource(pin, { ...at('one'), edit })
    const request = { source: opened, build, platform: native, env: env(), workDir: at('one').workDir }
    const wrong = { ...build, commands: [{ package: './absent', output: '/x' }] }
    await expect(compileGo({ ...request, build: wrong })).rejects.toMatchObject({
      code: 'RFO_BUILD_COMPILE',
      exit: 'build',
      details: expect.arrayContaining([expect.stringContaining('absent')]),
    })
    expect(await readdir(join(dir, 'one', 'programs'))).toEqual([])
    const cgo: GoBuild = { ...build, cgo: ['amd64', 'arm64', 'riscv64'] }
    await expect(compileGo({ ...request, build: cgo, env: { PATH: dir } })).rejects.toMatchObject({
      code: 'RFO_BUILD_TOOL',
      exit: 'machine',
    })
    const evil = { ...build, commands: [{ package: '-toolexec=/bin/sh', output: '/x' }] }
    await expect(compileGo({ ...request, build: evil })).rejects.toMatchObject({ code: 'RFO_BUILD_PACKAGE' })
  })
})
