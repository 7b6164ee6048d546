/**
 * CPU of `rfo-build build` of one component for amd64, cold, against the same `go build` calls alone: same toolchain, flags,
 * environment and source; modules are there, Go's build cache is empty for each. Pairs in turn; prints the median ratio. Goal: 1.1.
 * The first build, which fetches the modules, is not counted. Takes some minutes a pair: `npm run bench` leaves it out.
 *
 *     node bench/compile.ts [pairs] [component]
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { architectures } from '../src/oci/platform.ts'
import type { ReleasePlan } from '../src/plan/release-plan.ts'

const goal = 1.1
const pairs = Number(process.argv[2] ?? 3)
const component = process.argv[3] ?? 'hardened-coredns'
const version = 'v1.25.4+rfor1'
const root = join(import.meta.dirname, '..')
const door = join(root, 'bin', 'rfo-build.js')
const work = mkdtempSync(join(tmpdir(), 'rfo-bench-'))
const modules = join(work, 'mod')

/** CPU seconds of all children that have ended: cutime + cstime of https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html, in ticks of 10 ms. */
function childSeconds(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[13]) + Number(fields[14])) / 100
}

function run(argv: readonly [string, ...string[]], cwd: string, env: NodeJS.ProcessEnv): { readonly cpu: number; readonly stdout: string } {
  const before = childSeconds()
  const { status, stdout, stderr } = spawnSync(argv[0], argv.slice(1), { cwd, env, encoding: 'utf8', maxBuffer: 1 << 28 })
  if (status !== 0) throw new Error(`${argv.join(' ')} ended with ${status}: ${stderr}`)
  return { cpu: childSeconds() - before, stdout }
}

/** A fresh store but for the modules, which lie there for as long as it runs. */
function ours(): number {
  const store = mkdtempSync(join(work, 'store-'))
  const place = join(store, 'work', 'go')
  mkdirSync(place, { recursive: true })
  renameSync(modules, join(place, 'mod'))
  const argv = ['build', version, component, '--platform', 'amd64', '--stand-in', 'bases', '--store', store, '--progress', 'none']
  const { cpu } = run([process.execPath, door, ...argv], root, process.env)
  renameSync(join(place, 'mod'), modules)
  rmSync(store, { recursive: true })
  return cpu
}

const { plan } = JSON.parse(spawnSync(process.execPath, [door, 'plan', version, '--json'], { cwd: root, encoding: 'utf8' }).stdout) as {
  plan: ReleasePlan
}
const image = plan.images.find((each) => each.component === component)
const pin = image?.locked?.pin
if (
  image?.build?.kind !== 'go' ||
  pin?.kind !== 'go-module' ||
  image.build.cgo.includes('amd64') ||
  image.source?.kind !== 'go-module' ||
  image.source.edit !== undefined
)
  throw new Error(`${component} is no Go module that is compiled as it is, without cgo`)
const { build } = image

/** As src/build/go.ts calls it. */
function theirs(): number {
  const folder = mkdtempSync(join(work, 'plain-'))
  const source = join(folder, 'source')
  const spelt = pin?.kind === 'go-module' ? `${pin.module.replace(/[A-Z]/g, (letter) => `!${letter.toLowerCase()}`)}@${pin.version}` : ''
  cpSync(join(modules, spelt), source, { recursive: true })
  const host = process.arch === 'arm64' ? 'arm64' : 'amd64'
  const goroot = join(modules, `golang.org/toolchain@v0.0.1-${build.toolchain}.linux-${host}`)
  const env = {
    PATH: process.env.PATH,
    XDG_CONFIG_HOME: '/dev/null',
    LC_ALL: 'C',
    GOROOT: goroot,
    GOENV: 'off',
    GOWORK: 'off',
    GO111MODULE: 'on',
    GOEXPERIMENT: '',
    GOTOOLCHAIN: 'local',
    GOPROXY: 'off',
    GOSUMDB: 'off',
    GOVCS: '*:off',
    GOPATH: join(folder, 'path'),
    GOMODCACHE: modules,
    GOCACHE: join(folder, 'cache'),
    GOFLAGS: '-mod=readonly -trimpath -buildvcs=false -modcacherw',
    ...architectures.amd64.goLevel,
    GOOS: 'linux',
    GOARCH: 'amd64',
    CGO_ENABLED: '0',
  }
  const tags = build.tags.length === 0 ? [] : ['-tags', build.tags.join(',')]
  let cpu = 0
  for (const [index, { package: name }] of build.commands.entries()) {
    const argv = ['build', '-o', join(folder, String(index)), ...tags, '-ldflags', build.ldflags.join(' '), name]
    cpu += run([join(goroot, 'bin', 'go'), ...argv], source, env).cpu
  }
  rmSync(folder, { recursive: true })
  return cpu
}

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
const rows: { readonly own: number; readonly plain: number }[] = []
try {
  mkdirSync(modules)
  ours()
  for (let pair = 0; pair < pairs; pair++) {
    // in turn who is first: a machine gets busy and calm over minutes
    const before = pair % 2 === 0 ? ours() : undefined
    const plain = theirs()
    rows.push({ own: before ?? ours(), plain })
  }
} finally {
  rmSync(work, { recursive: true, force: true })
}
const ratios = rows.map(({ own, plain }) => own / plain)
console.log(
  `build ${component} / go build alone, CPU: ${median(ratios).toFixed(3)} (goal ${goal}), ${pairs} pairs from ${Math.min(...ratios).toFixed(3)} to ` +
    `${Math.max(...ratios).toFixed(3)}; ${median(rows.map((row) => row.own)).toFixed(1)} s and ${median(rows.map((row) => row.plain)).toFixed(1)} s`,
)
