/** Compiles a Go component: no network, nothing of the user's own settings, the same bytes on every machine. */
import { randomUUID } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { RfoError } from '../error.ts'
import { exec } from '../exec.ts'
import { type Architecture, architectures, type PlatformName, platformOf } from '../oci/platform.ts'
import type { Build } from '../plan/component.ts'
import { checkElf } from './elf.ts'

export type GoBuild = Extract<Build, { kind: 'go' }>

/** The rules of this file, for task keys: change it when the same request would give other bytes. */
export const goBuilder = 'go@1'

/** Where the source is, and the checked toolchain and modules that opening it left. */
export interface GoSource {
  readonly dir: string
  readonly go?: { readonly program: string; readonly root: string; readonly modCache: string }
}

export interface CompileRequest {
  readonly source: GoSource
  /** templates filled */
  readonly build: GoBuild
  readonly platform: PlatformName
  readonly env: Readonly<Record<string, string>>
  readonly workDir: string
  readonly signal?: AbortSignal
  readonly line?: (text: string) => void
}

export interface Program {
  /** absolute, in the image */
  readonly path: string
  /** on disk */
  readonly file: string
}

/** https://go.dev/wiki/MinimumRequirements: the least that every machine of the architecture can run. */
const levels: Record<Architecture, Readonly<Record<string, string>>> = {
  amd64: { GOAMD64: 'v1' },
  arm64: { GOARM64: 'v8.0' },
  riscv64: { GORISCV64: 'rva20u64' },
}

/** One file a command, in a fresh folder below workDir that the caller may remove once the bytes are in a store. */
export async function compileGo(request: CompileRequest): Promise<{ programs: Program[] }> {
  const { source, build, platform, workDir } = request
  const { architecture } = platformOf(platform)
  const { go } = source
  if (go === undefined) {
    throw new RfoError('RFO_BUILD_GO', 'only Go modules are compiled: this source was opened without a toolchain', {
      exit: 'usage',
      next: 'give the component a go-module source',
    })
  }
  const cgo = build.cgo.includes(architecture)
  const env = {
    ...baseEnv(request, go),
    ...levels[architecture],
    GOOS: 'linux',
    GOARCH: architecture,
    ...(cgo ? await cgoEnv(request, architecture) : { CGO_ENABLED: '0' }),
  }
  const out = join(workDir, 'programs', randomUUID())
  await mkdir(out, { recursive: true })
  const ldflags = [...build.ldflags, ...(cgo ? ['-linkmode=external', '-extldflags=-static'] : [])].join(' ')
  const programs: Program[] = []
  try {
    for (const [index, command] of build.commands.entries()) {
      if (!/^[\w.][\w./~+-]*$/.test(command.package)) {
        throw new RfoError('RFO_BUILD_PACKAGE', `not a Go package: ${JSON.stringify(command.package)}`, { exit: 'usage' })
      }
      const file = join(out, String(index))
      const tags = build.tags.length === 0 ? [] : ['-tags', build.tags.join(',')]
      await run(request, [go.program, 'build', '-o', file, ...tags, ...(ldflags === '' ? [] : ['-ldflags', ldflags]), command.package], env)
      await checkElf(file, architecture)
      programs.push({ path: command.output, file })
    }
    return { programs }
  } catch (thrown) {
    await rm(out, { recursive: true, force: true })
    throw thrown
  }
}

function baseEnv(request: CompileRequest, go: { readonly root: string; readonly modCache: string }): Record<string, string> {
  return {
    PATH: request.env.PATH ?? '',
    ...(request.env.TMPDIR === undefined ? {} : { TMPDIR: request.env.TMPDIR }),
    HOME: request.workDir,
    LC_ALL: 'C',
    GOROOT: go.root,
    GOENV: 'off',
    GOWORK: 'off',
    GOTELEMETRY: 'off',
    GO111MODULE: 'on',
    GOEXPERIMENT: '',
    GOTOOLCHAIN: 'local',
    // go.sum decides here; the checksum database was asked when the source was opened
    GOPROXY: 'off',
    GOSUMDB: 'off',
    GOVCS: '*:off',
    GOPATH: join(request.workDir, 'go', 'path'),
    GOMODCACHE: go.modCache,
    GOCACHE: join(request.workDir, 'go', 'build'),
    GOFLAGS: '-mod=readonly -trimpath -buildvcs=false -modcacherw',
  }
}

async function cgoEnv(request: CompileRequest, architecture: Architecture): Promise<Record<string, string>> {
  return {
    CGO_ENABLED: '1',
    CC: await compilerFor(request, architecture),
    CGO_CFLAGS: '-O2',
    CGO_CPPFLAGS: '',
    CGO_CXXFLAGS: '-O2',
    CGO_LDFLAGS: '-O2',
  }
}

/** The GNU name of a compiler says what it makes; a plain `gcc` must be asked. */
async function compilerFor(request: CompileRequest, architecture: Architecture): Promise<string> {
  const triplet = `${architectures[architecture].rpm}-linux-gnu`
  const env = { PATH: request.env.PATH ?? '', LC_ALL: 'C' }
  for (const compiler of [`${triplet}-gcc`, 'gcc']) {
    const machine = await exec([compiler, '-dumpmachine'], {
      env,
      ...(request.signal === undefined ? {} : { signal: request.signal }),
    }).catch((thrown: unknown) => {
      if (thrown instanceof RfoError) return undefined
      throw thrown
    })
    // Debian says x86_64-linux-gnu, openEuler x86_64-openEuler-linux
    if (machine?.stdout.toString('utf8').startsWith(`${architectures[architecture].rpm}-`)) return compiler
  }
  throw new RfoError('RFO_BUILD_TOOL', `cgo for ${architecture} needs a C compiler for ${triplet}, and there is none on the PATH`, {
    exit: 'machine',
    next: `install gcc (${triplet}-gcc on another architecture) and the static libc`,
  })
}

async function run(request: CompileRequest, argv: [string, ...string[]], env: Record<string, string>): Promise<void> {
  try {
    await exec(argv, {
      env,
      cwd: request.source.dir,
      exit: 'build',
      ...(request.signal === undefined ? {} : { signal: request.signal }),
      ...(request.line === undefined ? {} : { line: request.line }),
    })
  } catch (thrown) {
    if (!(thrown instanceof RfoError) || thrown.code !== 'RFO_EXEC_FAILED') throw thrown
    const last = thrown.details.at(-1) ?? thrown.message
    const full = thrown.details.some((text) => /no space left on device/i.test(text))
    throw new RfoError(
      full ? 'RFO_BUILD_SPACE' : 'RFO_BUILD_COMPILE',
      `go build ${argv.at(-1)} for ${request.platform}: ${last}`.slice(0, 500),
      {
        exit: full ? 'machine' : 'build',
        details: thrown.details,
        cause: thrown,
        ...(full ? { next: 'free some space' } : {}),
      },
    )
  }
}
