/** Compiles C files to static programs: nothing of the user's own settings, the same bytes in every folder. */
import { randomUUID } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type PlatformName, platformOf } from '../oci/platform.ts'
import type { Build } from '../plan/component.ts'
import { compilerFor } from './c-compiler.ts'
import { compileStep } from './compile-step.ts'
import { checkElf } from './elf.ts'
import type { Compiled, Program } from './go.ts'

export type CBuild = Extract<Build, { kind: 'c' }>

/** The rules of this file, for task keys: change it when the same request would give other bytes. */
export const cBuilder = 'c@1'

export interface CompileCRequest {
  readonly source: { readonly dir: string }
  /** templates filled */
  readonly build: CBuild
  readonly platform: PlatformName
  /** seconds; what __DATE__ and __TIME__ say */
  readonly epoch: number
  readonly env: Readonly<Record<string, string>>
  readonly workDir: string
  readonly signal?: AbortSignal
  readonly line?: (text: string) => void
}

/** One file a command, in a fresh folder below workDir. RFO_BUILD_TOOL without a compiler for the architecture. */
export async function compileC(request: CompileCRequest): Promise<Compiled> {
  const { source, build, platform, workDir } = request
  const { architecture } = platformOf(platform)
  const compiler = await compilerFor(architecture, request)
  const out = join(workDir, 'programs', randomUUID())
  await mkdir(out, { recursive: true })
  const programs: Program[] = []
  try {
    for (const [index, { sources, output }] of build.commands.entries()) {
      const file = join(out, String(index))
      const said = `${compiler.program} ${sources.join(' ')} for ${platform}`
      await compileStep([compiler.program, ...build.cflags, ...fixedFlags(source.dir), '-o', file, ...sources], {
        what: said,
        env: cEnv(request),
        // sources are named from here, so that __FILE__ says no folder of this machine
        cwd: source.dir,
        ...(request.signal === undefined ? {} : { signal: request.signal }),
        ...(request.line === undefined ? {} : { line: request.line }),
      })
      await checkElf(file, architecture)
      programs.push({ path: output, file })
    }
    return { programs, dir: out, compiler: compiler.facts }
  } catch (thrown) {
    await rm(out, { recursive: true, force: true })
    throw thrown
  }
}

/** After the pipeline's own, so that they hold whatever it says. https://reproducible-builds.org/docs/build-path/ */
function fixedFlags(dir: string): string[] {
  return [
    '-static',
    '-s',
    `-ffile-prefix-map=${dir}=.`,
    '-Wl,--build-id=none',
    // one line a complaint
    '-fno-diagnostics-show-caret',
  ]
}

/** Whole: CPATH, LIBRARY_PATH, GCC_EXEC_PREFIX and the like would add what no pin names. */
function cEnv({ env, epoch }: CompileCRequest): Record<string, string> {
  return {
    PATH: env['PATH'] ?? '',
    ...(env['TMPDIR'] === undefined ? {} : { TMPDIR: env['TMPDIR'] }),
    LC_ALL: 'C',
    SOURCE_DATE_EPOCH: String(epoch),
  }
}
