/** Compiles C files to static programs: nothing of the user's own settings, the same bytes in every folder. */
import { join } from 'node:path'
import { platformOf } from '../oci/platform.ts'
import type { Build } from '../plan/component.ts'
import { compilerFor } from './c-compiler.ts'
import { compileStep } from './compile-step.ts'
import { checkElf } from './elf.ts'
import { type CompileHow, inFreshFolder, type MadePrograms, type Program } from './programs.ts'

export type CBuild = Extract<Build, { kind: 'c' }>

/** The rules of this file, for task keys: change it when the same request would give other bytes. */
export const cBuilder = 'c@1'

export interface CompileCRequest extends CompileHow {
  readonly source: { readonly dir: string }
  /** templates filled */
  readonly build: CBuild
  /** seconds; what __DATE__ and __TIME__ say */
  readonly epoch: number
}

/** One file a command, in a fresh folder below workDir. RFO_BUILD_TOOL without a compiler for the architecture. */
export async function compileC(request: CompileCRequest): Promise<MadePrograms> {
  const { source, build, platform, workDir } = request
  const { architecture } = platformOf(platform)
  const compiler = await compilerFor(architecture, request)
  return await inFreshFolder(workDir, async (dir) => {
    const programs: Program[] = []
    for (const [index, { sources, output }] of build.commands.entries()) {
      const file = join(dir, String(index))
      await compileStep([compiler.program, ...build.cflags, ...fixedFlags(source.dir), '-o', file, ...sources], {
        what: `${compiler.program} ${sources.join(' ')} for ${platform}`,
        env: cEnv(request),
        // sources are named from here, so that __FILE__ says no folder of this machine
        cwd: source.dir,
        ...(request.signal === undefined ? {} : { signal: request.signal }),
        ...(request.line === undefined ? {} : { line: request.line }),
      })
      await checkElf(file, architecture)
      programs.push({ path: output, file })
    }
    return { programs, compiler: compiler.facts }
  })
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
    PATH: env.PATH ?? '',
    ...(env.TMPDIR === undefined ? {} : { TMPDIR: env.TMPDIR }),
    LC_ALL: 'C',
    SOURCE_DATE_EPOCH: String(epoch),
  }
}
