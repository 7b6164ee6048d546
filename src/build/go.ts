/** Compiles a Go component: no network, nothing of the user's own settings, the same bytes on every machine. */
import { basename, join } from 'node:path'
import { RfoError } from '../error.ts'
import { exec } from '../exec.ts'
import { architectures, platformOf } from '../oci/platform.ts'
import { type GoBuild, usesCgo } from '../plan/component.ts'
import { checkBoring } from './boring.ts'
import { cgoEnv, compilerFor, refuseWithoutStaticPie } from './c-compiler.ts'
import { compileStep } from './compile-step.ts'
import { checkElf } from './elf.ts'
import { checkConstants, linkConstants, listFormat } from './go-constants.ts'
import { type CompileHow, inFreshFolder, type MadePrograms, type Program } from './programs.ts'

export type { GoBuild }

/** The rules of this file, for task keys: change it when the same request would give other bytes. */
export const goBuilder = 'go@1'

/** Where the source is, and the checked toolchain and modules that opening it left. */
export interface GoSource {
  readonly dir: string
  readonly go?: { readonly program: string; readonly root: string; readonly modCache: string; readonly vendored?: true }
}

export interface CompileRequest extends CompileHow {
  readonly source: GoSource
  /** templates filled */
  readonly build: GoBuild
  /** a folder of this build alone, with the build's C libraries below usr/; absent = it links none on this platform */
  readonly libraries?: string
}

/** One file a command, in a fresh folder below workDir. */
export async function compileGo(request: CompileRequest): Promise<MadePrograms> {
  const { source, build, platform, workDir } = request
  const { architecture } = platformOf(platform)
  const { go } = source
  if (go === undefined) {
    throw new RfoError('RFO_BUILD_GO', 'this source was opened without a toolchain', {
      exit: 'usage',
      next: 'give the component a go-module or git source, and lock it again',
    })
  }
  const compiler = usesCgo(build, architecture) ? await compilerFor(architecture, request) : undefined
  const wants = { boring: build.boring?.includes(architecture) === true, pie: build.pie?.includes(architecture) === true }
  if (wants.pie && compiler !== undefined) await refuseWithoutStaticPie(compiler, architecture, request)
  const env = {
    ...baseEnv(request, go),
    ...architectures[architecture].goLevel,
    GOOS: 'linux',
    GOARCH: architecture,
    ...(compiler === undefined ? { CGO_ENABLED: '0' } : cgoEnv(compiler)),
    ...(request.libraries === undefined ? {} : libraryEnv(request.libraries)),
    ...(wants.boring ? { GOEXPERIMENT: 'boringcrypto' } : {}),
  }
  const linking = compiler === undefined ? [] : ['-linkmode=external', `-extldflags=${wants.pie ? '-static-pie' : '-static'}`]
  // Go's build id sums up the folders of the libraries, which are others each time
  const ldflags = [...build.ldflags, ...linking, ...(request.libraries === undefined ? [] : ['-buildid='])].join(' ')
  return await inFreshFolder(workDir, async (dir) => {
    const programs: Program[] = []
    for (const [index, command] of build.commands.entries()) {
      if (!/^[\w.][\w./~+-]*$/.test(command.package)) {
        throw new RfoError('RFO_BUILD_PACKAGE', `not a Go package: ${JSON.stringify(command.package)}`, { exit: 'usage' })
      }
      const file = join(dir, String(index))
      const flags = [...(wants.pie ? ['-buildmode=pie'] : []), ...tagsOf(build), ...(ldflags === '' ? [] : ['-ldflags', ldflags])]
      const verb = command.test === true ? ['test', '-c'] : ['build']
      await run(request, [go.program, ...verb, '-o', file, ...flags, command.package], env)
      await checkElf(file, architecture, wants.pie ? 'pie' : 'any')
      await checkBoring(file, command.package, request.platform, wants.boring)
      programs.push({ path: command.output, file, ...(command.setuid === true ? { setuid: true as const } : {}) })
    }
    await checkLinked(request, programs, env)
    return { programs, ...(compiler === undefined ? {} : { compiler: compiler.facts }) }
  })
}

/**
 * A folder that is new each time. Go's cache does not know what pkg-config said, so what it compiled against the libraries of
 * another build would be taken again: the folder is told in a flag that the cache does know. https://github.com/golang/go/issues/24544
 */
function libraryEnv(root: string): Record<string, string> {
  return { PKG_CONFIG_LIBDIR: join(root, 'usr/lib/pkgconfig'), CGO_CPPFLAGS: `-DRFO_LIBRARIES=${basename(root)}` }
}

function tagsOf({ tags }: GoBuild): string[] {
  return tags.length === 0 ? [] : ['-tags', tags.join(',')]
}

/** Go says nothing of a link-time constant that sets nothing. */
async function checkLinked(
  { source, build, platform, signal }: CompileRequest,
  made: readonly Program[],
  env: Record<string, string>,
): Promise<void> {
  const { ldflags, commands } = build
  if (source.go === undefined || linkConstants(ldflags).length === 0) return
  const packages = commands.map((command) => command.package)
  const tests = commands.some((command) => command.test === true) ? ['-test'] : []
  const { stdout } = await exec([source.go.program, 'list', ...tests, '-deps', '-f', listFormat, ...tagsOf(build), ...packages], {
    env,
    cwd: source.dir,
    exit: 'build',
    ...(signal === undefined ? {} : { signal }),
  })
  await checkConstants({ ldflags, programs: made.map((each) => each.file), listed: stdout.toString('utf8'), where: platform })
}

function baseEnv(request: CompileRequest, go: NonNullable<GoSource['go']>): Record<string, string> {
  return {
    PATH: request.env.PATH ?? '',
    ...(request.env.TMPDIR === undefined ? {} : { TMPDIR: request.env.TMPDIR }),
    // no home: Go's telemetry would go on writing there after the compile has ended
    XDG_CONFIG_HOME: '/dev/null',
    LC_ALL: 'C',
    GOROOT: go.root,
    GOENV: 'off',
    GOWORK: 'off',
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
    GOFLAGS: `${go.vendored === true ? '-mod=vendor' : '-mod=readonly'} -trimpath -buildvcs=false -modcacherw`,
  }
}

async function run(request: CompileRequest, argv: [string, ...string[]], env: Record<string, string>): Promise<void> {
  await compileStep(argv, {
    what: `go ${argv[1]} ${argv.at(-1)} for ${request.platform}`,
    env,
    cwd: request.source.dir,
    ...(request.signal === undefined ? {} : { signal: request.signal }),
    ...(request.line === undefined ? {} : { line: request.line }),
  })
}
