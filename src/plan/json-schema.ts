/** The JSON schemas under docs/schema: for editors (pipelines, images.lock) and for scripts (plan.json). */
import { z } from 'zod'
import type { Json } from '../oci/json.ts'
import { BundleText } from './bundle.ts'
import { CisProfile } from './cis-profile.ts'
import { ComponentText, ReleaseFile, UpstreamRelease } from './component.ts'
import { Library } from './library.ts'
import { Lock } from './lock.ts'
import { Notice } from './notice.ts'
import { ReleasePlanSchema } from './plan-schema.ts'
import { TrackPolicy } from './policy.ts'
import { VerifyPolicy } from './verify-policy.ts'

const rooted = {
  'component.schema.json': { schema: ComponentText, title: 'pipelines/<component>.yaml: how one image of a release is made', io: 'input' },
  'library.schema.json': {
    schema: Library,
    title: 'pipelines/libraries/<name>.yaml: a C library that programs link statically',
    io: 'input',
  },
  'bundle.schema.json': {
    schema: BundleText,
    title: 'pipelines/rfo.yaml: the program, the files of the release tarball and their names',
    io: 'input',
  },
  'release.schema.json': { schema: ReleaseFile, title: 'pipelines/release.yaml: what holds for all components', io: 'input' },
  'upstream.schema.json': { schema: UpstreamRelease, title: 'pipelines/upstream/<tag>.yaml: what RKE2 ships at a tag', io: 'input' },
  'cis-profile.schema.json': { schema: CisProfile, title: 'conformance/cis.yaml: RFO’s profile of kube-bench', io: 'input' },
  'advisory.schema.json': {
    schema: Notice,
    title: 'pipelines/advisories/<id>.yaml: what RFO says itself of a vulnerability that a release mended',
    io: 'input',
  },
  'policy.schema.json': {
    schema: TrackPolicy,
    title: 'pipelines/track/policy.yaml: what is owed when RKE2 releases, and when',
    io: 'input',
  },
  'verify-policy.schema.json': { schema: VerifyPolicy, title: 'verify --policy: what is demanded of a release', io: 'input' },
  'lock.schema.json': { schema: Lock, title: 'images.lock: every input of every release, pinned by digest', io: 'input' },
  'plan.schema.json': { schema: ReleasePlanSchema, title: 'plan.json: what must be made for one release', io: 'output' },
} as const satisfies Record<string, { readonly schema: z.ZodType; readonly title: string; readonly io: 'input' | 'output' }>

/** File name → schema (JSON Schema 2020-12). */
export function schemas(): Readonly<Record<string, Json>> {
  return Object.fromEntries(
    Object.entries(rooted).map(([file, { schema, title, io }]) => {
      const json = z.toJSONSchema(schema, {
        io,
        unrepresentable: 'any',
        override({ zodSchema, jsonSchema }) {
          // the one custom type of these schemas is a digest
          if (zodSchema._zod.def.type === 'custom') Object.assign(jsonSchema, { type: 'string', pattern: '^sha256:[0-9a-f]{64}$' })
        },
      })
      return [file, { ...(json as unknown as Record<string, Json>), title }]
    }),
  )
}

/** A schema file's text: the keys in zod's order, which follows the source. */
export function schemaText(schema: Json): string {
  return `${JSON.stringify(schema, null, 2)}\n`
}
