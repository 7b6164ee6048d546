/** pipelines/rfo.yaml: the files of the release tarball, and how upstream's scripts and units get RFO's names. Text in, values out. */
import { z } from 'zod'
import { RfoError } from '../error.ts'
import type { FileText } from './pipelines.ts'
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

export const Bundle = z.strictObject({
  sourceOf: z.string().describe('component whose locked source holds the files'),
  rename: z
    .strictObject({ from: z.string().min(1), to: z.string().min(1) })
    .describe('upstream’s program name and ours; no file may say the first one, in either case'),
  program: z.strictObject({ path: Inside, mode: FileMode }).describe('what is compiled, or prebuilt in a source that holds programs'),
  files: z.array(BundleFile).min(1),
})
export type Bundle = z.infer<typeof Bundle>

/** Throws RFO_PLAN_YAML, and RFO_PLAN_BUNDLE for two files of one path. */
export function parseBundle({ text, file }: FileText): Bundle {
  const bundle = parseYaml(Bundle, text, file)
  const paths = [bundle.program.path, ...bundle.files.map((each) => each.path)]
  const twice = paths.find((path, at) => paths.indexOf(path) !== at)
  if (twice !== undefined) {
    throw new RfoError('RFO_PLAN_BUNDLE', `two files are put at ${twice}`, { exit: 'usage', where: file, next: 'give each its own path' })
  }
  return bundle
}
