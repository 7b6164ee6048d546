/**
 * Every pipeline whose source is git and whose build is Go, up to its programs, against a repository of the same layout: the
 * packages that it compiles, and the variables that it sets at link time, each printed by the program that was made.
 */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compileGo, type GoBuild } from '../../src/build/go.ts'
import { smokeProgram } from '../../src/build/smoke.ts'
import { emptyLock } from '../../src/plan/lock-text.ts'
import { planRelease } from '../../src/plan/plan-release.ts'
import type { ImagePlan } from '../../src/plan/release-plan.ts'
import { openSource } from '../../src/source/open.ts'
import { resolveSource } from '../../src/source/resolve.ts'
import { inputFor } from '../plan/project.ts'
import { tool } from '../tools.ts'
import { putModule, putToolchain } from './go-proxy.ts'

const [go, git] = [tool('go'), tool('git')]
const host = process.arch === 'arm64' ? ('linux-arm64' as const) : ('linux-amd64' as const)
const native = process.arch === 'arm64' ? ('linux/arm64' as const) : ('linux/amd64' as const)
type GitGo = ImagePlan & { readonly build: GoBuild; readonly source: Extract<ImagePlan['source'], { kind: 'git' }> }

/** Of the versions that have them: each component, and once more where a variant compiles it otherwise. */
const images = [
  ...new Map(
    ['v1.24.8+rfor1', 'v1.34.10+rfor1']
      .flatMap((version) => planRelease(inputFor(version, emptyLock)).images.map((image) => ({ ...image, of: version })))
      .filter((image): image is GitGo & { of: string } => image.source?.kind === 'git' && image.build?.kind === 'go')
      .reverse()
      .map((image) => [JSON.stringify([image.component, image.source.folder, image.build.commands, variableNames(image.build)]), image]),
  ).values(),
].reverse()

/** `-X path.name=value` → where the variable is and what it becomes. */
function variablesOf(build: GoBuild): { path: string; name: string; value: string }[] {
  return build.ldflags.flatMap((flag) => {
    const [, path, name, value] = /^-X '?(.+)\.([A-Za-z]+)=(.*?)'?$/.exec(flag) ?? []
    return path === undefined || name === undefined || value === undefined ? [] : [{ path, name, value }]
  })
}

function variableNames(build: GoBuild): string[] {
  return variablesOf(build).map(({ path, name }) => `${path}.${name}`)
}

/** The module that a package is put into; gopkg.in demands its major version. https://go.dev/ref/mod#major-version-suffixes */
function moduleOf(path: string, minor: number): { module: string; version: string; folder: string } {
  const [, module, major, folder] = /^(gopkg\.in\/.+?\.v(\d+))\/(.+)$/.exec(path) ?? []
  return module === undefined || folder === undefined
    ? { module: path, version: `v1.${minor}.0`, folder: '' }
    : { module, version: `v${major}.${minor}.0`, folder: `${folder}/` }
}

describe.skipIf(go.skip || git.skip)('a pipeline against a repository of its layout', { timeout: 240_000 }, () => {
  let dir: string
  let proxy: string
  const env = () => ({ PATH: process.env.PATH ?? '', GOPROXY: `file://${proxy}`, GOSUMDB: 'off' })
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'rfo-layout-'))
    proxy = join(dir, 'proxy')
    for (const toolchain of new Set(images.map((image) => image.build.toolchain))) await putToolchain(proxy, toolchain, go.path)
  })
  afterAll(() => rm(dir, { recursive: true, force: true }))

  test('there are such pipelines', () => {
    const names = images.map((image) => image.component)
    expect(names).toEqual(expect.arrayContaining(['hardened-kubernetes', 'kube-explorer']))
    expect(images.length).toBeGreaterThan(18)
    expect(images.filter((image) => image.component === 'hardened-crictl').map((image) => image.of)).toHaveLength(2)
  })

  test.each(images)('$component of $of is compiled', async ({ component, source, build, changes, of }) => {
    const repository = join(dir, of, component)
    const root = join(repository, source.folder ?? '.')
    const variables = variablesOf(build)
    // a version of its own: pipelines set different variables of one package
    const minor = images.findIndex((each) => each.component === component)
    const imports = [...new Set(variables.map((each) => each.path))].filter((path) => path !== 'main')
    // a module by the repository's name where its own packages have variables: those below internal/ are for it alone
    const itself = join(source.url.replace('https://', ''), source.folder ?? '.')
    const module = imports.some((path) => path.startsWith(`${itself}/`)) ? itself : 'example.org/main'
    const required = imports.filter((path) => !path.startsWith(`${module}/`))
    const file = async (path: string, text: string): Promise<void> => {
      await mkdir(dirname(join(root, path)), { recursive: true })
      await writeFile(join(root, path), text)
    }
    // each other package with a variable is a module of its own on the proxy, whatever module it is in upstream
    for (const path of imports) {
      const declared = variables.filter((each) => each.path === path).map(({ name }) => `var ${name} = "unset"\n`)
      const getter = `func All() string { return ${variables
        .filter((each) => each.path === path)
        .map(({ name }) => name)
        .join(' + " " + ')} }\n`
      const text = `package version\n\n${declared.join('')}\n${getter}`
      if (!required.includes(path)) {
        await file(`${path.slice(module.length + 1)}/x.go`, text)
        continue
      }
      const { module: own, version, folder } = moduleOf(path, minor)
      await putModule(proxy, own, version, { 'go.mod': `module ${own}\n\ngo 1.20\n`, [`${folder}x.go`]: text })
    }
    await file(
      'go.mod',
      `module ${module}\n\ngo 1.20\n\n${required
        .map((path) => moduleOf(path, minor))
        .map((each) => `require ${each.module} ${each.version}\n`)
        .join('')}`,
    )
    const own = variables.filter((each) => each.path === 'main').map((each) => each.name)
    const said = [...own, ...imports.map((_, at) => `v${at}.All()`)]
    const main = [
      'package main\n',
      ...imports.map((path, at) => `import v${at} "${path}"\n`),
      ...own.map((name) => `var ${name} = "unset"\n`),
      `func main() { println("${component}"${said.map((each) => `, ${each}`).join('')}) }\n`,
    ].join('\n')
    for (const { package: path } of build.commands) await file(join(path, 'main.go'), main)
    const git_ = (...args: string[]) =>
      promisify(execFile)(git.path, ['-C', repository, '-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args], {
        env: { PATH: process.env.PATH, GIT_CONFIG_GLOBAL: '/dev/null' },
      })
    await promisify(execFile)(go.path, ['build', '-o', '/dev/null', ...build.commands.map((each) => each.package)], {
      cwd: root,
      env: {
        ...env(),
        HOME: dir,
        GOFLAGS: '-mod=mod -modcacherw',
        GOTOOLCHAIN: 'local',
        GOMODCACHE: join(dir, 'mod'),
        GOCACHE: join(dir, 'cache'),
      },
    })
    await git_('init', '--quiet', '-b', 'main')
    await git_('add', '.')
    await git_('commit', '--quiet', '-m', 'one')
    await git_('tag', source.tag)

    const files = changes === undefined ? {} : { changes }
    const use = { packages: build.commands.map((each) => each.package), tags: build.tags }
    const at = { env: env(), addresses: { [source.url]: `file://${repository}` }, workDir: join(dir, 'work'), use, ...files }
    const pin = await resolveSource(source, { ...at, host, toolchain: build.toolchain })
    if (pin.kind !== 'git') throw new Error('a git source has a git pin')
    const opened = await openSource(pin, { ...at, ...(source.edit === undefined ? {} : { edit: source.edit }) })
    // without cgo: what needs a C compiler upstream has no C here
    const { programs } = await compileGo({
      source: opened,
      build: { ...build, cgo: [], boring: [] },
      platform: native,
      env: env(),
      workDir: at.workDir,
    })
    expect(programs.map((each) => each.path)).toEqual(build.commands.map((each) => each.output))
    for (const { path, file: made } of programs) {
      expect((await readFile(made)).length).toBeGreaterThan(0)
      const wanted = variables.map((each) => each.value)
      const output = await smokeProgram(
        { platform: native, argv: [path], expect: component, host: native.slice(6) as 'amd64', env: env(), workDir: dir },
        made,
        [],
      )
      for (const value of wanted) expect(output).toContain(value)
      expect(output).not.toContain('unset')
    }
    expect(await readdir(opened.dir)).toContain('go.mod')
  })
})
