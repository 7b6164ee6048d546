/**
 * The C compilers of this machine that a plan's programs are made with. No pin names them and the bytes depend on them, so
 * they take part in the keys of the tasks and stand in the provenance.
 */
import { type CompilerFacts, compilerFor } from '../build/c-compiler.ts'
import { RfoError } from '../error.ts'
import { type Architecture, platformOf } from '../oci/platform.ts'
import { needsCCompiler } from '../plan/component.ts'
import type { ImagePlan, ReleasePlan } from '../plan/release-plan.ts'
import type { ReleasePorts } from './ports.ts'
import { isCompiled, isProgramCompiled } from './preflight.ts'

/** Only architectures that need one and have one: a compile without says so. */
export type CCompilers = ReadonlyMap<Architecture, CompilerFacts>

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
