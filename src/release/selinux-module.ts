/** The policy module of a release: as the project holds it, or compiled of the source that it holds. */
import { compilePolicy } from '../rpm/selinux-policy.ts'
import type { CompiledModule, ReleasePorts, SelinuxModule } from './ports.ts'

export async function compiledModule(given: SelinuxModule, { env, signal, workDir }: ReleasePorts): Promise<CompiledModule> {
  if ('bytes' in given) return given
  return { module: given.module, bytes: await compilePolicy(given, { workDir, env, signal }) }
}
