/** How Go programs are linked is read from their bytes: static, for any address, with BoringSSL or without. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compileGo } from '../../src/build/go.ts'
import { smokeProgram } from '../../src/build/smoke.ts'
import { exec } from '../../src/exec.ts'
import { type Architecture, architectures } from '../../src/oci/platform.ts'
import { GoBuild } from '../../src/plan/component.ts'
import { tool } from '../tools.ts'

const host: Architecture = process.arch === 'arm64' ? 'arm64' : 'amd64'
const go = tool('go')
const compiler = (architecture: Architecture) => tool(architecture === host ? 'gcc' : `${architectures[architecture].rpm}-linux-gnu-gcc`)
const [gcc, riscv64] = [compiler(host), compiler('riscv64')]
const env = { PATH: process.env.PATH ?? '' }
const mark = '_Cfunc__goboringcrypto_'

let dir: string
let root: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rfo-linking-'))
  await mkdir(join(dir, 'source/plain'), { recursive: true })
  await writeFile(join(dir, 'source/go.mod'), 'module example.org/x\n\ngo 1.20\n')
  await writeFile(
    join(dir, 'source/main.go'),
    'package main\n\nimport "crypto/sha256"\n\nfunc main() { println("sum", sha256.Sum256([]byte("x"))[0]) }\n',
  )
  await writeFile(join(dir, 'source/plain/main.go'), 'package main\n\nfunc main() { println("no cryptography") }\n')
  if (go.skip) return
  const { stdout } = await exec([go.path, 'env', 'GOROOT'], { env: { ...env, HOME: dir } })
  root = stdout.toString('utf8').trim()
})
afterAll(async () => {
  await rm(dir, { recursive: true, force: true })
})

/** The program's file. One work folder for all: what Go compiled once it need not compile again. */
async function made(architecture: Architecture, build: Readonly<Record<string, unknown>>, of = '.'): Promise<string> {
  const platform = `linux/${architecture}` as const
  const parsed = GoBuild.parse({
    kind: 'go',
    toolchain: 'go1.21.13',
    commands: [{ package: of, output: '/usr/bin/x' }],
    ldflags: ['-s', '-w'],
    ...build,
  })
  const source = { dir: join(dir, 'source'), go: { program: go.path, root, modCache: join(dir, 'mod') } }
  const { programs } = await compileGo({ source, build: parsed, platform, env, workDir: join(dir, 'work') })
  return programs[0]?.file ?? ''
}
const run = async (file: string, said: string): Promise<string> =>
  await smokeProgram({ platform: `linux/${host}`, argv: ['/usr/bin/x'], expect: said, host, env, workDir: dir }, file, [])

describe.skipIf(go.skip || gcc.skip)('BoringSSL', { timeout: 240_000 }, () => {
  test('is in the programs of the architectures that say so, and runs; the bytes are believed', async () => {
    const boring = await made(host, { boring: [host] })
    expect((await readFile(boring)).includes(mark)).toBe(true)
    await run(boring, 'sum 45')
    const without = await made(host, { cgo: [host] })
    expect((await readFile(without)).includes(mark)).toBe(false)
    await run(without, 'sum 45')
  })

  test('a program that does no cryptography has none of it, and that is said', async () => {
    await expect(made(host, { boring: [host] }, './plain')).rejects.toMatchObject({
      code: 'RFO_BUILD_BORING',
      exit: 'build',
      message: './plain has no BoringSSL in it',
      where: `linux/${host}`,
    })
  })

  test('a program that names it though the pipeline does not', async () => {
    const words = `package main\n\nfunc main() { println("${mark}x") }\n`
    await mkdir(join(dir, 'source/liar'))
    await writeFile(join(dir, 'source/liar/main.go'), words)
    await expect(made(host, { cgo: [host] }, './liar')).rejects.toMatchObject({
      code: 'RFO_BUILD_BORING',
      message: './liar has BoringSSL in it, which build.boring does not say',
    })
  })

  test.skipIf(riscv64.skip)('where Go has none it builds without and says nothing: here it is an error', async () => {
    await expect(made('riscv64', { boring: ['riscv64'] })).rejects.toMatchObject({ code: 'RFO_BUILD_BORING', where: 'linux/riscv64' })
  })
})

describe.skipIf(go.skip || gcc.skip)('a position-independent program', { timeout: 240_000 }, () => {
  test('is static too, and runs; without being asked for it is at a fixed address', async () => {
    const pie = await made(host, { pie: [host] }, './plain')
    expect((await readFile(pie)).readUInt16LE(16)).toBe(3)
    await run(pie, 'no cryptography')
    const fixed = await made(host, { cgo: [host] }, './plain')
    expect((await readFile(fixed)).readUInt16LE(16)).toBe(2)
  })

  test.skipIf(riscv64.skip)('where the libc has no start for one, that is said before anything is compiled', async () => {
    const { stdout } = await exec([riscv64.path, '-print-file-name=rcrt1.o'], { env })
    const lacking = !stdout.toString('utf8').startsWith('/')
    const building = made('riscv64', { pie: ['riscv64'] }, './plain')
    if (lacking)
      await expect(building).rejects.toMatchObject({
        code: 'RFO_BUILD_TOOL',
        exit: 'machine',
        message: 'riscv64-linux-gnu-gcc links no static PIE: its libc has no rcrt1.o for riscv64',
        next: expect.stringContaining('leave riscv64 out of build.pie'),
      })
    else expect((await readFile(await building)).readUInt16LE(16)).toBe(3)
  })
})

test.skipIf(go.skip || gcc.skip)('C that would write the time of its compile into a program is refused', async () => {
  const text =
    'package main\n\n// static const char *when(void) { return __DATE__; }\nimport "C"\n\nfunc main() { println(C.GoString(C.when())) }\n'
  await mkdir(join(dir, 'source/dated'))
  await writeFile(join(dir, 'source/dated/main.go'), text)
  await expect(made(host, { cgo: [host] }, './dated')).rejects.toMatchObject({
    code: 'RFO_BUILD_COMPILE',
    message: expect.stringMatching(/__DATE__.*might prevent reproducible builds/),
    next: expect.stringContaining('log of the task'),
  })
})
