/** containerd imports and runs what we assemble; skopeo copies it; umoci unpacks what it can read. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { assembleIndex } from '../../src/build/assemble.ts'
import { type LayoutStore, openLayout } from '../../src/content/layout.ts'
import { tool } from '../tools.ts'
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
  let daemon: ChildProcess
  let address: string
  const call = async (...args: string[]): Promise<string> =>
    (await run(ctr.path, ['--address', address, ...args], { timeout: 60_000 })).stdout

  beforeAll(async () => {
    address = join(dir, 'containerd.sock')
    const config = join(dir, 'config.toml')
    await writeFile(config, 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
    daemon = spawn(
      containerd.path,
      ['--config', config, '--root', join(dir, 'root'), '--state', join(dir, 'state'), '--address', address, '--log-level', 'error'],
      {
        stdio: ['ignore', 'inherit', 'inherit'],
      },
    )
    for (let tries = 0; tries < 100; tries += 1) {
      if (
        await access(address).then(
          () => true,
          () => false,
        )
      )
        break
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    await call('version')
  })
  afterAll(async () => {
    const gone = new Promise((resolve) => daemon.once('exit', resolve))
    daemon.kill('SIGTERM')
    await gone
  })

  test.each([
    ['v1', 'hello from amd64\n'],
    ['gzip', 'hello, packed by gzip\n'],
  ])('imports %s as the same digest and runs it', async (tag, said) => {
    const archive = join(dir, `${tag}.tar`)
    await run('tar', ['-C', join(dir, 'oci'), '-cf', archive, '.'])
    const name = `docker.io/rfolabs/say:${tag}`
    await call('images', 'import', '--no-unpack', '--digests', '--base-name', 'docker.io/rfolabs/say', archive)
    const listed = await call('images', 'ls')
    expect(listed).toContain(name)
    expect(listed).toContain((await layout.resolve(tag))?.digest)
    const id = `say-${tag}`
    const once = ['run', '--rm', '--snapshotter', 'native', '--runc-binary', runc.path, '--net-host', name, id]
    expect(await call(...once)).toBe(said)
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
