/** plan.json as a schema: for scripts that read it, and for a plan that comes back out of a release. */
import { z } from 'zod'
import { SourceEdit } from './bundle.ts'
import { archiveKinds, Build, GoBuild, ImageFile, KnownFailure, Source } from './component.ts'
import { ReleaseGate } from './gate.ts'
import { Library } from './library.ts'
import {
  DigestText,
  LockedAdvisories,
  LockedBase,
  LockedChart,
  LockedComponent,
  LockedLibrary,
  LockedPackages,
  PlatformKey,
} from './lock.ts'

const PlatformPlan = z.discriminatedUnion('status', [
  z.strictObject({ status: z.literal('made') }),
  z.strictObject({ status: z.literal('unsupported'), reason: z.string() }),
])

const BesideFile = z.strictObject({
  file: z.string().describe('below the project'),
  digest: DigestText,
  text: z.string().describe('its whole content'),
})

const ImagePlanSchema = z.strictObject({
  component: z.string(),
  action: z.enum(['rebuild', 'mirror']),
  groups: z.array(z.string()).describe('groups that hold it, sorted'),
  upstream: z.string().optional().describe('as RKE2’s list names it; absent = an image of RFO’s own'),
  reference: z.string().describe('as RFO names it'),
  version: z.string().describe('upstream version: the tag without `-build<date>`'),
  platforms: z.partialRecord(PlatformKey, PlatformPlan),
  source: Source.optional(),
  upstreamKey: z.string().optional(),
  changes: z.strictObject({ patches: z.array(BesideFile).optional(), overrides: BesideFile.optional() }).optional(),
  build: Build.optional(),
  config: z.strictObject({
    entrypoint: z.array(z.string()).optional(),
    cmd: z.array(z.string()).optional(),
    user: z.string().optional(),
    workdir: z.string().optional(),
    env: z.record(z.string(), z.string()).optional(),
    labels: z.record(z.string(), z.string()).optional(),
  }),
  packages: z.array(z.string()),
  files: z.array(ImageFile).optional(),
  base: z.literal('scratch').optional(),
  charts: z.literal(true).optional(),
  layers: z.enum(['zstd', 'gzip']),
  deviates: z.strictObject({ from: z.string(), reason: z.string() }).optional(),
  smoke: z.strictObject({ argv: z.array(z.string()), expect: z.string() }).optional(),
  program: z
    .strictObject({
      name: z.string(),
      build: GoBuild,
      sources: z.array(SourceEdit).optional(),
      smoke: z.strictObject({ argv: z.array(z.string()), expect: z.string() }),
    })
    .optional()
    .describe('the release’s own program, made of the same source'),
  recipe: LockedComponent.shape.recipe,
  locked: LockedComponent.optional(),
})

export const ReleasePlanSchema = z.strictObject({
  schema: z.literal('rfo-build.plan/1'),
  version: z.string(),
  upstream: z.strictObject({ version: z.string(), commit: z.string() }),
  epoch: z.int().describe('seconds since 1970: every time stamp in every output, but for those in images'),
  vendor: z.string(),
  url: z.string(),
  platforms: z.array(PlatformKey),
  archives: z.array(z.enum(archiveKinds)).optional(),
  gate: ReleaseGate.optional(),
  advisories: LockedAdvisories.optional(),
  demands: z
    .strictObject({
      conformance: z.array(PlatformKey),
      checks: z.array(PlatformKey).optional(),
      cis: z.array(PlatformKey).optional(),
      knownFailures: z.array(KnownFailure).optional(),
    })
    .optional(),
  bases: z.partialRecord(
    PlatformKey,
    z.strictObject({
      name: z.string(),
      reference: z.string(),
      reason: z.string().optional(),
      repositories: z.array(z.strictObject({ name: z.string(), url: z.string() })).optional(),
      locked: LockedBase.optional(),
    }),
  ),
  packages: z.partialRecord(PlatformKey, LockedPackages).optional().describe('OS packages as locked'),
  images: z.array(ImagePlanSchema),
  charts: z.array(
    z.strictObject({
      name: z.string(),
      version: z.string(),
      url: z.string(),
      bootstrap: z.boolean().optional(),
      locked: LockedChart.optional(),
    }),
  ),
  libraries: z
    .array(Library.extend({ locked: LockedLibrary.optional() }))
    .optional()
    .describe('C libraries that programs link'),
  unresolved: z.array(z.strictObject({ what: z.string(), reason: z.string() })).describe('empty = the release can be made'),
})
