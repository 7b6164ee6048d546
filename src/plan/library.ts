/** pipelines/libraries/<name>.yaml: a C library that programs link statically. Text in, values out; no I/O here. */
import { z } from 'zod'
import { ArchiveSource, type Build } from './component.ts'
import { type LockedComponent, type LockedLibrary, prebuiltOf } from './lock.ts'

/** Where pkg-config and a compiler look for it: its own prefix, below a folder that only one build sees. */
const installed = /^(?!.*\/\.{1,2}\/)\/usr\/(include\/([\w.+-]+\/)*[\w.+-]+\.h|lib\/[\w.+-]+\.a|lib\/pkgconfig\/[\w.+-]+\.pc)$/
/** The archive's own, or what its Makefile made: no option, and not outside. */
const InSource = z.string().regex(/^(?!.*(^|\/)\.\.(\/|$))[\w.][\w./+-]*$/, 'a path inside the source')

/** GNU's way of building: https://www.gnu.org/prep/standards/html_node/Managing-Releases.html */
export const AutotoolsBuild = z.strictObject({
  kind: z.literal('autotools'),
  configure: z
    .array(z.string().regex(/^--[a-z]/, 'an option of configure'))
    .default([])
    .describe('besides --host, --prefix and static alone'),
  folder: InSource.default('.').describe('where make runs'),
  targets: z.array(z.string().regex(/^[\w.][\w./+-]*$/, 'a target of make')).default([]),
  files: z
    .array(
      z.strictObject({
        from: InSource.describe('path below the source’s root, after make'),
        path: z.string().regex(installed, 'a header, an archive (.a) or a pkg-config file below /usr'),
      }),
    )
    .min(1),
})
export type AutotoolsBuild = z.infer<typeof AutotoolsBuild>

export const Library = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]*$/),
  version: z.string().min(1),
  source: ArchiveSource,
  build: AutotoolsBuild,
  license: z.string().min(1).describe('SPDX expression: whatever links it carries it'),
  tools: z
    .array(z.string().regex(/^[a-z][\w.+-]*$/))
    .default([])
    .describe('programs that its build calls besides make and the compiler'),
})
export type Library = z.infer<typeof Library>

/** One library of a release: what its file says, and what the lock knows of it. */
export interface LibraryPlan extends Library {
  /** undefined = the lock knows nothing of it yet */
  readonly locked?: LockedLibrary
}

/** Names of those that an image's own compile links; what lies there compiled links none here. */
export function librariesOf({ build, locked }: { readonly build?: Build; readonly locked?: LockedComponent }): readonly string[] {
  return build?.kind === 'go' && prebuiltOf(locked?.pin) === undefined ? (build.libraries ?? []) : []
}
