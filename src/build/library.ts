/** Compiles a C library to what a linker takes whole: headers, static archives, pkg-config files. The same bytes in every folder. */
import { lutimes, readdir, readFile, realpath, stat } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { RfoError } from '../error.ts'
import { architectures, platformOf } from '../oci/platform.ts'
import type { AutotoolsBuild } from '../plan/library.ts'
import { type CompilerFacts, compilerFor } from './c-compiler.ts'
import { compileStep } from './compile-step.ts'
import type { CompileHow } from './programs.ts'

/** The rules of this file, for task keys: change it when the same request would give other bytes. */
export const libraryBuilder = 'library@1'

export interface CompileLibraryRequest extends CompileHow {
  readonly name: string
  /** fresh: it is built in there */
  readonly source: { readonly dir: string }
  readonly build: AutotoolsBuild
  /** seconds */
  readonly epoch: number
}

export interface MadeLibrary {
  /** `path`: where it belongs below /usr */
  readonly files: readonly { readonly path: string; readonly bytes: Uint8Array }[]
  readonly compiler: CompilerFacts
}

/** RFO_BUILD_TOOL without a compiler for the platform, RFO_BUILD_COMPILE, RFO_BUILD_LIBRARY for a file that was not made. */
export async function compileLibrary(request: CompileLibraryRequest): Promise<MadeLibrary> {
  const { build, platform, epoch } = request
  // make asks the file system, which names the folder without symbolic links
  const dir = await realpath(request.source.dir)
  const { architecture } = platformOf(platform)
  const compiler = await compilerFor(architecture, request)
  await oneTime(dir, epoch)
  const env = libraryEnv(request, compiler.program)
  const step = async (argv: [string, ...string[]], cwd: string): Promise<void> =>
    await compileStep(argv, {
      what: `${argv[0]} of ${request.name} for ${platform}`,
      env,
      cwd,
      ...(request.signal === undefined ? {} : { signal: request.signal }),
      ...(request.line === undefined ? {} : { line: request.line }),
    })
  const host = `--host=${architectures[architecture].rpm}-linux-gnu`
  await step(['./configure', host, '--prefix=/usr', '--enable-static', '--disable-shared', ...build.configure], dir)
  await step(['make', ...build.targets], join(dir, build.folder))
  const files = await Promise.all(
    build.files.map(async ({ from, path }) => {
      const bytes = await madeFile(dir, from)
      return { path, bytes: path.endsWith('.pc') ? movable(bytes, from) : bytes }
    }),
  )
  return { files, compiler: compiler.facts }
}

/**
 * Unpacking gives each file the time at which it was written, and make then finds configure older than what it is made of.
 * All of one time: nothing is older. https://www.gnu.org/software/automake/manual/html_node/CVS.html
 */
async function oneTime(dir: string, epoch: number): Promise<void> {
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true }))
    await lutimes(join(entry.parentPath, entry.name), epoch, epoch)
}

/** Whole: CPPFLAGS, LDFLAGS, CONFIG_SITE, MAKEFLAGS and the like would add what no pin names. */
function libraryEnv({ env, epoch }: CompileLibraryRequest, compiler: string): Record<string, string> {
  return {
    PATH: env['PATH'] ?? '',
    ...(env['TMPDIR'] === undefined ? {} : { TMPDIR: env['TMPDIR'] }),
    LC_ALL: 'C',
    CC: compiler,
    // no -g: debug information would name the folder. Sources are named from within it, so __FILE__ does not; a prefix map of
    // it would not survive a blank in its path
    CFLAGS: '-O2',
    // D: no time, no owner in the archive, which not every ar leaves out unasked. libtool reads the one, automake the other
    AR_FLAGS: 'crD',
    ARFLAGS: 'crD',
    CONFIG_SITE: '/dev/null',
    // none of this machine's libraries
    PKG_CONFIG_LIBDIR: '/dev/null',
    SOURCE_DATE_EPOCH: String(epoch),
  }
}

/** bytes; a library larger than this was not made for one program */
const maxFileBytes = 256 * 2 ** 20

async function madeFile(dir: string, from: string): Promise<Buffer> {
  const file = await realpath(join(dir, from)).catch(() => '')
  const size = file.startsWith(`${dir}${sep}`) ? await stat(file) : undefined
  if (size?.isFile() === true && size.size <= maxFileBytes) return await readFile(file)
  throw new RfoError('RFO_BUILD_LIBRARY', `the build left no file ${from}`, {
    exit: 'build',
    next: 'compare build.files with what make made: the task’s log says it',
  })
}

/**
 * A pkg-config file that finds the library from where it lies itself, /usr/lib/pkgconfig below any folder. A sysroot would do
 * the same, but pkgconf 1.8 puts it before a path twice. https://people.freedesktop.org/~dbn/pkg-config-guide.html
 */
function movable(bytes: Buffer, from: string): Buffer {
  const itself = `prefix=\${pcfiledir}/../..`
  const text = bytes.toString('utf8').replace(/^prefix=\/usr$/m, () => itself)
  const fixed = /^\w+=\/.*$/m.exec(text)
  if (fixed === null && text.includes(itself)) return Buffer.from(text)
  throw new RfoError('RFO_BUILD_LIBRARY', `${from} names a folder of the machine: ${fixed?.[0] ?? 'not by prefix=/usr'}`, {
    exit: 'build',
    next: 'leave the folders below --prefix as configure has them',
  })
}
