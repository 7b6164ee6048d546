/** C libraries: made with configure and make for each architecture, the same bytes in every folder, and linked by Go's cgo. */
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compileGo } from '../../src/build/go.ts'
import { type CompileLibraryRequest, compileLibrary, type MadeLibrary } from '../../src/build/library.ts'
import { smokeProgram } from '../../src/build/smoke.ts'
import { exec } from '../../src/exec.ts'
import { type Architecture, architectureNames, architectures } from '../../src/oci/platform.ts'
import { GoBuild } from '../../src/plan/component.ts'
import type { AutotoolsBuild } from '../../src/plan/library.ts'
import { tool } from '../tools.ts'
import { build, files } from './autotools.ts'

const host: Architecture = process.arch === 'arm64' ? 'arm64' : 'amd64'
const compilers = Object.fromEntries(
  architectureNames.map((name) => [name, tool(name === host ? 'gcc' : `${architectures[name].rpm}-linux-gnu-gcc`)]),
) as Record<Architecture, ReturnType<typeof tool>>
const [go, make, pkgConfig] = [tool('go'), tool('make'), tool('pkg-config')]

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rfo-library-'))
})
afterAll(async () => {
  await rm(dir, { recursive: true, force: true })
})

async function put(place: string, texts: Readonly<Record<string, string>>): Promise<string> {
  const folder = join(dir, place)
  for (const [path, text] of Object.entries(texts)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), text)
  }
  return folder
}

async function requestIn(
  place: string,
  changes: Readonly<Record<string, string>> = {},
  more: Partial<CompileLibraryRequest> = {},
): Promise<CompileLibraryRequest> {
  const source = { dir: await put(place, { ...files, ...changes }) }
  await chmod(join(source.dir, 'configure'), 0o755)
  const env = { PATH: process.env.PATH ?? '', CPPFLAGS: '-DMINE', MAKEFLAGS: '-n', PKG_CONFIG_PATH: '/nowhere', CONFIG_SITE: '/nowhere' }
  return { name: 'say', source, build, platform: `linux/${host}`, epoch: 1_668_400_000, env, workDir: dir, ...more }
}

for (const architecture of architectureNames) {
  test.skipIf(compilers[architecture].skip || make.skip)(`for ${architecture}: the same bytes in two folders`, async () => {
    const said: string[] = []
    const made: MadeLibrary[] = []
    for (const place of [`${architecture}/one`, `${architecture}/a much/longer place`])
      made.push(await compileLibrary(await requestIn(place, {}, { platform: `linux/${architecture}`, line: (text) => said.push(text) })))
    const [first, second] = made
    expect(first?.files.map(({ path }) => path)).toEqual(build.files.map(({ path }) => path))
    expect(second?.files).toEqual(first?.files)
    expect(first?.compiler.version).toMatch(/gcc/)
    for (const { bytes } of first?.files ?? []) expect(Buffer.from(bytes).includes(dir)).toBe(false)
    expect(said[0]).toMatch(new RegExp(`^host ${architectures[architecture].rpm}-linux-gnu, .*gcc no CPPFLAGS$`))
    // ar's members have neither time nor owner: https://manpages.debian.org/bookworm/manpages-dev/ar.5
    expect(Buffer.from(first?.files[1]?.bytes ?? []).toString('latin1')).toMatch(/\n?say\.o\/ {10}0 {11}0 {5}0 {5}/)
  })
}

describe.skipIf(compilers[host].skip || make.skip)('refused', () => {
  test('what configure or make refuse, with their own words', async () => {
    const unconfigured = requestIn('refused/1', { configure: '#!/bin/sh\necho "configure: error: no gperf" >&2\nexit 1\n' })
    await expect(compileLibrary(await unconfigured)).rejects.toMatchObject({
      code: 'RFO_BUILD_COMPILE',
      exit: 'build',
      message: expect.stringMatching(/^\.\/configure of say for linux\/\w+: configure: error: no gperf$/),
    })
    await expect(
      compileLibrary(await requestIn('refused/2', { 'src/say.c': 'const char *say(void) { return x; }\n' })),
    ).rejects.toMatchObject({
      code: 'RFO_BUILD_COMPILE',
      message: expect.stringMatching(/^make of say for linux\/\w+: say\.c:1:\d+: error: .x. undeclared/),
    })
  })

  test('a file that was not made, a folder in place of one, and a link that leads out', async () => {
    const one = (from: string): AutotoolsBuild => ({ ...build, files: [{ from, path: '/usr/lib/libsay.a' }] })
    for (const [at, from] of ['src/libsaid.a', 'src', 'out.a'].entries()) {
      const configure = `${files.configure}ln -s /etc/hostname out.a\n`
      const request = await requestIn(`refused/file${at}`, { configure }, { build: one(from) })
      await expect(compileLibrary(request), from).rejects.toMatchObject({
        code: 'RFO_BUILD_LIBRARY',
        message: `the build left no file ${from}`,
      })
    }
  })

  test('a pkg-config file that would send a linker to the folders of the machine', async () => {
    for (const [at, [from, to, said]] of [
      [`libdir=\${prefix}/lib`, 'libdir=/usr/lib64', 'libdir=/usr/lib64'],
      ['prefix=%s', 'prefix=%s/local', 'prefix=/usr/local'],
    ].entries()) {
      const configure = files.configure.replace(from ?? '', to ?? '')
      expect(configure).not.toBe(files.configure)
      await expect(compileLibrary(await requestIn(`refused/pc${at}`, { configure }))).rejects.toMatchObject({
        code: 'RFO_BUILD_LIBRARY',
        message: `say.pc names a folder of the machine: ${said}`,
      })
    }
  })

  test('without a compiler for the architecture', async () => {
    const request = await requestIn('refused/none', {}, { platform: 'linux/riscv64', env: { PATH: dir } })
    await expect(compileLibrary(request)).rejects.toMatchObject({ code: 'RFO_BUILD_TOOL', exit: 'machine' })
  })
})

describe.skipIf(go.skip || compilers[host].skip || make.skip || pkgConfig.skip)('linked by cgo', { timeout: 240_000 }, () => {
  const program = {
    'go.mod': 'module example.org/say\n\ngo 1.20\n',
    'main.go':
      'package main\n\n// #cgo pkg-config: say\n// #include <say.h>\n// #include <stdio.h>\n// static void put(void) { puts(say()); fflush(stdout); }\nimport "C"\n\nfunc main() { C.put() }\n',
  }
  const platform = `linux/${host}` as const
  const goBuild = GoBuild.parse({
    kind: 'go',
    toolchain: 'go1.21.13',
    commands: [{ package: '.', output: '/usr/bin/say' }],
    cgo: 'all',
    libraries: ['say'],
    ldflags: ['-s', '-w'],
  })

  async function unpacked(place: string, { files: made }: MadeLibrary): Promise<string> {
    for (const { path, bytes } of made) {
      await mkdir(dirname(join(dir, place, path)), { recursive: true })
      await writeFile(join(dir, place, path), bytes)
    }
    return join(dir, place)
  }

  /** What the program says, and its bytes. */
  async function linked(place: string, libraries: string, workDir = join(dir, 'cgo')): Promise<{ said: string; bytes: Buffer }> {
    const { stdout } = await exec([go.path, 'env', 'GOROOT'], { env: { PATH: process.env.PATH ?? '', HOME: dir } })
    const root = stdout.toString('utf8').trim()
    const source = { dir: await put(place, program), go: { program: go.path, root, modCache: join(dir, 'mod') } }
    const env = { PATH: process.env.PATH ?? '' }
    const made = await compileGo({ source, build: goBuild, platform, env, workDir, libraries })
    const file = made.programs[0]?.file ?? ''
    const said = await smokeProgram({ platform, argv: ['/usr/bin/say'], expect: '', host, env, workDir: dir }, file, [])
    return { said, bytes: await readFile(file) }
  }

  test('the same bytes wherever library and source lie; another library is another program, in spite of Go’s cache', async () => {
    const library = await compileLibrary(await requestIn('linked/one'))
    const first = await linked('program/one', await unpacked('root-1', library))
    expect(first.said).toBe('one say.c')
    expect(first.bytes.includes(dir)).toBe(false)
    // Go has compiled it against a folder that is gone
    await rm(join(dir, 'root-1'), { recursive: true })
    const second = await linked('program/one', await unpacked('with a blank/root-2', library))
    expect(second.bytes.equals(first.bytes)).toBe(true)

    const other = await compileLibrary(await requestIn('linked/other', { 'say.h': files['say.h'].replace('one', 'another') }))
    expect((await linked('program/one', await unpacked('root-3', other))).said).toBe('another say.c')
    expect(await readdir(join(dir, 'cgo/programs'))).toHaveLength(3)
  })

  test('without it the build ends: no library of this machine takes its place', async () => {
    await mkdir(join(dir, 'empty'))
    await expect(linked('program/none', join(dir, 'empty'))).rejects.toMatchObject({
      code: 'RFO_BUILD_COMPILE',
      details: expect.arrayContaining([expect.stringMatching(/Package.*say.*not found/)]),
    })
  })
})
