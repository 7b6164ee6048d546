/** C files become static programs: for every architecture whose compiler is here, with the same bytes wherever they lie. */
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type CBuild, type CompileCRequest, compileC } from '../../src/build/c.ts'
import { smokeProgram } from '../../src/build/smoke.ts'
import { type Architecture, architectureNames, architectures } from '../../src/oci/platform.ts'
import { CBuild as CBuildSchema } from '../../src/plan/component.ts'
import { tool } from '../tools.ts'

const host: Architecture = process.arch === 'arm64' ? 'arm64' : 'amd64'
const compilers = Object.fromEntries(
  architectureNames.map((name) => [name, tool(name === host ? 'gcc' : `${architectures[name].rpm}-linux-gnu-gcc`)]),
) as Record<Architecture, ReturnType<typeof tool>>
const emulators = Object.fromEntries(
  architectureNames.map((name) => [name, name === host ? { skip: false } : tool(`qemu-${architectures[name].qemu}-static`)]),
) as Record<Architecture, { readonly skip: boolean }>

const files = {
  'src/say.h': 'const char *name(void);\n',
  'src/name.c': '#include "say.h"\nconst char *name(void) { return __FILE__; }\n',
  'src/say.c': `#include <stdio.h>
#include "say.h"
#define TEXT(x) #x
#define SPELT(x) TEXT(x)
int main(void) { return printf("%s %s %s %s\\n", SPELT(VERSION), name(), __DATE__, __TIME__) < 0; }
`,
}
const build: CBuild = CBuildSchema.parse({
  kind: 'c',
  commands: [{ sources: ['src/say.c', 'src/name.c'], output: '/usr/bin/say' }],
  cflags: ['-Os', '-g', '-Wall', '-Werror', '-DVERSION=v1.2'],
})

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rfo-c-'))
})
afterEach(async () => {
  await rm(dir, { recursive: true, force: true })
})

async function requestIn(place: string, more: Partial<CompileCRequest> = {}): Promise<CompileCRequest> {
  const source = { dir: join(dir, place, 'source') }
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(source.dir, path)), { recursive: true })
    await writeFile(join(source.dir, path), text)
  }
  const env = { PATH: process.env.PATH ?? '', CPATH: '/nowhere', LIBRARY_PATH: '/nowhere', LC_ALL: 'de_DE.UTF-8' }
  return { source, build, platform: `linux/${host}`, epoch: 1_668_400_000, env, workDir: join(dir, place, 'work'), ...more }
}

for (const architecture of architectureNames) {
  test.skipIf(compilers[architecture].skip)(`for ${architecture}: static, and the same bytes in two folders`, async () => {
    const platform = `linux/${architecture}` as const
    const programs: Buffer[] = []
    for (const place of ['one', 'a/much/longer/place']) {
      const request = await requestIn(place, { platform })
      const made = await compileC(request)
      expect(made.programs.map(({ path }) => path)).toEqual(['/usr/bin/say'])
      expect(made.compiler?.version).toMatch(/gcc.*\d+\.\d+/)
      expect(made.compiler?.libc).toMatch(/^sha256:/)
      const file = made.programs[0]?.file ?? ''
      programs.push(await readFile(file))
      if (emulators[architecture].skip) continue
      const run = { platform, argv: ['/usr/bin/say'], expect: 'v1.2 src/name.c Nov 14 2022 04:26:40', host, env: request.env, workDir: dir }
      await smokeProgram(run, file, [])
    }
    expect(programs[1]?.equals(programs[0] ?? Buffer.alloc(0))).toBe(true)
    expect(programs[0]?.includes(dir)).toBe(false)
  })
}

describe.skipIf(compilers[host].skip)('refused, and nothing is left', () => {
  test('what the compiler refuses, with its own words and all of them in the log', async () => {
    const said: string[] = []
    const request = await requestIn('one', { line: (text) => said.push(text) })
    await writeFile(join(request.source.dir, 'src/say.c'), 'int main(void) { int unused; return 0; }\n')
    await expect(compileC(request)).rejects.toMatchObject({
      code: 'RFO_BUILD_COMPILE',
      exit: 'build',
      message: expect.stringMatching(/src\/say\.c src\/name\.c for linux\/\w+: src\/say\.c:1:22: error: unused variable/),
      details: expect.arrayContaining([expect.stringContaining('all warnings being treated as errors')]),
    })
    expect(said.some((text) => text.includes('unused variable'))).toBe(true)
    expect(await readdir(join(request.workDir, 'programs'))).toEqual([])
  })

  test('a program that is linked dynamically: the compiler is not believed', async () => {
    const bin = join(dir, 'bin')
    await mkdir(bin)
    const name = `${architectures[host].rpm}-linux-gnu-gcc`
    const script = `#!/bin/sh\nfor each; do shift; [ "$each" = -static ] || set -- "$@" "$each"; done\nexec ${compilers[host].path} "$@"\n`
    await writeFile(join(bin, name), script)
    await chmod(join(bin, name), 0o755)
    const request = await requestIn('one', { env: { PATH: [bin, process.env.PATH].join(delimiter) } })
    await expect(compileC(request)).rejects.toMatchObject({ code: 'RFO_BUILD_ELF', message: expect.stringContaining('PT_INTERP') })
    expect(await readdir(join(request.workDir, 'programs'))).toEqual([])
  })
})

test('without a compiler for the architecture the error names one', async () => {
  const request = await requestIn('one', { platform: 'linux/riscv64', env: { PATH: dir } })
  await expect(compileC(request)).rejects.toMatchObject({
    code: 'RFO_BUILD_TOOL',
    exit: 'machine',
    next: expect.stringContaining('riscv64-linux-gnu-gcc'),
  })
})

test.each(['-fplugin=x.c', '@flags.c', '/etc/x.c', 'a/../../x.c', 'x.o'])('%s is no C file of the source', (path) => {
  expect(CBuildSchema.safeParse({ ...build, commands: [{ sources: [path], output: '/x' }] }).success).toBe(false)
})
