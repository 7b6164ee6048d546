/** Patches and overrides of go.mod from lock to program, with the installed go against a module proxy on disk. */
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { compileGo, type GoBuild } from '../../src/build/go.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { GoBuild as GoBuildSchema, GoModuleSource, type Source } from '../../src/plan/component.ts'
import { type GoModulePin, Pin } from '../../src/plan/lock.ts'
import type { BesideFile, SourceChanges } from '../../src/plan/source-changes.ts'
import { type OpenSource, openSource } from '../../src/source/open.ts'
import { resolveSource } from '../../src/source/resolve.ts'
import { tool } from '../tools.ts'
import { warmGoCache } from './go-cache.ts'
import { putModule, putToolchain } from './go-proxy.ts'

const go = tool('go')
const toolchain = 'go1.21.13'
const host = process.arch === 'arm64' ? ('linux-arm64' as const) : ('linux-amd64' as const)
const native = process.arch === 'arm64' ? ('linux/arm64' as const) : ('linux/amd64' as const)
const build: GoBuild = GoBuildSchema.parse({ kind: 'go', toolchain, commands: [{ package: '.', output: '/usr/bin/tool' }] })
const main = 'package main\n\nimport "example.org/lib"\n\nfunc main() { println("tool", lib.Name) }\n'
const ownMod = 'module example.org/tool\n\ngo 1.20\n\nrequire example.org/lib v1.0.0\n'

const beside = (file: string, text: string): BesideFile => ({ file, text, digest: digestOf(text) })
const patch = beside(
  'pipelines/patches/tool/0001-words.patch',
  'diff --git a/main.go b/main.go\n--- a/main.go\n+++ b/main.go\n@@ -5 +5 @@ import "example.org/lib"\n-func main() { println("tool", lib.Name) }\n+func main() { println("patched tool", lib.Name) }\n',
)

describe.skipIf(go.skip)('a Go module that files beside the pipeline change', { timeout: 240_000 }, () => {
  let dir: string
  let proxy: string
  const env = () => ({ PATH: process.env.PATH ?? '', GOPROXY: `file://${proxy}`, GOSUMDB: 'off' })
  const at = (name: string) => ({ env: env(), addresses: {}, host, toolchain, workDir: join(dir, name) })
  const edited = (edit?: object): Extract<Source, { kind: 'go-module' }> =>
    GoModuleSource.parse({ kind: 'go-module', module: 'example.org/tool', version: 'v1.0.0', ...(edit === undefined ? {} : { edit }) })
  const resolve = async (source: Source, changes?: SourceChanges): Promise<GoModulePin> =>
    (await resolveSource(source, { ...at('lock'), ...(changes === undefined ? {} : { changes }) })) as GoModulePin
  const open = async (pin: GoModulePin, source: Source, name: string, changes?: SourceChanges): Promise<OpenSource> => {
    const edit = 'edit' in source ? source.edit : undefined
    return await openSource(pin, { ...at(name), ...(edit === undefined ? {} : { edit }), ...(changes === undefined ? {} : { changes }) })
  }
  const compile = async (source: OpenSource, name: string): Promise<string> => {
    await warmGoCache(go.path, at(name).workDir)
    const { programs } = await compileGo({ source, build, platform: native, env: env(), workDir: at(name).workDir })
    return programs[0]?.file ?? ''
  }
  const says = async (program: string): Promise<string> => (await promisify(execFile)(program)).stderr
  const lib = (name: string) => ({ 'go.mod': 'module example.org/lib\n\ngo 1.20\n', 'lib.go': `package lib\n\nconst Name = "${name}"\n` })

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'rfo-changes-'))
    proxy = join(dir, 'proxy')
    await putToolchain(proxy, toolchain, go.path)
    await putModule(proxy, 'example.org/lib', 'v1.0.0', lib('lib 1.0'))
    await putModule(proxy, 'example.org/lib', 'v1.2.3', lib('lib 1.2.3'))
    await putModule(proxy, 'example.org/tool', 'v1.0.0', { 'go.mod': ownMod, 'main.go': main })
  })
  afterEach(() => rm(dir, { recursive: true, force: true }))

  test('a patch is compiled, to the same bytes in two places; the cache keeps what was published', async () => {
    const [source, changes] = [edited({}), { patches: [patch] }]
    const pin = await resolve(source, changes)
    expect(Pin.parse(pin)).toEqual(pin)
    expect(pin.changes).toEqual({ patches: [{ file: patch.file, digest: patch.digest }] })
    const digests: string[] = []
    for (const name of ['one', 'a/much/longer/place']) {
      const opened = await open(pin, source, name, changes)
      const program = await compile(opened, name)
      expect(await says(program)).toBe('patched tool lib 1.0\n')
      digests.push(digestOf(await readFile(program)))
      expect(opened.materials.at(-1)).toEqual({
        name: patch.file,
        uri: `pkg:generic/${patch.file}?checksum=${patch.digest}`,
        digest: { sha256: patch.digest.slice('sha256:'.length) },
      })
      expect(await readFile(join(at(name).workDir, 'go/mod/example.org/tool@v1.0.0/main.go'), 'utf8')).toBe(main)
    }
    expect(digests[1]).toBe(digests[0])
    const plain = await resolve(edited({}))
    expect(await says(await compile(await open(plain, edited({}), 'one'), 'one'))).toBe('tool lib 1.0\n')
  })

  test('another patch than the lock names is refused, and so are one more, one less, another order', async () => {
    const source = edited({})
    const second = beside('pipelines/patches/tool/0002-file.patch', 'diff --git a/x b/x\nnew file mode 100644\n')
    const pin = await resolve(source, { patches: [patch, second] })
    const other = beside(patch.file, patch.text.replace('patched', 'evil'))
    for (const changes of [undefined, { patches: [patch] }, { patches: [second, patch] }, { patches: [other, second] }]) {
      await expect(open(pin, source, 'two', changes)).rejects.toMatchObject({
        code: 'RFO_SOURCE_SUM',
        exit: 'untrusted',
        message: expect.stringContaining(`what changes the source is not what the lock pins: expected ${patch.file} ${patch.digest}`),
      })
    }
    await expect(open(await resolve(source), source, 'two', { patches: [patch] })).rejects.toMatchObject({ code: 'RFO_SOURCE_SUM' })
  })

  test('a patch that does not apply is found by lock, and leaves nothing', async () => {
    const wrong = beside(patch.file, patch.text.replaceAll('"tool"', '"hammer"'))
    for (const toolOf of [{}, { toolchain: undefined }]) {
      const { toolchain: _, ...rest } = at('lock')
      const options = 'toolchain' in toolOf ? rest : at('lock')
      await expect(resolveSource(edited({}), { ...options, changes: { patches: [wrong] } })).rejects.toMatchObject({
        code: 'RFO_SOURCE_PATCH',
        exit: 'usage',
        where: `${patch.file}:4`,
        message: expect.stringContaining('main.go:5: hunk 1 does not apply'),
      })
    }
    expect(await readdir(join(dir, 'lock', 'sources'))).toEqual([])
  })

  test('a patched go.mod is what the sums of the pin are about', async () => {
    const bump = beside(
      'pipelines/patches/tool/0001-bump.patch',
      'diff --git a/go.mod b/go.mod\n--- a/go.mod\n+++ b/go.mod\n@@ -5 +5 @@\n-require example.org/lib v1.0.0\n+require example.org/lib v1.2.3\n',
    )
    const [source, changes] = [edited({}), { patches: [bump] }]
    const pin = await resolve(source, changes)
    expect(pin.sums).not.toBe((await resolve(source)).sums)
    const opened = await open(pin, source, 'one', changes)
    const text = async (name: string): Promise<string> => await readFile(join(opened.dir, name), 'utf8')
    expect(digestOf(`${await text('go.mod')}\n${await text('go.sum')}`)).toBe(pin.sums)
    expect(await says(await compile(opened, 'one'))).toBe('tool lib 1.2.3\n')
    const { changes: _, ...unpatched } = pin
    await expect(open(unpatched, source, 'two')).rejects.toMatchObject({ message: expect.stringContaining('go.mod and go.sum') })
  })

  test('an override changes the version that is compiled, and the program says so', async () => {
    const source = edited({ replace: { 'example.org/lib': 'example.org/lib@v1.2.3' }, overrides: 'mod' })
    const changes = { overrides: beside('pipelines/overrides/tool/mod', '-replace example.org/lib=example.org/lib@v1.2.3\n') }
    const pin = await resolve(source, changes)
    expect(pin.changes).toEqual({ overrides: { file: changes.overrides.file, digest: changes.overrides.digest } })
    const opened = await open(pin, source, 'one', changes)
    const program = await compile(opened, 'one')
    expect(await says(program)).toBe('tool lib 1.2.3\n')
    const { stdout } = await promisify(execFile)(go.path, ['version', '-m', program])
    expect(stdout).toMatch(/\tdep\texample\.org\/lib\tv1\.0\.0\s+=>\texample\.org\/lib\tv1\.2\.3\th1:/)
    expect(opened.materials.map(({ name }) => name)).toEqual([
      'example.org/tool@v1.0.0',
      `golang.org/toolchain@v0.0.1-${toolchain}.${host}`,
      'example.org/lib@v1.2.3',
      changes.overrides.file,
    ])
  })

  test('a version that only go chose is refused, by the latest; what the module graph names is not', async () => {
    const wants = (path: string) => ({
      'go.mod': ownMod,
      'main.go': main.replace('import "example.org/lib"', `import "example.org/lib"\nimport _ "${path}"`),
    })
    // through lib 1.4 the graph names `deep`; nothing names `stray`
    await putModule(proxy, 'example.org/deep', 'v1.7.0', { 'go.mod': 'module example.org/deep\n\ngo 1.20\n', 'deep.go': 'package deep\n' })
    await putModule(proxy, 'example.org/stray', 'v1.9.9', {
      'go.mod': 'module example.org/stray\n\ngo 1.20\n',
      'stray.go': 'package stray\n',
    })
    await putModule(proxy, 'example.org/lib', 'v1.4.0', {
      'go.mod': 'module example.org/lib\n\ngo 1.20\n\nrequire example.org/deep v1.7.0\n',
      'lib.go': 'package lib\n\nimport _ "example.org/deep"\n\nconst Name = "lib 1.4"\n',
    })
    const source = edited({ require: { 'example.org/lib': 'v1.4.0' } })
    await putModule(proxy, 'example.org/tool', 'v1.0.0', wants('example.org/deep'))
    const pin = await resolve(source)
    expect(await readFile(join((await open(pin, source, 'one')).dir, 'go.mod'), 'utf8')).toContain('example.org/deep v1.7.0')

    await rm(join(dir, 'lock'), { recursive: true })
    await putModule(proxy, 'example.org/tool', 'v1.0.0', wants('example.org/stray'))
    await expect(resolve(source)).rejects.toMatchObject({
      code: 'RFO_SOURCE_EDIT',
      exit: 'usage',
      message: expect.stringContaining('example.org/stray@v1.9.9'),
      next: expect.stringContaining('source.edit.require'),
    })
    expect(await readdir(join(dir, 'lock', 'sources'))).toEqual([])
    const said = edited({ require: { 'example.org/lib': 'v1.4.0', 'example.org/stray': 'v1.9.9' } })
    expect((await resolve(said)).sums).toMatch(/^sha256:/)
  })
})
