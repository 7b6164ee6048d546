/** Programs out of other builds' layers: the same bytes, for the right machine, or a refusal. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { collectPrograms } from '../../src/build/collect.ts'
import { writeLayerTar } from '../../src/build/layer.ts'
import { memoryStore } from '../../src/content/memory.ts'
import { standInProgram } from '../../src/sandbox/elf.ts'

let workDir: string
beforeEach(async () => {
  workDir = await mkdtemp(join(tmpdir(), 'rfo-collect-'))
})
afterEach(() => rm(workDir, { recursive: true }))

const store = memoryStore()
const layerOf = (programs: Readonly<Record<string, Buffer>>) =>
  writeLayerTar(
    Object.entries(programs).map(([path, bytes]) => ({ path, bytes, mode: 0o755 })),
    store,
    1_600_000_000,
  )

test('programs of two layers come out as they went in, sorted by where they go', async () => {
  const [kubelet, runc] = [standInProgram('arm64', 'kubelet'), standInProgram('arm64', 'runc')]
  const one = await layerOf({ '/usr/local/bin/kubelet': kubelet, '/usr/local/bin/kubectl': standInProgram('arm64', 'kubectl') })
  const two = await layerOf({ '/usr/local/bin/runc': runc })
  const { programs, dir } = await collectPrograms(
    {
      from: [
        { component: 'b', layer: two, program: '/usr/local/bin/runc', output: '/bin/runc' },
        { component: 'a', layer: one, program: '/usr/local/bin/kubelet', output: '/bin/kubelet' },
      ],
      platform: 'linux/arm64',
      workDir,
    },
    store,
  )
  expect(programs.map(({ path }) => path)).toEqual(['/bin/kubelet', '/bin/runc'])
  expect(await readFile(programs[0]?.file ?? '')).toEqual(kubelet)
  expect(await readFile(programs[1]?.file ?? '')).toEqual(runc)
  expect(await readdir(dir)).toHaveLength(2)
})

test('what is not there, and what is for another machine, is refused, and nothing is left behind', async () => {
  const layer = await layerOf({ '/bin/x': standInProgram('amd64', 'x') })
  const asked = { component: 'a', layer, output: '/bin/y' }
  await expect(collectPrograms({ from: [{ ...asked, program: '/bin/y' }], platform: 'linux/amd64', workDir }, store)).rejects.toMatchObject(
    {
      code: 'RFO_BUILD_COLLECT',
      exit: 'build',
    },
  )
  await expect(
    collectPrograms({ from: [{ ...asked, program: '/bin/x' }], platform: 'linux/riscv64', workDir }, store),
  ).rejects.toMatchObject({
    code: 'RFO_BUILD_ELF',
  })
  expect(await readdir(join(workDir, 'programs'))).toEqual([])
})
