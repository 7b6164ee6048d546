/** Programs that lie compiled in the source: the same result as a compile, the same check of what they are. */
import { lstat, realpath } from 'node:fs/promises'
import { join, sep } from 'node:path'
import { RfoError } from '../error.ts'
import { type PlatformName, platformOf } from '../oci/platform.ts'
import { checkElf } from './elf.ts'
import type { Program } from './programs.ts'

export interface PrebuiltRequest {
  readonly source: { readonly dir: string }
  /** folder template, `bin/{architecture}`; the image's paths lie below it */
  readonly prebuilt: string
  readonly outputs: readonly string[]
  readonly platform: PlatformName
}

/** RFO_BUILD_PREBUILT when one is absent, no plain file, or outside the source; RFO_BUILD_ELF when it is for another machine. */
export async function prebuiltPrograms(request: PrebuiltRequest): Promise<Program[]> {
  const { architecture } = platformOf(request.platform)
  const folder = request.prebuilt.replaceAll('{architecture}', architecture)
  const root = await realpath(request.source.dir)
  const programs: Program[] = []
  for (const path of request.outputs) {
    const inside = `${folder}${path}`
    const refuse = (why: string): RfoError =>
      new RfoError('RFO_BUILD_PREBUILT', `the source's ${inside} ${why}`, { exit: 'build', where: request.platform })
    if (!path.startsWith('/') || inside.startsWith('/') || inside.split('/').includes('..') || inside.includes('\0'))
      throw refuse('leaves the source')
    const file = join(root, inside)
    const found = await lstat(file).catch(() => undefined)
    if (found === undefined) throw refuse('is not there')
    if (!found.isFile()) throw refuse('is no plain file')
    if (!(await realpath(file)).startsWith(`${root}${sep}`)) throw refuse('leaves the source')
    await checkElf(file, architecture)
    programs.push({ path, file })
  }
  return programs
}
