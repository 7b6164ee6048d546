/** Runs one program of an image, without a daemon or root: natively for this machine's architecture, under qemu-user for others. */
import { randomUUID } from 'node:crypto'
import { chmod, copyFile, mkdir, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { readBytes } from '../content/read.ts'
import type { ContentReader } from '../content/store.ts'
import { RfoError } from '../error.ts'
import { exec } from '../exec.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { parseImageConfig, parseManifest } from '../oci/manifest.ts'
import { type Architecture, architectures, type PlatformName, platformOf } from '../oci/platform.ts'
import { takeOut } from './take-out.ts'

export interface SmokeRequest {
  /** platform manifest */
  readonly image: Descriptor
  readonly platform: PlatformName
  /** argv[0] is an absolute path in the image */
  readonly argv: readonly string[]
  /** the output (stdout and stderr) must contain it */
  readonly expect: string
  /** of this machine */
  readonly host: Architecture
  readonly env: Readonly<Record<string, string>>
  readonly workDir: string
  readonly signal?: AbortSignal
}

/** Gives the output. RFO_BUILD_SMOKE when it lacks `expect`, RFO_BUILD_TOOL without qemu for the architecture. */
export async function smoke(request: SmokeRequest, store: ContentReader): Promise<string> {
  const { argv, workDir } = request
  const dir = join(workDir, 'smoke', randomUUID())
  await mkdir(dir, { recursive: true })
  try {
    const [path, ...args] = argv
    // some programs say or do what they are called
    const file = join(dir, basename(path ?? ''))
    if (path === undefined || (await takeOut(request.image, new Map([[path, file]]), store, request.signal)).length > 0)
      throw failed(request, `the image has no file ${path ?? ''}`)
    return await smokeProgram({ ...request, imageEnv: await environmentOf(request.image, store) }, file, args)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

/** The same for a program that no image holds; it runs by the name that argv[0] gives it. */
export async function smokeFile(request: ProgramRequest, program: string): Promise<string> {
  const [path = '', ...args] = request.argv
  const dir = join(request.workDir, 'smoke', randomUUID())
  await mkdir(dir, { recursive: true })
  try {
    const file = join(dir, basename(path))
    await copyFile(program, file)
    await chmod(file, 0o755)
    return await smokeProgram(request, file, args)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

export interface ProgramRequest extends Omit<SmokeRequest, 'image'> {
  /** what the image's configuration sets */
  readonly imageEnv?: Readonly<Record<string, string>>
}

/** The same for a program on disk. */
export async function smokeProgram(request: ProgramRequest, file: string, args: readonly string[]): Promise<string> {
  const { architecture } = platformOf(request.platform)
  const emulators = emulatorsOf(architecture)
  for (const emulator of architecture === request.host ? [undefined] : emulators) {
    const lines: string[] = []
    const argv: [string, ...string[]] = emulator === undefined ? [file, ...args] : [emulator, file, ...args]
    try {
      await exec(argv, {
        // the image's own environment, and our PATH for the emulator
        env: { HOME: '/', ...request.imageEnv, PATH: request.env.PATH ?? '' },
        cwd: dirname(file),
        line: (line) => lines.push(line),
        ...(request.signal === undefined ? {} : { signal: request.signal }),
      })
    } catch (thrown) {
      if (!(thrown instanceof RfoError)) throw thrown
      if (thrown.code === 'RFO_EXEC_ABSENT' && emulator !== undefined) continue
      // a program may print its version and end with an error (CNI plugins do); the output decides
      if (thrown.code !== 'RFO_EXEC_FAILED') throw thrown
    }
    const output = lines.join('\n')
    if (!output.includes(request.expect)) throw failed(request, `the output lacks ${JSON.stringify(request.expect)}`, lines)
    return output
  }
  throw new RfoError('RFO_BUILD_TOOL', `a program for ${architecture} needs ${emulators[0]} here, and it is not on the PATH`, {
    exit: 'machine',
    next: 'install qemu-user-static',
  })
}

/** Names of the program that runs another architecture's programs, the better one first. */
export function emulatorsOf(architecture: Architecture): readonly [string, string] {
  const name = `qemu-${architectures[architecture].qemu}`
  return [`${name}-static`, name]
}

function failed(
  request: { readonly argv: readonly string[]; readonly platform: PlatformName },
  why: string,
  details: readonly string[] = [],
): RfoError {
  return new RfoError('RFO_BUILD_SMOKE', `${request.argv.join(' ')}: ${why}`, {
    exit: 'build',
    where: request.platform,
    details: details.slice(-20),
  })
}

async function environmentOf(image: Descriptor, store: ContentReader): Promise<Record<string, string>> {
  const { config } = parseManifest(await readBytes(store, image))
  const pairs = parseImageConfig(await readBytes(store, config)).config?.Env ?? []
  return Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]))
}
