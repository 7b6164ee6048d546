/**
 * Five components that Go compiles and one in C, all out of Go modules, for real: resolved, opened, compiled on three platforms, put into images that
 * run and print their version: in containerd for amd64 where it is there, else out of the image, under qemu-user if need be.
 */
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { assembleImage, assembleIndex } from '../../src/build/assemble.ts'
import { compileC } from '../../src/build/c.ts'
import { compressLayer } from '../../src/build/compress.ts'
import { compileGo } from '../../src/build/go.ts'
import { writeLayerTar } from '../../src/build/layer.ts'
import type { MadePrograms } from '../../src/build/programs.ts'
import { smoke } from '../../src/build/smoke.ts'
import { type LayoutStore, openLayout } from '../../src/content/layout.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { type PlatformName, platformNames } from '../../src/oci/platform.ts'
import { Component, programPaths } from '../../src/plan/component.ts'
import { fill, placeholders } from '../../src/plan/template.ts'
import { parseUpstreamVersion, parseVersion } from '../../src/plan/version.ts'
import { type OpenSource, openSource } from '../../src/source/open.ts'
import { resolveSource } from '../../src/source/resolve.ts'
import { type Containerd, startContainerd } from '../build/containerd.ts'
import { epoch, smallBase } from '../build/image.ts'
import { tool } from '../tools.ts'

const real = process.env.RFO_REAL === '1'
if (!real)
  process.stderr.write('compiling the real components is skipped: it takes many minutes and the Go module proxy; RFO_REAL=1 runs it\n')

const releases = {
  'hardened-coredns': 'v1.9.3-build20221011',
  'hardened-etcd': 'v3.5.4-k3s1-build20221011',
  'hardened-k8s-metrics-server': 'v0.6.1-build20221011',
  'hardened-flannel': 'v0.19.1-build20221011',
  'hardened-cni-plugins': 'v1.0.1-build20221011',
  pause: '3.6',
} as const

const env = Object.fromEntries(Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))
const arm = process.arch === 'arm64'

/** As a plan fills a pipeline's templates for this tag. */
function filled(component: unknown, tag: string): unknown {
  const values = placeholders(tag, parseVersion('v1.24.8+rfor1'), parseUpstreamVersion('v1.24.8+rke2r1'), { epoch })
  return JSON.parse(JSON.stringify(component), (_key, value: unknown) => (typeof value === 'string' ? fill(value, values, tag) : value))
}

describe.skipIf(!real)('compiled from the module proxy', () => {
  let workDir: string
  let layout: LayoutStore
  let daemon: Containerd | undefined
  let daemonDir: string | undefined

  beforeAll(async () => {
    // RFO_REAL_DIR keeps the caches between runs; without it every run is cold
    workDir = env.RFO_REAL_DIR ?? (await mkdtemp(join(tmpdir(), 'rfo-real-')))
    await mkdir(workDir, { recursive: true })
    layout = await openLayout(join(workDir, 'oci'), { create: true })
    const tools = { containerd: tool('containerd'), ctr: tool('ctr'), runc: tool('runc') }
    const runs = !arm && process.getuid?.() === 0 && Object.values(tools).every(({ skip }) => !skip)
    if (!runs) return
    daemonDir = await mkdtemp(join(tmpdir(), 'rfo-ctr-'))
    daemon = await startContainerd(daemonDir, tools)
  })
  afterAll(async () => {
    await daemon?.stop()
    if (daemonDir !== undefined) await rm(daemonDir, { recursive: true, force: true })
    if (env.RFO_REAL_DIR === undefined) await rm(workDir, { recursive: true, force: true })
  })

  test.each(Object.entries(releases))('%s %s', { timeout: 40 * 60_000 }, async (name, tag) => {
    const text = await readFile(new URL(`../../pipelines/${name}.yaml`, import.meta.url), 'utf8')
    const component = filled(Component.parse(parse(text)), tag) as Component
    const { source, build } = component
    if (source?.kind !== 'go-module') throw new Error('a Go module')
    const started = performance.now()
    const host = arm ? 'linux-arm64' : 'linux-amd64'
    const pin = await resolveSource(source, {
      env,
      addresses: {},
      host,
      workDir,
      ...(build?.kind === 'go' ? { toolchain: build.toolchain } : {}),
    })
    const opened = await openSource(pin, { env, addresses: {}, workDir, ...(source.edit === undefined ? {} : { edit: source.edit }) })
    process.stderr.write(`${name}: source ${seconds(started)} s, ${opened.materials.length} materials\n`)
    const manifests: Descriptor[] = []
    for (const platform of platformNames) manifests.push(await makeImage(component, opened, platform))
    await rm(opened.dir, { recursive: true })
    const index = await assembleIndex(manifests, {}, layout)
    if (daemon !== undefined && component.smoke !== undefined) {
      const alone = join(workDir, `oci-${name}`)
      const one = await openLayout(alone, { create: true })
      const { copyGraph } = await import('../../src/content/copy.ts')
      await copyGraph([index], layout, one, { concurrency: 4 })
      await one.tag(index, 'real')
      expect(await daemon.importLayout(alone, `docker.io/rfolabs/${name}`)).toContain(index.digest)
      await rm(alone, { recursive: true })
      // a CNI plugin prints its version and ends with an error
      const said = await daemon
        .run(`docker.io/rfolabs/${name}:real`, name, component.smoke.argv)
        .catch((thrown: { stdout?: string; stderr?: string }) => `${thrown.stdout}${thrown.stderr}`)
      process.stderr.write(`  containerd: ${lineWith(said, component.smoke.expect)}\n`)
      expect(said).toContain(component.smoke.expect)
    }
  })

  async function compile({ build }: Component, source: OpenSource, platform: PlatformName): Promise<MadePrograms> {
    if (build?.kind === 'c') return await compileC({ source, build, platform, epoch, env, workDir })
    if (build?.kind === 'go') return await compileGo({ source, build, platform, env, workDir })
    throw new Error('a component that is compiled')
  }

  async function makeImage(component: Component, source: OpenSource, platform: PlatformName): Promise<Descriptor> {
    const before = performance.now()
    const { programs, dir } = await compile(component, source, platform)
    const compiled = seconds(before)
    expect(programs.map((program) => program.path)).toEqual(programPaths(component.build))
    const packing = performance.now()
    const tar = await writeLayerTar(
      programs.map((program) => ({ ...program, mode: 0o755 })),
      layout,
      epoch,
    )
    await rm(dir, { recursive: true })
    const layer = { ...(await compressLayer(tar, component.layers, layout, { workDir })), createdBy: component.name }
    const base = component.base === 'scratch' ? {} : { base: await smallBase(layout, platform) }
    const image = await assembleImage({ ...base, layers: [layer], platform, config: component.config, labels: {}, epoch }, layout)
    const packed = seconds(packing)
    if (component.smoke === undefined) throw new Error('a component that prints its version')
    const request = { image, platform, ...component.smoke, host: arm ? ('arm64' as const) : ('amd64' as const), env, workDir }
    const said = lineWith(await smoke(request, layout), component.smoke.expect)
    process.stderr.write(`  ${platform}: compiled ${compiled} s, packed ${packed} s (${mb(tar)} → ${mb(layer.layer)} MB): ${said}\n`)
    return image
  }
})

function lineWith(text: string, expected: string): string | undefined {
  return text.split('\n').find((line) => line.includes(expected))
}
function mb({ size }: Descriptor): string {
  return (size / 1e6).toFixed(1)
}
function seconds(since: number): string {
  return ((performance.now() - since) / 1000).toFixed(0)
}
