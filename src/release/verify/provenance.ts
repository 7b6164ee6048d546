/**
 * What provenance says of how images and programs came to be, read as facts: the statements have been verified by now.
 * From it follow the sources, the builder and the SLSA Build level that the evidence carries.
 */
import { z } from 'zod'
import { buildTypes } from '../../attest/provenance.ts'
import type { ReleasePredicate } from '../../attest/release.ts'
import type { RfoError } from '../../error.ts'
import type { SlsaLevel, TrustedBuilder, VerifyPolicy } from '../../plan/verify-policy.ts'
import type { PublicKey } from '../../sign/key.ts'
import type { Claim } from './claims.ts'
import { condition, untrusted } from './finding.ts'
import { isSigner } from './signers.ts'

/** https://slsa.dev/spec/v1.0/provenance, as far as it is compared. */
const Form = z.object({
  buildDefinition: z.object({
    buildType: z.string().min(1),
    externalParameters: z.object({ release: z.string(), platform: z.string().optional() }),
    internalParameters: z.object({ upstreamSignature: z.enum(['none', 'unverified', 'verified', 'unchecked']).optional() }).optional(),
    resolvedDependencies: z.array(z.object({ uri: z.string().min(1), digest: z.record(z.string(), z.string()) })),
  }),
  runDetails: z.object({ builder: z.object({ id: z.string().min(1) }) }),
})

/** One thing whose provenance is signed. */
export interface Built {
  /** a reference or a file, as findings name it */
  readonly what: string
  readonly mirrored: boolean
  readonly buildType: string
  readonly builder: string
  /** the first dependency: what it was made of */
  readonly source: { readonly uri: string; readonly digest: Readonly<Record<string, string>> }
  /** of a mirrored one, as the lock says it: never verified here */
  readonly upstreamSignature: string | undefined
  readonly by: PublicKey
}

export interface About {
  readonly what: string
  readonly release: string
  /** absent: of an index */
  readonly platform?: string
  /** as the signed statement has it */
  readonly action: 'rebuild' | 'mirror'
  readonly by: PublicKey
}

/** Throws RFO_VERIFY_PROVENANCE (untrusted) for what is no provenance, or is one of something else. */
export function builtOf(predicate: unknown, about: About): Built {
  const parsed = Form.safeParse(predicate)
  if (!parsed.success) throw bad(`not a provenance: ${parsed.error.issues[0]?.path.join('.')}`)
  const { buildDefinition, runDetails } = parsed.data
  const { release, platform } = buildDefinition.externalParameters
  if (release !== about.release || platform !== about.platform)
    throw bad(`it is about ${platform ?? 'an index'} of ${release}`.slice(0, 300))
  const mirrored = buildDefinition.buildType === buildTypes.mirror
  if (about.platform !== undefined && mirrored !== (about.action === 'mirror'))
    throw bad(`the statement says ${about.action}, the provenance ${buildDefinition.buildType}`.slice(0, 300))
  // an index of no platform is made of nothing
  const [source = about.platform === undefined ? { uri: about.what, digest: {} } : undefined] = buildDefinition.resolvedDependencies
  if (source === undefined || (mirrored && (!source.uri.startsWith('oci://') || source.digest['sha256'] === undefined)))
    throw bad('it does not say of which upstream image it is a copy')
  return {
    what: about.what,
    mirrored,
    buildType: buildDefinition.buildType,
    builder: runDetails.builder.id,
    source,
    upstreamSignature: buildDefinition.internalParameters?.upstreamSignature,
    by: about.by,
  }
}

/** `git+https://host/owner/name@ref` → `https://host/owner/name`; an archive's is what lies before `/archive/`. undefined = none can be told. */
export function repositoryOf(uri: string): string | undefined {
  if (uri.startsWith('pkg:')) return uri.replace(/[@?#].*$/s, '')
  if (uri.startsWith('oci://')) return uri.replace(/@.*$/s, '').replace(/:[^/:]*$/, '')
  const url = URL.parse(uri.replace(/^git\+/, ''))
  // https://good.example/x@evil.example is a user of evil.example
  if (url?.protocol !== 'https:' || url.username !== '' || url.password !== '') return undefined
  return `https://${url.host}${url.pathname.replace(/@.*$/s, '').replace(/\/archive\/.*$/s, '')}`
}

/** By the statement, with which each provenance has been held together. One finding an image. */
export function judgeOrigin({ images }: ReleasePredicate, { origin }: VerifyPolicy): RfoError[] {
  if (origin === undefined) return []
  return images
    .filter(({ action }) => action === 'mirror')
    .map(({ reference }) => condition('RFO_VERIFY_ORIGIN', 'mirrored, not rebuilt', reference))
}

/** What a policy says of sources and builders, and what it finds. */
export function judgeBuilt(built: readonly Built[], policy: VerifyPolicy): RfoError[] {
  const findings: RfoError[] = []
  for (const one of built) {
    if (policy.sources !== undefined && !policy.sources.some((allowed) => isFrom(one, allowed)))
      findings.push(condition('RFO_VERIFY_SOURCE', `made of ${one.source.uri}, which the policy does not allow`, one.what))
    if (policy.builders !== undefined && trustIn(one, policy) === undefined)
      findings.push(
        untrusted('RFO_VERIFY_BUILDER', `built by ${one.builder} for ${one.by.fingerprint}: no builder of the policy`, one.what),
      )
    const { level, why } = levelOf(one, policy)
    if (level < policy.slsaLevel)
      findings.push(condition('RFO_VERIFY_LEVEL', `Build L${level}, asked for is L${policy.slsaLevel}: ${why}`, one.what))
  }
  return findings
}

function isFrom({ source }: Built, allowed: NonNullable<VerifyPolicy['sources']>[number]): boolean {
  if (repositoryOf(source.uri) !== allowed.repository) return false
  return allowed.digests === undefined || Object.values(source.digest).some((digest) => allowed.digests?.includes(digest))
}

function trustIn({ builder, by }: Built, { builders }: VerifyPolicy): TrustedBuilder | undefined {
  return builders?.find(({ id, signer }) => id === builder && isSigner(signer, by))
}

/** https://slsa.dev/spec/v1.0/levels : what the provenance carries by itself, and what whoever verifies believes of its builder. */
export function levelOf(built: Built, policy: VerifyPolicy): Level {
  if (built.mirrored) return { level: 0, why: 'a mirror’s provenance states identity, and no build', believed: false }
  const trusted = trustIn(built, policy)
  if (trusted !== undefined) return { level: trusted.level, why: `so far the policy believes ${trusted.id}`, believed: true }
  return { level: 1, why: 'a key alone does not show that a hosted platform built and signed', believed: false }
}

export interface Level {
  readonly level: SlsaLevel
  /** why it is not more */
  readonly why: string
  /** by the policy, not by the evidence alone */
  readonly believed: boolean
}

/** The least of all that was built; mirrored ones are counted for themselves. */
export function levelClaims(built: readonly Built[], policy: VerifyPolicy): Claim[] {
  const made = built.filter(({ mirrored }) => !mirrored).map((one) => levelOf(one, policy))
  const mirrored = built.length - made.length
  const least = made.toSorted((a, b) => a.level - b.level)[0]
  return [
    ...(least === undefined
      ? []
      : [{ name: least.believed ? ('slsaBelieved' as const) : ('slsa' as const), values: { level: least.level, count: made.length } }]),
    ...(mirrored === 0 ? [] : [{ name: 'mirrored' as const, values: { count: mirrored } }]),
  ]
}

function bad(what: string): RfoError {
  return untrusted('RFO_VERIFY_PROVENANCE', what)
}
