/**
 * pipelines/rfo.yaml: the release's own program, the files of the tarball around it, and how upstream's scripts and units get
 * RFO's names. Text in, values out.
 */
import { validRange } from 'semver'
import { z } from 'zod'
import { RfoError } from '../error.ts'
import { changedBy, changesOf } from './changes.ts'
import { GoBuild } from './component.ts'
import type { FileText } from './pipelines.ts'
import { fittingVariant } from './variant.ts'
import type { Version } from './version.ts'
import { parseYaml } from './yaml.ts'

const Inside = z.string().regex(/^(?!\/)(?!.*(^|\/)\.{0,2}(\/|$))[\x21-\x7e]+$/, 'a relative path without `.`, `..` and empty parts')
const FileMode = z.enum(['0644', '0755'])
const Count = z.number().int().min(0).max(1000)

export const RenameRule = z.strictObject({
  text: z.string().min(1).describe('exactly this text'),
  with: z.string().describe('stands in its place'),
  count: z
    .union([Count, z.array(Count).min(2)])
    .describe('how often it occurs after the rules above; several numbers when upstream’s versions differ. Any other number is an error.'),
})
export type RenameRule = z.infer<typeof RenameRule>

export const BundleFile = z.strictObject({
  path: Inside.describe('in the tarball'),
  from: Inside.describe('below the source’s root'),
  mode: FileMode,
  replace: z.array(RenameRule).default([]).describe('in order'),
  keep: z.array(z.string().min(1)).default([]).describe('texts in which upstream’s name may remain: a URL, a licence'),
})
export type BundleFile = z.infer<typeof BundleFile>

/** A file of the program's own source. Upstream's text stands nowhere but in the rules. */
export const SourceEdit = z.strictObject({ path: Inside.describe('below the source’s root'), replace: z.array(RenameRule).min(1) })
export type SourceEdit = z.infer<typeof SourceEdit>

const Smoke = z
  .strictObject({ argv: z.array(z.string()).min(1), expect: z.string().min(1) })
  .describe('run as `build` makes it; the output must contain `expect`')

const BundleFields = z.strictObject({
  sourceOf: z.string().describe('component whose locked source holds the files and the program'),
  rename: z
    .strictObject({ from: z.string().min(1), to: z.string().regex(/^[a-z0-9][a-z0-9-]*$/) })
    .describe('upstream’s program name and ours; no file may say the first one, in either case'),
  program: z.strictObject({ path: Inside, mode: FileMode }).describe('what is compiled, or prebuilt in a source that holds programs'),
  build: GoBuild.describe('how the program is compiled; `{commit}`, `{registry}` and `{image:<component>}` are known in its ldflags'),
  sources: z.array(SourceEdit).default([]).describe('names in the source that no link-time constant sets, changed before the compile'),
  smoke: Smoke,
  files: z.array(BundleFile).min(1),
})

/** What is otherwise for some versions of RKE2: a build without `kind` changes members, all else replaces the file's own. */
const BundleVariant = z.strictObject({
  versions: z.string().refine((text) => validRange(text) !== null, 'a range of versions: `>=1.25.0 <1.26.0`'),
  build: z.union([changesOf(GoBuild), GoBuild]).optional(),
  sources: z.array(SourceEdit).optional(),
  smoke: Smoke.optional(),
})

export const BundleText = BundleFields.extend({
  when: z.array(BundleVariant).default([]).describe('what is otherwise for some versions of RKE2; at most one of them fits a version'),
})
export type BundleText = z.infer<typeof BundleText>

/** One version's bundle: its variants have been decided. */
export type Bundle = z.infer<typeof BundleFields>

/** Throws RFO_PLAN_YAML, and RFO_PLAN_BUNDLE for what does not fit together. `upstream` decides the variants. */
export function parseBundle({ text, file }: FileText, upstream: Version): Bundle {
  const bundle = bundleOf(parseYaml(BundleText, text, file), upstream, file)
  for (const { message, next } of bundleProblems(bundle))
    throw new RfoError('RFO_PLAN_BUNDLE', message, { exit: 'usage', where: file, next })
  return bundle
}

/** Throws RFO_PLAN_PIPELINE when two variants fit. */
export function bundleOf({ when, ...own }: BundleText, upstream: Version, file: string): Bundle {
  return replaced(own, fittingVariant(when, upstream, file))
}

/** Every way in which the file can be read, the first without its variants. */
export function bundlesOf({ when, ...own }: BundleText): readonly Bundle[] {
  return [own, ...when.map((variant) => replaced(own, variant))]
}

function replaced(own: Bundle, variant: BundleText['when'][number] | undefined): Bundle {
  const { build, sources, smoke } = own
  return {
    ...own,
    build: variant?.build === undefined ? build : GoBuild.parse(changedBy(build, variant.build)),
    sources: variant?.sources ?? sources,
    smoke: variant?.smoke ?? smoke,
  }
}

/** Of the file alone; `at` is the path of the setting. */
export function* bundleProblems(
  bundle: Bundle,
): Generator<{ readonly at: readonly PropertyKey[]; readonly message: string; readonly next: string }> {
  const paths = [bundle.program.path, ...bundle.files.map((each) => each.path)]
  const twice = paths.find((path, at) => paths.indexOf(path) !== at)
  if (twice !== undefined) yield { at: ['files'], message: `two files are put at ${twice}`, next: 'give each its own path' }
  const output = `/${bundle.program.path}`
  const [command, ...others] = bundle.build.commands
  if (command?.output !== output || others.length > 0)
    yield {
      at: ['build', 'commands'],
      message: `the build makes something else than ${output}`,
      next: `give it one command, with output: ${output}`,
    }
  if (bundle.smoke.argv[0] !== output)
    yield { at: ['smoke', 'argv'], message: `the smoke test runs something else than ${output}`, next: `begin argv with ${output}` }
}
