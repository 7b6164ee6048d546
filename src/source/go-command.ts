/** The `go` command as a fetcher: modules and toolchains, checked by go itself against the checksum database. */
import { chmod, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { RfoError } from '../error.ts'
import { exec } from '../exec.ts'
import { passedOn } from './environment.ts'

export interface GoContext {
  readonly env: Readonly<Record<string, string>>
  readonly workDir: string
  readonly signal?: AbortSignal
  readonly line?: (text: string) => void
}

/**
 * A module's folder in the cache, its checksums, and where the proxy says it has it from: https://go.dev/ref/mod#go-mod-download.
 * No checksum database vouches for the origin, and many proxies say none.
 */
const Downloaded = z.object({
  Path: z.string(),
  Version: z.string(),
  Dir: z.string(),
  Sum: z.string(),
  GoModSum: z.string(),
  Origin: z.object({ VCS: z.string(), Hash: z.string() }).partial().nullish(),
})
export type DownloadedModule = z.infer<typeof Downloaded>

/** What a compile needs to find again: the pinned toolchain's own `go`, and where the modules lie. */
export interface GoTools {
  readonly program: string
  readonly root: string
  readonly modCache: string
  /** its modules lie in the source, below vendor/: https://go.dev/ref/mod#vendoring */
  readonly vendored?: true
}

export function modCacheOf(workDir: string): string {
  return join(workDir, 'go', 'mod')
}

/** Where a module lies in a cache once it is there. Capitals are escaped: https://go.dev/ref/mod#module-cache */
export function moduleFolder(modCache: string, module: string, version: string): string {
  return join(
    modCache,
    `${module}@${version}`.replace(/[A-Z]/g, (letter) => `!${letter.toLowerCase()}`),
  )
}

/** Nothing of the user's own Go settings (`go env -w`, go.work, GOFLAGS) takes part. */
function goEnv(at: GoContext, more: Readonly<Record<string, string>> = {}): Record<string, string> {
  return {
    ...passedOn(at.env, ['HOME', 'GOPROXY', 'GOSUMDB', 'GONOSUMDB', 'GONOPROXY', 'GOPRIVATE', 'GOINSECURE']),
    GOENV: 'off',
    GOWORK: 'off',
    // where Go's telemetry would be kept
    XDG_CONFIG_HOME: '/dev/null',
    GO111MODULE: 'on',
    GOTOOLCHAIN: 'local',
    GOPATH: join(at.workDir, 'go', 'path'),
    GOMODCACHE: modCacheOf(at.workDir),
    GOCACHE: join(at.workDir, 'go', 'build'),
    // -modcacherw: the work folder can be deleted with a plain rm
    GOFLAGS: '-mod=readonly -modcacherw',
    ...more,
  }
}

export interface GoRun {
  readonly program?: string
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
}

/** Runs go; what it says decides whether the fault is the content's (untrusted) or the network's (outside). */
export async function runGo(at: GoContext, args: readonly string[], how: GoRun = {}): Promise<string> {
  try {
    const { stdout } = await exec([how.program ?? 'go', ...args], {
      env: goEnv(at, how.env),
      cwd: how.cwd ?? at.workDir,
      maxBytes: 64 * 1024 * 1024,
      exit: 'outside',
      ...(at.signal === undefined ? {} : { signal: at.signal }),
      line: (text) => {
        // answers (module lists, JSON) are for us; what go does, it says with its name in front
        if (text.startsWith('go: ')) at.line?.(text)
      },
    })
    return stdout.toString('utf8')
  } catch (thrown) {
    throw goError(thrown, args)
  }
}

function goError(thrown: unknown, args: readonly string[]): unknown {
  if (!(thrown instanceof RfoError)) return thrown
  if (thrown.code === 'RFO_EXEC_ABSENT') {
    return new RfoError('RFO_SOURCE_GO', 'Go modules need the `go` command, and there is none on the PATH', {
      exit: 'machine',
      next: 'install Go 1.21 or newer (https://go.dev/dl)',
    })
  }
  if (thrown.code !== 'RFO_EXEC_FAILED') return thrown
  const said = thrown.details.join('\n')
  const sums = /checksum mismatch|SECURITY ERROR|invalid signature|missing go\.sum entry/.test(said)
  const first =
    /"Error": "((?:[^"\\]|\\.)*)"/.exec(said)?.[1]?.replace(/\\n|\\t/g, ' ') ??
    thrown.details.findLast((line) => /: \S/.test(line)) ??
    thrown.message
  return new RfoError(sums ? 'RFO_SOURCE_SUM' : 'RFO_SOURCE_GO', `go ${args.slice(0, 2).join(' ')}: ${first.slice(0, 500)}`, {
    exit: sums ? 'untrusted' : 'outside',
    details: thrown.details,
    cause: thrown,
    ...(sums ? {} : { next: 'run the same command again, or set GOPROXY to a proxy that has it' }),
  })
}

/** One module into the cache. go compares it with the checksum database (GOSUMDB). */
export async function downloadModule(at: GoContext, module: string, version: string): Promise<DownloadedModule> {
  if (!/^[A-Za-z0-9][\w.~/-]*$/.test(module) || !/^v[\w.+-]+$/.test(version)) {
    throw new RfoError('RFO_SOURCE_MODULE', `not a module and version: ${module}@${version}`.slice(0, 300), { exit: 'usage' })
  }
  await mkdir(at.workDir, { recursive: true })
  const said = await runGo(at, ['mod', 'download', '-json', `${module}@${version}`])
  return Downloaded.parse(JSON.parse(said))
}

/** `linux-amd64`, as toolchain modules spell it. */
export type GoHost = 'linux-amd64' | 'linux-arm64'
export const goHosts: readonly GoHost[] = ['linux-amd64', 'linux-arm64']

/** Of the machine that compiles, as the installed `go` knows it. */
export async function hostOfGo(at: GoContext): Promise<GoHost> {
  await mkdir(at.workDir, { recursive: true })
  const said = (await runGo(at, ['env', 'GOHOSTOS', 'GOHOSTARCH'])).trim().split('\n').join('-')
  const host = goHosts.find((name) => name === said)
  if (host === undefined)
    throw new RfoError('RFO_SOURCE_TOOLCHAIN', `toolchains are pinned for ${goHosts.join(' and ')}, not for ${said}`, { exit: 'machine' })
  return host
}

/** https://go.dev/doc/toolchain: a toolchain is the module golang.org/toolchain at v0.0.1-<version>.<host>. */
export async function downloadToolchain(at: GoContext, version: string, host: GoHost): Promise<DownloadedModule> {
  return await downloadModule(at, 'golang.org/toolchain', `v0.0.1-${version}.${host}`)
}

/**
 * The toolchain's own programs, run directly: `GOTOOLCHAIN=<version>` would run an installed Go of the same version
 * instead, which nobody has checked. Module zips carry no execute bits.
 */
export async function toolsOf(at: GoContext, toolchain: DownloadedModule): Promise<GoTools> {
  for (const folder of ['bin', join('pkg', 'tool')]) {
    for (const entry of await readdir(join(toolchain.Dir, folder), { recursive: true, withFileTypes: true })) {
      if (entry.isFile()) await chmod(join(entry.parentPath, entry.name), 0o755)
    }
  }
  return { program: join(toolchain.Dir, 'bin', 'go'), root: toolchain.Dir, modCache: modCacheOf(at.workDir) }
}
