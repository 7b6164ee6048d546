/** containerd imports and runs what we assemble; skopeo copies it; umoci unpacks what it can read. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { assembleIndex } from '../../src/build/assemble.ts'
import { type LayoutStore, openLayout } from '../../src/content/layout.ts'
import { tool } from '../tools.ts'
import { type Containerd, startContainerd } from './containerd.ts'
import { printingImage } from './image.ts'

const run = promisify(execFile)
const containerd = tool('containerd')
const ctr = tool('ctr')
const runc = tool('runc')
const skopeo = tool('skopeo')
const umoci = tool('umoci')
const root = process.getuid?.() === 0
if (!root) process.stderr.write('containerd tests are skipped: they need root\n')
/** Over one frame of 32 MiB. */
const ballast = 40 * 1024 * 1024

let dir: string
let layout: LayoutStore

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rfo-ctr-'))
  layout = await openLayout(join(dir, 'oci'), { create: true })
  const manifests = [
    await printingImage(layout, 'linux/amd64', 'hello from amd64\n', 'zstd', ballast),
    await printingImage(layout, 'linux/arm64', 'hello from arm64\n'),
  ]
  const index = await assembleIndex(manifests, { 'org.opencontainers.image.version': 'v1' }, layout)
  await layout.tag(index, 'v1')
  const gzipped = await printingImage(layout, 'linux/amd64', 'hello, packed by gzip\n', 'gzip', ballast)
  await layout.tag(await assembleIndex([gzipped], {}, layout), 'gzip')
})
afterAll(async () => {
  await rm(dir, { recursive: true, force: true })
})

describe.skipIf(containerd.skip || ctr.skip || runc.skip || !root)('containerd', () => {
  let daemon: Containerd
  beforeAll(async () => {
    daemon = await startContainerd(join(dir, 'containerd'), { containerd, ctr, runc })
  })
  afterAll(() => daemon.stop())

  test.each([
    ['v1', 'hello from amd64\n'],
    ['gzip', 'hello, packed by gzip\n'],
  ])('imports %s as the same digest and runs it', async (tag, said) => {
    const listed = await daemon.importLayout(join(dir, 'oci'), 'docker.io/rfolabs/say')
    expect(listed).toContain(`docker.io/rfolabs/say:${tag}`)
    expect(listed).toContain((await layout.resolve(tag))?.digest)
    expect(await daemon.run(`docker.io/rfolabs/say:${tag}`, `say-${tag}`)).toBe(said)
  })
})

test.skipIf(skopeo.skip)('skopeo copies the index with all its platforms, and nothing changes', async () => {
  const to = join(dir, 'copied')
  await run(skopeo.path, ['copy', '--quiet', '--all', '--preserve-digests', `oci:${join(dir, 'oci')}:v1`, `oci:${to}:v1`])
  const copied = await openLayout(to)
  expect((await copied.resolve('v1'))?.digest).toBe((await layout.resolve('v1'))?.digest)
})

test.skipIf(umoci.skip)('umoci unpacks the image with gzip layers', async () => {
  const gzipped = await printingImage(layout, 'linux/amd64', 'hello\n', 'gzip')
  await layout.tag(gzipped, 'one')
  const bundle = join(dir, 'bundle')
  await run(umoci.path, ['unpack', '--rootless', '--image', `${join(dir, 'oci')}:one`, bundle])
  expect((await run(join(bundle, 'rootfs/usr/bin/say'), [])).stdout).toBe('hello\n')
  const { stdout } = await run(umoci.path, ['stat', '--json', '--image', `${join(dir, 'oci')}:one`])
  expect(JSON.parse(stdout).history.length).toBe(2)
})
