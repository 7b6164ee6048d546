/** The C compiler that C and cgo need, found by what it says it makes. */
import { readFile } from 'node:fs/promises'
import { RfoError } from '../error.ts'
import { exec } from '../exec.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import { type Architecture, architectures } from '../oci/platform.ts'

/** What of a compiler decides the bytes of what it makes. */
export interface CompilerFacts {
  /** first line of `--version` */
  readonly version: string
  /** of the libc.a that it links, and so of a part of every program; absent when it has none: then it links nothing static */
  readonly libc?: Digest
}

export interface CCompiler {
  readonly program: string
  readonly facts: CompilerFacts
}

interface Where {
  readonly env: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/** RFO_BUILD_TOOL when none on the PATH makes programs for the architecture. The GNU name says it; a plain `gcc` must be asked. */
export async function compilerFor(architecture: Architecture, where: Where): Promise<CCompiler> {
  const { rpm } = architectures[architecture]
  for (const program of [`${rpm}-linux-gnu-gcc`, 'gcc']) {
    const machine = await ask(program, '-dumpmachine', where)
    // Debian says x86_64-linux-gnu, openEuler x86_64-openEuler-linux
    if (machine?.startsWith(`${rpm}-`)) return { program, facts: await factsOf(program, where) }
  }
  throw new RfoError('RFO_BUILD_TOOL', `${architecture} needs a C compiler that makes programs for it, and there is none on the PATH`, {
    exit: 'machine',
    next: `install gcc, or ${rpm}-linux-gnu-gcc on another architecture, with the static libc`,
  })
}

async function factsOf(program: string, where: Where): Promise<CompilerFacts> {
  const version = (await versionOf(program, where)) ?? program
  // a file that it does not find it gives back as it was asked for
  const file = await ask(program, '-print-file-name=libc.a', where)
  const bytes = file?.startsWith('/') ? await readFile(file).catch(() => undefined) : undefined
  return { version, ...(bytes === undefined ? {} : { libc: digestOf(bytes) }) }
}

/** The first line of `--version`; undefined when there is no such program. */
export async function versionOf(program: string, where: Where): Promise<string | undefined> {
  return await ask(program, '--version', where)
}

/** RFO_BUILD_TOOL when the libc has no start for a static PIE: glibc 2.36 has none on riscv64. */
export async function refuseWithoutStaticPie({ program }: CCompiler, architecture: Architecture, where: Where): Promise<void> {
  const file = await ask(program, '-print-file-name=rcrt1.o', where)
  if (file?.startsWith('/') === true) return
  throw new RfoError('RFO_BUILD_TOOL', `${program} links no static PIE: its libc has no rcrt1.o for ${architecture}`, {
    exit: 'machine',
    next: `leave ${architecture} out of build.pie: its programs are static then, at a fixed address`,
  })
}

/** The first line of what it says; undefined when there is no such program, or it does not know. */
async function ask(program: string, question: string, { env, signal }: Where): Promise<string | undefined> {
  try {
    const { stdout } = await exec([program, question], {
      env: { PATH: env.PATH ?? '', LC_ALL: 'C' },
      ...(signal === undefined ? {} : { signal }),
    })
    return stdout.toString('utf8').split('\n')[0]
  } catch (thrown) {
    if (thrown instanceof RfoError) return undefined
    throw thrown
  }
}

/**
 * Fixed flags: the user's own would change the bytes. C that writes the time of its compile into a program is refused: Go's cache
 * does not see SOURCE_DATE_EPOCH. https://gcc.gnu.org/onlinedocs/gcc/Warning-Options.html#index-Wdate-time
 */
export function cgoEnv(compiler: CCompiler): Record<string, string> {
  const cflags = '-O2 -Werror=date-time'
  return { CGO_ENABLED: '1', CC: compiler.program, CGO_CFLAGS: cflags, CGO_CPPFLAGS: '', CGO_CXXFLAGS: cflags, CGO_LDFLAGS: '-O2' }
}
