/** The five components that are Go modules, compiled for real on three platforms, each printing its version. */
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { compileGo } from '../../src/build/go.ts'
import { smokeProgram } from '../../src/build/smoke.ts'
import { type PlatformName, platformNames } from '../../src/oci/platform.ts'
import { Component } from '../../src/plan/component.ts'
import { fill, placeholders } from '../../src/plan/template.ts'
import { parseUpstreamVersion, parseVersion } from '../../src/plan/version.ts'
import { openSource } from '../../src/source/open.ts'
import { resolveSource } from '../../src/source/resolve.ts'

const real = process.env.RFO_REAL === '1'
if (!real)
  process.stderr.write('compiling the real components is skipped: it takes many minutes and the Go module proxy; RFO_REAL=1 runs it\n')

const releases = {
  'hardened-coredns': 'v1.9.3-build20221011',
  'hardened-etcd': 'v3.5.4-k3s1-build20221011',
  'hardened-k8s-metrics-server': 'v0.6.1-build20221011',
  'hardened-flannel': 'v0.19.1-build20221011',
  'hardened-cni-plugins': 'v1.0.1-build20221011',
} as const

/** As a plan fills a pipeline's templates for this tag. */
function filled(component: unknown, tag: string): unknown {
  const values = placeholders(tag, parseVersion('v1.24.8+rfor1'), parseUpstreamVersion('v1.24.8+rke2r1'))
  return JSON.parse(JSON.stringify(component), (_key, value: unknown) => (typeof value === 'string' ? fill(value, values, tag) : value))
}

const env = Object.fromEntries(Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))
const host = process.arch === 'arm64' ? ('linux-arm64' as const) : ('linux-amd64' as const)

describe.skipIf(!real)('compiled from the module proxy', () => {
  // RFO_REAL_DIR keeps the caches between runs; without it every run is cold
  const kept = process.env.RFO_REAL_DIR
  for (const [name, tag] of Object.entries(releases)) {
    test(`${name} ${tag}`, { timeout: 30 * 60_000 }, async () => {
      const workDir = kept ?? (await mkdtemp(join(tmpdir(), 'rfo-real-')))
      await mkdir(workDir, { recursive: true })
      try {
        const text = await readFile(new URL(`../../pipelines/${name}.yaml`, import.meta.url), 'utf8')
        const component = filled(Component.parse(parse(text)), tag) as Component
        const { source, build, smoke } = component
        if (source?.kind !== 'go-module' || build?.kind !== 'go' || smoke === undefined) throw new Error('a Go component with a smoke test')
        const started = performance.now()
        const pin = await resolveSource(source, { env, addresses: {}, host, toolchain: build.toolchain, workDir })
        if (pin.kind !== 'go-module') throw new Error('a module')
        const opened = await openSource(pin, { env, addresses: {}, workDir, ...(source.edit === undefined ? {} : { edit: source.edit }) })
        const said: string[] = [
          `${name}: source ${seconds(started)} s, ${opened.materials.length} materials, sums ${pin.sums.slice(0, 19)}`,
        ]
        for (const platform of platformNames) said.push(await compileAndRun(platform))
        process.stderr.write(`${said.join('\n  ')}\n`)
        await rm(opened.dir, { recursive: true })

        async function compileAndRun(platform: PlatformName): Promise<string> {
          if (build?.kind !== 'go' || smoke === undefined) throw new Error('seen above')
          const before = performance.now()
          const { programs } = await compileGo({ source: opened, build, platform, env, workDir })
          const took = seconds(before)
          expect(programs.map((program) => program.path)).toEqual(build.commands.map((command) => command.output))
          const program = programs.find(({ path }) => path === smoke.argv[0])
          if (program === undefined) throw new Error('the smoke test runs one of the outputs')
          const run = {
            platform,
            argv: smoke.argv,
            expect: smoke.expect,
            host: host === 'linux-arm64' ? ('arm64' as const) : ('amd64' as const),
            env,
            workDir,
          }
          const output = await smokeProgram({ ...run, imageEnv: component.config.env ?? {} }, program.file, smoke.argv.slice(1))
          await rm(join(program.file, '..'), { recursive: true })
          return `${platform} ${took} s: ${output.split('\n').find((line) => line.includes(smoke.expect))}`
        }
      } finally {
        if (kept === undefined) await rm(workDir, { recursive: true, force: true })
      }
    })
  }
})

function seconds(since: number): string {
  return ((performance.now() - since) / 1000).toFixed(0)
}
