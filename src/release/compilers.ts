/**
 * The C compilers, and the programs that C libraries' builds call, of this machine that a plan is made with. No pin names them and the bytes depend on them, so
 * they take part in the keys of the tasks and stand in the provenance.
 */
import { type CompilerFacts, compilerFor, versionOf } from '../build/c-compiler.ts'
import { RfoError } from '../error.ts'
import { type Architecture, type PlatformName, platformOf } from '../oci/platform.ts'
import { linkedLibraries, needsCCompiler } from '../plan/component.ts'
import type { ImagePlan, ReleasePlan } from '../plan/release-plan.ts'
import type { ReleasePorts } from './ports.ts'
import { isCompiled, isProgramCompiled } from './preflight.ts'

/** Only architectures that need one and have one: a compile without says so. */
export type CCompilers = ReadonlyMap<Architecture, CompilerFacts>

/** What of this machine takes part in a plan's programs besides what is pinned. */
export interface BuildTools {
  readonly compilers: CCompilers
  /** program that a C library's build calls, `gperf` → what it says of its version; those that are here */
  readonly versions: ReadonlyMap<string, string>
}

export async function buildTools(plan: ReleasePlan, where: Pick<ReleasePorts, 'env' | 'signal'>): Promise<BuildTools> {
  const linked = new Set(plan.platforms.flatMap((platform) => plan.images.flatMap((image) => librariesIn(image, platform))))
  const tools = new Set((plan.libraries ?? []).flatMap((library) => (linked.has(library.name) ? library.tools : [])))
  const versions = await Promise.all([...tools].map(async (tool) => [tool, await versionOf(tool, where)] as const))
  return {
    compilers: await cCompilers(plan, where),
    versions: new Map(versions.flatMap(([tool, version]) => (version === undefined ? [] : [[tool, version]]))),
  }
}

/** Names of the C libraries that are linked here into the image's programs. */
export function librariesIn(image: ImagePlan, platform: PlatformName): readonly string[] {
  const { architecture } = platformOf(platform)
  return compiledInC(image, architecture) ? linkedLibraries(image.build, architecture) : []
}

/** The key and the provenance name the compiler that was found first; an upgrade in between would make a lie of both. */
export function refuseOtherCompiler(planned: CompilerFacts | undefined, used: CompilerFacts | undefined, platform: PlatformName): void {
  if (planned?.version === used?.version && planned?.libc === used?.libc) return
  throw new RfoError('RFO_RELEASE_COMPILER', `the C compiler changed during the run: ${planned?.version} became ${used?.version}`, {
    exit: 'machine',
    where: platform,
    next: 'run the same command again',
  })
}

/** Each is asked once, and none that nothing needs. */
export async function cCompilers(plan: ReleasePlan, { env, signal }: Pick<ReleasePorts, 'env' | 'signal'>): Promise<CCompilers> {
  const needed = plan.platforms
    .map((platform) => platformOf(platform).architecture)
    .filter((architecture) => plan.images.some((image) => compiledInC(image, architecture) || programInC(image, architecture)))
  const found = await Promise.all(needed.map(async (each) => [each, await factsFor(each)] as const))
  return new Map(found.flatMap(([architecture, facts]) => (facts === undefined ? [] : [[architecture, facts]])))

  async function factsFor(architecture: Architecture): Promise<CompilerFacts | undefined> {
    try {
      return (await compilerFor(architecture, { env, signal })).facts
    } catch (thrown) {
      if (thrown instanceof RfoError && thrown.code === 'RFO_BUILD_TOOL') return undefined
      throw thrown
    }
  }
}

/** Whether a C compiler of this machine makes the image's programs, or a part of them. */
export function compiledInC(image: ImagePlan, architecture: Architecture): boolean {
  return isCompiled(image) && image.platforms[`linux/${architecture}`]?.status === 'made' && needsCCompiler(image.build, architecture)
}

/** The same of the program that shares the image's source. */
export function programInC(image: ImagePlan, architecture: Architecture): boolean {
  return (
    isProgramCompiled(image) &&
    image.platforms[`linux/${architecture}`]?.status === 'made' &&
    needsCCompiler(image.program?.build, architecture)
  )
}
