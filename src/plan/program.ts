/**
 * The release's own program: RKE2's main program, compiled with the constants that make it RFO's. Its images stand in its
 * ldflags, so that what it pulls is what the release ships; a changed tag is another program.
 */
import { RfoError } from '../error.ts'
import type { Bundle } from './bundle.ts'
import { carriedRelease, type GoBuild, type ReleaseFile } from './component.ts'
import { parseImageName } from './reference.ts'
import type { ImagePlan, ProgramPlan } from './release-plan.ts'
import { spell, spellTag, type Version } from './version.ts'

export const bundleFile = 'pipelines/rfo.yaml'

export interface ProgramContext {
  readonly release: Pick<ReleaseFile, 'registry'>
  /** of the whole release, without the program */
  readonly images: readonly ImagePlan[]
  readonly version: Version
  readonly upstream: Version
}

const names = ['rfo', 'rfoTag', 'upstream', 'registry', 'commit', 'image'] as const

/** The images with the program beside the one whose source it is made of. Throws RFO_PLAN_BUNDLE and RFO_PLAN_TEMPLATE. */
export function withProgram(bundle: Bundle | undefined, context: ProgramContext): ImagePlan[] {
  if (bundle === undefined) {
    const carrier = context.images.find(({ build }) => carriedRelease(build) !== undefined)
    if (carrier === undefined) return [...context.images]
    throw complaint('RFO_PLAN_BUNDLE', `nothing says how the program is made that ${carrier.component} carries`, 'write that file')
  }
  const image = context.images.find((each) => each.component === bundle.sourceOf)
  // releases of a few images have none to install; whoever makes the tarball says so
  if (image === undefined) return [...context.images]
  const program = programPlan(bundle, image, context)
  return context.images.map((each) => (each === image ? { ...each, program } : each))
}

function programPlan(bundle: Bundle, image: ImagePlan, context: ProgramContext): ProgramPlan {
  const { source } = image
  if (source?.kind !== 'git') {
    throw complaint('RFO_PLAN_BUNDLE', `${image.component} has no git source`, 'name a component whose source is RKE2’s repository')
  }
  if (image.build?.kind === 'go') {
    throw complaint('RFO_PLAN_BUNDLE', `${image.component} is compiled itself`, 'name a component that only shares the source')
  }
  const pin = image.locked?.pin
  const put = (template: string): string => fillProgram(template, context, pin?.kind === 'git' ? pin.commit : undefined)
  const { argv, expect } = bundle.smoke
  return {
    name: bundle.rename.to,
    build: { ...bundle.build, ldflags: bundle.build.ldflags.map(put) },
    ...(bundle.sources.length === 0 ? {} : { sources: bundle.sources }),
    smoke: { argv, expect: put(expect) },
  }
}

/** What stands in braces, and its argument after a colon. */
const placeholder = /\{([A-Za-z]*)(?::([^{}]*))?\}/g

/** Without a commit its placeholder stays: what is not locked yet can be planned. */
function fillProgram(template: string, context: ProgramContext, commit: string | undefined): string {
  return template.replaceAll(placeholder, (whole, name: string, argument: string | undefined) => {
    switch (knownName(name, argument)) {
      case 'rfo':
        return spell(context.version)
      case 'rfoTag':
        return spellTag(context.version)
      case 'upstream':
        return spell(context.upstream)
      case 'registry':
        return context.release.registry
      case 'commit':
        return commit ?? whole
      case 'image':
        return imageName(argument ?? '', context)
      case undefined:
        throw unknownPlaceholder(whole)
    }
  })
}

/** A placeholder that nothing fills, whatever release it is for; `at` is the path of the setting. */
export function* placeholderProblems({
  build,
  smoke,
}: Bundle): Generator<{ readonly at: readonly PropertyKey[]; readonly error: RfoError }> {
  const texts = [
    ...build.ldflags.map((text, index) => ({ text, at: ['build', 'ldflags', index] })),
    { text: smoke.expect, at: ['smoke', 'expect'] },
  ]
  for (const { text, at } of texts) {
    for (const [whole, name = '', argument] of text.matchAll(placeholder)) {
      if (knownName(name, argument) === undefined) yield { at, error: unknownPlaceholder(whole) }
    }
  }
}

function knownName(name: string, argument: string | undefined): (typeof names)[number] | undefined {
  return names.find((each) => each === name && (each === 'image') === (argument !== undefined))
}

function unknownPlaceholder(whole: string): RfoError {
  const spelt = names.map((each) => (each === 'image' ? '{image:<component>}' : `{${each}}`))
  return complaint('RFO_PLAN_TEMPLATE', `no such placeholder: ${whole}`, `use one of ${spelt.join(' ')}`)
}

/** As the program names it: without the registry, which it knows once for all of them. */
function imageName(component: string, { images, release }: ProgramContext): string {
  const image = images.find((each) => each.component === component)
  if (image === undefined) throw complaint('RFO_PLAN_BUNDLE', `no image ${component} in this release`, 'name a component of the release')
  const { registry } = parseImageName(image.reference)
  if (registry !== release.registry) {
    throw complaint('RFO_PLAN_BUNDLE', `${image.reference} is not at ${release.registry}, where the program looks`, 'name another image')
  }
  return image.reference.slice(registry.length + 1)
}

/** Whether something of the build waits for the lock. */
export function awaitsCommit(build: GoBuild): boolean {
  return build.ldflags.some((flag) => flag.includes('{commit}'))
}

function complaint(code: RfoError['code'], message: string, next: string): RfoError {
  return new RfoError(code, message, { exit: 'usage', where: bundleFile, next })
}
