/**
 * The C compilers of this machine that a plan's programs are made with. No pin names them and the bytes depend on them, so
 * they take part in the keys of the tasks and stand in the provenance.
 */
import { compilerFor } from '../build/c-compiler.ts'
import { RfoError } from '../error.ts'
import { type Architecture, platformOf } from '../oci/platform.ts'
import { needsCCompiler } from '../plan/component.ts'
import type { ImagePlan, ReleasePlan } from '../plan/release-plan.ts'
import type { ReleasePorts } from './ports.ts'
import { isCompiled } from './preflight.ts'

/** Architecture → the first line of its compiler's `--version`; empty when there is none: then the compile says so. */
export type CCompilers = ReadonlyMap<Architecture, string>

/** Each is asked once, and none that nothing needs. */
export async function cCompilers(plan: ReleasePlan, { env, signal }: Pick<ReleasePorts, 'env' | 'signal'>): Promise<CCompilers> {
  const needed = plan.platforms
    .map((platform) => platformOf(platform).architecture)
    .filter((architecture) => plan.images.some((image) => compiledInC(image, architecture)))
  return new Map(await Promise.all(needed.map(async (each) => [each, await versionFor(each)] as const)))

  async function versionFor(architecture: Architecture): Promise<string> {
    try {
      return (await compilerFor(architecture, { env, signal })).version
    } catch (thrown) {
      if (thrown instanceof RfoError && thrown.code === 'RFO_BUILD_TOOL') return ''
      throw thrown
    }
  }
}

/** Whether a C compiler of this machine makes the image's programs, or a part of them. */
export function compiledInC(image: ImagePlan, architecture: Architecture): boolean {
  return isCompiled(image) && image.platforms[`linux/${architecture}`]?.status === 'made' && needsCCompiler(image.build, architecture)
}
