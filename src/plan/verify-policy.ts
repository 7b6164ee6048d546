/**
 * What whoever verifies demands of a release: `verify --policy <file>`. Nothing in it is a pattern: an unanchored one is the
 * oldest hole in such files, so a name with a pattern's signs in it is refused instead of being read as either.
 */
import { z } from 'zod'
import { platformNames } from '../oci/platform.ts'
import { testKinds } from './test-kind.ts'
import { parseYaml } from './yaml.ts'

/** What regular expressions and globs are written with, and no address of a workflow or a mail has. */
const patternSigns = /[\^$*?|\\()[\]{}\s]/

const Exact = z
  .string()
  .min(1)
  .max(1000)
  .refine((text) => !patternSigns.test(text), 'one exact name; a pattern is not taken')

export const KeyFingerprint = z.string().regex(/^sha256:[0-9a-f]{64}$/, 'a fingerprint as `keys show` prints it')

/** A key, or who a certificate names and who says so. */
export const PolicySigner = z.union([z.strictObject({ key: KeyFingerprint }), z.strictObject({ identity: Exact, issuer: Exact })])
export type PolicySigner = z.infer<typeof PolicySigner>

const AnyOf = z.array(PolicySigner).min(1).max(100)

/** What is signed, and judged by who may sign it. */
export const signedKinds = ['statement', 'images', 'attestations', 'tests'] as const
export type SignedKind = (typeof signedKinds)[number]

const TestDemand = z.strictObject({
  kind: z.enum(testKinds),
  platforms: z.array(z.enum(platformNames)).min(1).optional().describe('absent: those that plan.json demands it of, or any one'),
})
export type TestDemand = z.infer<typeof TestDemand>

/** https://slsa.dev/spec/v1.0/levels#build-track */
export const slsaLevels = [0, 1, 2, 3] as const
const Level = z.union([z.literal(0), z.literal(1), z.literal(2), z.literal(3)])
export type SlsaLevel = (typeof slsaLevels)[number]

/** https://slsa.dev/spec/v1.0/verifying-artifacts#step-1-check-slsa-build-level : a root of trust is a builder, its key and how far it is believed. */
const TrustedBuilder = z.strictObject({
  id: Exact.describe('runDetails.builder.id, exactly'),
  signer: PolicySigner.describe('who signs for it'),
  level: Level.describe('up to which SLSA Build level you believe it'),
})
export type TrustedBuilder = z.infer<typeof TrustedBuilder>

const Source = z.strictObject({
  repository: Exact.describe('as provenance names it, without `git+` and without what follows `@` or `?`'),
  digests: z
    .array(z.string().regex(/^[0-9a-f]{40,128}$/))
    .min(1)
    .optional()
    .describe('only these: a commit or a SHA-256, in hex'),
})

export const VerifyPolicy = z.strictObject({
  schema: z.literal('rfo-build.verify-policy/1'),
  signers: z
    .strictObject({
      statement: z
        .strictObject({ anyOf: AnyOf, threshold: z.int().positive().max(100).default(1).describe('how many of them must have signed') })
        .optional()
        .describe('absent: one of the keys given'),
      images: AnyOf.optional().describe('absent: who signed the statement'),
      attestations: AnyOf.optional().describe('absent: who signed the statement'),
      tests: AnyOf.optional().describe('absent: one of the keys given'),
      sm2: z
        .union([z.literal('any'), z.array(KeyFingerprint).min(1)])
        .optional()
        .describe('SM2 signatures must be there'),
      pgp: z
        .union([z.literal('any'), z.array(z.string().regex(/^[0-9A-F]{40}$/, 'a fingerprint as `keys show` prints it')).min(1)])
        .optional()
        .describe('PGP signatures must be there'),
    })
    .refine(({ statement }) => statement === undefined || statement.threshold <= statement.anyOf.length, {
      message: 'more signers are wanted than may sign',
      path: ['statement', 'threshold'],
    })
    .default({}),
  predicates: z.array(Exact).default([]).describe('predicate types that every platform manifest must have attested'),
  origin: z.literal('rebuilt').optional().describe('no mirrored image'),
  upstreamCommits: z
    .array(z.string().regex(/^[0-9a-f]{40}$/))
    .min(1)
    .optional()
    .describe('commits of RKE2 that the release may rebuild'),
  sources: z.array(Source).min(1).optional().describe('what images and programs may be made of; a mirrored image is made of its reference'),
  builders: z.array(TrustedBuilder).min(1).optional().describe('who may have built'),
  slsaLevel: Level.default(0).describe('the least SLSA Build level of every image and program'),
  tests: z.array(TestDemand).default([]),
  maxAgeDays: z.int().positive().optional().describe('by the time that the release gives itself'),
})
export type VerifyPolicy = z.infer<typeof VerifyPolicy>

/** Throws RFO_PLAN_YAML. */
export function parseVerifyPolicy(text: string, file: string): VerifyPolicy {
  return parseYaml(VerifyPolicy, text, file) as VerifyPolicy
}

/** What is verified when nobody says more: whoever holds a trusted key may sign everything. */
export const defaultPolicy: VerifyPolicy = VerifyPolicy.parse({ schema: 'rfo-build.verify-policy/1' })
