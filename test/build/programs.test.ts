/** What programs are taken for: ELF headers, prebuilt folders, runs under qemu-user. */
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { checkElf } from '../../src/build/elf.ts'
import { prebuiltPrograms } from '../../src/build/prebuilt.ts'
import { smoke } from '../../src/build/smoke.ts'
import { memoryStore } from '../../src/content/memory.ts'
import { type Architecture, architectures, type PlatformName } from '../../src/oci/platform.ts'
import { standInProgram } from '../../src/sandbox/elf.ts'
import { tool } from '../tools.ts'
import { printingImage } from './image.ts'

const names = Object.keys(architectures) as Architecture[]
let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rfo-programs-'))
  for (const architecture of names) {
    await mkdir(join(dir, 'bin', architecture, 'opt'), { recursive: true })
    await writeFile(join(dir, 'bin', architecture, 'opt/say'), standInProgram(architecture, 'said\n'))
  }
})
afterAll(async () => {
  await rm(dir, { recursive: true, force: true })
})

test.each(names)('a static program for %s is one for no other architecture', async (architecture) => {
  const file = join(dir, 'bin', architecture, 'opt/say')
  await checkElf(file, architecture)
  for (const other of names.filter((name) => name !== architecture))
    await expect(checkElf(file, other)).rejects.toMatchObject({ code: 'RFO_BUILD_ELF' })
})

test.each([
  ['a script', Buffer.from(`#!/bin/sh\n${' '.repeat(100)}`)],
  ['an empty file', Buffer.alloc(0)],
  ['a header without its table', standInProgram('amd64', 'x').subarray(0, 100)],
])('%s is no program', async (_, bytes) => {
  const file = join(dir, 'bad')
  await writeFile(file, bytes)
  await expect(checkElf(file, 'amd64')).rejects.toMatchObject({ code: 'RFO_BUILD_ELF', exit: 'build' })
})

test.skipIf(process.platform !== 'linux' || process.arch !== 'x64')(
  'a dynamically linked program is refused: this Node is one',
  async () => {
    await expect(checkElf(process.execPath, 'amd64')).rejects.toMatchObject({ message: expect.stringContaining('PT_INTERP') })
  },
)

test('prebuilt programs are found by the template', async () => {
  const request = { source: { dir }, prebuilt: 'bin/{architecture}', outputs: ['/opt/say'], platform: 'linux/arm64' as const }
  const [program] = await prebuiltPrograms(request)
  expect(program?.path).toBe('/opt/say')
  expect((await readFile(program?.file ?? '')).equals(standInProgram('arm64', 'said\n'))).toBe(true)
})

test('prebuilt programs stay inside the source', async () => {
  const outside = join(dirname(dir), `${dir.split('/').at(-1)}-outside`)
  await mkdir(outside)
  try {
    await writeFile(join(outside, 'say'), standInProgram('amd64', 'x'))
    await symlink(join(outside, 'say'), join(dir, 'bin/amd64/link'))
    await symlink(outside, join(dir, 'bin/amd64/folder'))
    for (const output of ['/../../outside/say', '/link', '/folder/say', '/absent', '/opt']) {
      const made = prebuiltPrograms({ source: { dir }, prebuilt: 'bin/{architecture}', outputs: [output], platform: 'linux/amd64' })
      await expect(made, output).rejects.toMatchObject({ code: 'RFO_BUILD_PREBUILT' })
    }
  } finally {
    await rm(outside, { recursive: true })
  }
})

const host: Architecture = process.arch === 'arm64' ? 'arm64' : 'amd64'
const qemu = { amd64: tool('qemu-x86_64-static'), arm64: tool('qemu-aarch64-static'), riscv64: tool('qemu-riscv64-static') }
const env = { PATH: process.env.PATH ?? '' }

for (const architecture of names) {
  test.skipIf(architecture !== host && qemu[architecture].skip)(`a program out of an image for ${architecture} runs here`, async () => {
    const store = memoryStore()
    const platform: PlatformName = `linux/${architecture}`
    const image = await printingImage(store, platform, `hello ${architecture}\n`)
    const request = { image, platform, argv: ['/usr/bin/say'], expect: architecture, host, env, workDir: dir }
    expect(await smoke(request, store)).toBe(`hello ${architecture}`)
    await expect(smoke({ ...request, expect: 'another' }, store)).rejects.toMatchObject({ code: 'RFO_BUILD_SMOKE', exit: 'build' })
    await expect(smoke({ ...request, argv: ['/usr/bin/none'] }, store)).rejects.toMatchObject({ code: 'RFO_BUILD_SMOKE' })
  })
}

test('without an emulator the error names it', async () => {
  const store = memoryStore()
  const other = host === 'arm64' ? 'riscv64' : 'arm64'
  const image = await printingImage(store, `linux/${other}`, 'x')
  const request = { image, platform: `linux/${other}` as const, argv: ['/usr/bin/say'], expect: '', host, env: { PATH: dir }, workDir: dir }
  await expect(smoke(request, store)).rejects.toMatchObject({ code: 'RFO_BUILD_TOOL', exit: 'machine' })
})
