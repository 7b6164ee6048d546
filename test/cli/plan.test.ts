import { expect, test } from 'vitest'
import { run } from './ports.ts'

test('the plan of v1.24.8+rfor1 names each image for each platform, and why one is not made', async () => {
  const { exit, stdout } = await run(['plan', 'v1.24.8+rfor1'])
  expect(exit).toBe(0)
  expect(stdout).toMatch(/^rfolabs\/hardened-coredns:\S+ +rebuilt +rebuilt +rebuilt$/m)
  expect(stdout).toMatch(/^rancher\/mirrored-calico-typha:\S+ +mirrored, unresolved +mirrored, unresolved +unsupported$/m)
})

test('--dot is a graph', async () => {
  const { exit, stdout } = await run(['plan', 'v1.24.8+rfor1', '--dot'])
  expect([exit, stdout.startsWith('digraph "v1.24.8+rfor1" {')]).toEqual([0, true])
})

test('the same as one JSON document, for one platform', async () => {
  const { exit, stdout } = await run(['plan', 'v1.25.4+rfor1', '--json', '--platform', 'arm64'])
  expect(exit).toBe(0)
  const document = JSON.parse(stdout)
  expect(document).toMatchObject({ schema: 'rfo-build.plan/1', ok: true, plan: { version: 'v1.25.4+rfor1', platforms: ['linux/arm64'] } })
  expect(document.plan.images).toHaveLength(54 + 4)
})

test.each(['v1.24', 'v9.9.9+rfor1', 'v1.24.8+rke2r1'])('%s is exit 2', async (version) => {
  expect(await run(['plan', version])).toMatchObject({ exit: 2, stdout: '', lastLine: expect.stringMatching(/^rfo-build: RFO_/) })
})
