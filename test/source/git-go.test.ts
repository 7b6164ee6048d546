/** A git source that Go compiles: pinned with its toolchain and the sums that lie in it, then compiled without a network. */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { compileGo, type GoBuild } from '../../src/build/go.ts'
import { smokeProgram } from '../../src/build/smoke.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { GoBuild as GoBuildSchema } from '../../src/plan/component.ts'
import { type GitPin, Pin } from '../../src/plan/lock.ts'
import { openSource } from '../../src/source/open.ts'
import { resolveSource } from '../../src/source/resolve.ts'
import { tool } from '../tools.ts'
import { warmGoCache } from './go-cache.ts'
import { putModule, putToolchain } from './go-proxy.ts'

const [go, git] = [tool('go'), tool('git')]
const toolchain = 'go1.21.13'
const host = process.arch === 'arm64' ? ('linux-arm64' as const) : ('linux-amd64' as const)
const native = process.arch === 'arm64' ? ('linux/arm64' as const) : ('linux/amd64' as const)
const url = 'https://example.org/operator'
const build: GoBuild = GoBuildSchema.parse({
  kind: 'go',
  toolchain,
  commands: [{ package: './cmd/operator', output: '/usr/bin/operator' }],
  ldflags: ['-s', '-w', '-X main.version=v1'],
})

describe.skipIf(go.skip || git.skip)('a git source that Go compiles', { timeout: 240_000 }, () => {
  let shared: string
  let dir: string
  let repository: string
  let proxy: string
  const env = () => ({ PATH: process.env.PATH ?? '', GOPROXY: `file://${proxy}`, GOSUMDB: 'off' })
  const at = (name: string) => ({
    env: env(),
    addresses: { [url]: `file://${repository}` },
    host,
    workDir: join(dir, name),
    use: { packages: ['./cmd/operator'] },
  })
  const run = async (...args: string[]) =>
    await promisify(execFile)(git.path, ['-C', repository, '-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args], {
      env: { PATH: process.env.PATH, GIT_CONFIG_GLOBAL: '/dev/null' },
    })
  const inside = async (...args: string[]) =>
    await promisify(execFile)(go.path, args, {
      cwd: repository,
      env: {
        ...env(),
        GOFLAGS: '-mod=mod -modcacherw',
        GOTOOLCHAIN: 'local',
        GOMODCACHE: join(dir, 'mod'),
        GOCACHE: shared,
        HOME: dir,
      },
    })
  const resolve = async (): Promise<GitPin> =>
    (await resolveSource({ kind: 'git', url, tag: 'v1' }, { ...at('lock'), toolchain })) as GitPin
  const compiled = async (pin: GitPin, name: string): Promise<{ file: string; materials: (string | undefined)[] }> => {
    const source = await openSource(pin, at(name))
    await warmGoCache(go.path, at(name).workDir)
    const { programs } = await compileGo({ source, build, platform: native, env: env(), workDir: at(name).workDir })
    return { file: programs[0]?.file ?? '', materials: source.materials.map((each) => each.name ?? each.uri) }
  }

  beforeAll(async () => {
    shared = await mkdtemp(join(tmpdir(), 'rfo-git-go-cache-'))
  })
  afterAll(() => rm(shared, { recursive: true, force: true }))
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'rfo-git-go-'))
    proxy = join(dir, 'proxy')
    repository = join(dir, 'repository')
    await putToolchain(proxy, toolchain, go.path)
    await putModule(proxy, 'example.org/lib', 'v1.1.0', {
      'go.mod': 'module example.org/lib\n\ngo 1.20\n',
      'lib.go': 'package lib\n\nconst Name = "lib 1.1"\n',
    })
    await mkdir(join(repository, 'cmd/operator'), { recursive: true })
    await run('init', '--quiet', '-b', 'main')
    await writeFile(join(repository, 'go.mod'), 'module example.org/operator\n\ngo 1.20\n\nrequire example.org/lib v1.1.0\n')
    await writeFile(
      join(repository, 'cmd/operator/main.go'),
      'package main\n\nimport "example.org/lib"\n\nvar version = "none"\n\nfunc main() { println("operator", version, lib.Name) }\n',
    )
    // what nobody compiles may ask for what nobody serves
    await mkdir(join(repository, 'hack'))
    await writeFile(join(repository, 'hack/tools.go'), '//go:build tools\n\npackage hack\n\nimport _ "example.org/absent"\n')
    await inside('mod', 'download', 'example.org/lib')
    await inside('build', '-o', join(dir, 'plain'), './cmd/operator') // writes go.sum
  })
  afterEach(() => rm(dir, { recursive: true, force: true }))

  const says = async (file: string): Promise<void> => {
    const argv = ['/usr/bin/operator']
    const request = { platform: native, argv, expect: 'operator v1 lib 1.1', host: native.slice(6) as 'amd64', env: env(), workDir: dir }
    await smokeProgram(request, file, [])
  }
  const committed = async (): Promise<void> => {
    await run('add', '-f', '.')
    await run('commit', '--quiet', '-m', 'v1')
    await run('tag', '-f', 'v1')
  }

  test('is pinned, opened and compiled to the same bytes in two places; its modules are materials', async () => {
    await committed()
    const pin = await resolve()
    expect(Pin.parse(pin)).toEqual(pin)
    expect(pin.toolchain?.version).toBe(toolchain)
    const [one, two] = [await compiled(pin, 'one'), await compiled(pin, 'a/much/longer/place')]
    expect(digestOf(await readFile(two.file))).toBe(digestOf(await readFile(one.file)))
    expect(one.materials).toEqual([`git+${url}@refs/tags/v1`, `golang.org/toolchain@v0.0.1-${toolchain}.${host}`, 'example.org/lib@v1.1.0'])
    await says(one.file)
  })

  test('with its modules below vendor/ needs no proxy for them, and they are part of its commit', async () => {
    await rm(join(repository, 'hack'), { recursive: true })
    await inside('mod', 'vendor')
    await committed()
    const pin = await resolve()
    await rm(join(proxy, 'example.org'), { recursive: true })
    const { file, materials } = await compiled(pin, 'vendored')
    expect(materials).toEqual([`git+${url}@refs/tags/v1`, `golang.org/toolchain@v0.0.1-${toolchain}.${host}`])
    await says(file)
  })

  test('that is patched and whose go.mod is overridden: vendor/ takes no part then, and the commit stays what it is', async () => {
    await rm(join(repository, 'hack'), { recursive: true })
    await inside('mod', 'vendor')
    await committed()
    await putModule(proxy, 'example.org/lib', 'v1.2.0', {
      'go.mod': 'module example.org/lib\n\ngo 1.20\n',
      'lib.go': 'package lib\n\nconst Name = "lib 1.1 and more"\n',
    })
    const text =
      'diff --git a/cmd/operator/main.go b/cmd/operator/main.go\n--- a/cmd/operator/main.go\n+++ b/cmd/operator/main.go\n@@ -7 +7 @@\n' +
      '-func main() { println("operator", version, lib.Name) }\n+func main() { println("patched operator", version, lib.Name) }\n'
    const changes = { patches: [{ file: 'pipelines/patches/operator/0001-name.patch', text, digest: digestOf(text) }] }
    const edit = { dropReplace: [], require: {}, replace: { 'example.org/lib': 'example.org/lib@v1.2.0' } }
    const pin = (await resolveSource({ kind: 'git', url, tag: 'v1', edit }, { ...at('lock'), toolchain, changes })) as GitPin
    expect(Pin.parse(pin)).toEqual(pin)
    const source = await openSource(pin, { ...at('changed'), edit, changes })
    expect(source.materials.map((each) => each.name ?? each.uri)).toEqual([
      `git+${url}@refs/tags/v1`,
      `golang.org/toolchain@v0.0.1-${toolchain}.${host}`,
      'example.org/lib@v1.2.0',
      'pipelines/patches/operator/0001-name.patch',
    ])
    const { programs } = await compileGo({ source, build, platform: native, env: env(), workDir: at('changed').workDir })
    const { stderr } = await promisify(execFile)(programs[0]?.file ?? '')
    expect(stderr).toBe('patched operator v1 lib 1.1 and more\n')
    await expect(openSource(pin, { ...at('unedited'), changes })).rejects.toMatchObject({ code: 'RFO_SOURCE_SUM' })
  })

  test('whose module or toolchain is another than was pinned is refused', async () => {
    await committed()
    const pin = await resolve()
    await putToolchain(proxy, toolchain, go.path, 'another')
    await expect(openSource(pin, at('changed'))).rejects.toMatchObject({ code: 'RFO_SOURCE_SUM', exit: 'untrusted' })
    await putToolchain(proxy, toolchain, go.path)
    await expect(openSource({ ...pin, sums: digestOf('x') }, at('sums'))).rejects.toMatchObject({
      code: 'RFO_SOURCE_SUM',
      message: expect.stringContaining(`go.mod and go.sum of ${url} v1 is not what the lock pins`),
    })
    await putModule(proxy, 'example.org/lib', 'v1.1.0', {
      'go.mod': 'module example.org/lib\n\ngo 1.20\n',
      'lib.go': 'package lib\n\nconst Name = "evil"\n',
    })
    await expect(openSource(pin, at('evil'))).rejects.toMatchObject({ code: 'RFO_SOURCE_SUM', exit: 'untrusted' })
  })

  test('without a go.mod is told, and nothing is left behind', async () => {
    await rm(join(repository, 'go.mod'))
    await committed()
    await expect(resolve()).rejects.toMatchObject({ code: expect.stringMatching(/^RFO_SOURCE_(MODULE|GO)$/) })
    expect(await readdir(join(dir, 'lock', 'sources'))).toEqual([])
  })
})
