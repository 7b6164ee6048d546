/**
 * What a scan found, in cosign's form: https://github.com/sigstore/cosign/blob/main/specs/COSIGN_VULN_ATTESTATION_SPEC.md . And what
 * it comes to in OpenVEX: https://github.com/openvex/spec/blob/main/OPENVEX-SPEC.md
 */
import { z } from 'zod'
import type { Json } from '../oci/json.ts'

const Text = z.string().min(1).max(4096)
const Digest = z.string().regex(/^sha256:[0-9a-f]{64}$/)

export const findingStates = ['fails', 'grace', 'no-fix', 'below', 'suppressed', 'unjudged'] as const
export const verdicts = ['pass', 'fail', 'undecided', 'unjudged'] as const

export const ScanFinding = z.strictObject({
  advisory: Text,
  kind: z.enum(['openeuler', 'go']),
  severity: Text,
  published: z.string().max(40),
  aliases: z.array(Text).max(10_000),
  purl: Text,
  component: Text,
  installed: z.string().max(4096),
  fixed: Text.optional(),
  paths: z.array(Text).max(10_000).optional(),
  state: z.enum(findingStates),
  until: Text.optional(),
  statement: z.strictObject({ id: Text, author: Text, status: Text, justification: Text.optional(), impact: Text.optional() }).optional(),
})

export const ScanResult = z.strictObject({
  name: Text,
  digest: Digest,
  verdict: z.enum(verdicts),
  stream: Text.optional(),
  why: Text.optional(),
  listed: z.strictObject({ author: Text, reason: Text, expires: Text }).optional(),
  packages: z.int().nonnegative(),
  modules: z.int().nonnegative(),
  unversioned: z.array(Text).max(100_000),
  findings: z.array(ScanFinding).max(100_000),
})
export type ScanResult = z.infer<typeof ScanResult>

export const ScanPredicate = z.strictObject({
  invocation: z.strictObject({ parameters: z.array(Text), uri: Text, event_id: z.literal(''), 'builder.id': Text }),
  scanner: z.strictObject({
    uri: Text,
    version: Text,
    db: z.strictObject({ uri: Text, version: Digest, lastUpdate: Text }),
    result: ScanResult,
  }),
  metadata: z.strictObject({ scanStartedOn: Text, scanFinishedOn: Text }),
})
export type ScanPredicate = z.infer<typeof ScanPredicate>

export interface ScanFacts {
  readonly release: string
  readonly platform: string
  readonly builderId: string
  readonly toolVersion: string
  /** of the snapshot, and when it was taken */
  readonly advisories: { readonly digest: string; readonly taken: string; readonly standIn?: string | undefined }
  /** ISO 8601: the moment that is judged, not the clock's */
  readonly judged: string
}

export function scanPredicate(
  result: ScanResult,
  { release, platform, builderId, toolVersion, advisories, judged }: ScanFacts,
): ScanPredicate {
  const { digest, taken, standIn } = advisories
  return {
    invocation: { parameters: [release, platform, judged], uri: builderId, event_id: '', 'builder.id': builderId },
    scanner: {
      uri: builderId,
      version: toolVersion,
      db: {
        uri: standIn === undefined ? `${builderId}/advisories` : `stand-in:${standIn}`,
        version: digest as `sha256:${string}`,
        lastUpdate: taken,
      },
      result,
    },
    metadata: { scanStartedOn: judged, scanFinishedOn: judged },
  }
}

/** What OpenVEX can say of each finding of an image; undefined = nothing was found, and a document without statements is none. */
export function openVexOf(
  { scanner, metadata }: ScanPredicate,
  product: string,
  author: string,
): { readonly [key: string]: Json } | undefined {
  const { result } = scanner
  const statements = result.findings.map(({ advisory, aliases, purl, fixed, state, statement }): { readonly [key: string]: Json } => ({
    vulnerability: { name: advisory, ...(aliases.length === 0 ? {} : { aliases }) },
    products: [{ '@id': product, ...(purl.startsWith('pkg:') ? { subcomponents: [{ '@id': purl }] } : {}) }],
    ...(state === 'suppressed' && statement !== undefined
      ? {
          status: statement.status,
          ...(statement.justification === undefined ? {} : { justification: statement.justification }),
          ...(statement.impact === undefined ? {} : { impact_statement: statement.impact }),
          status_notes: `${statement.author}: ${statement.id}`,
        }
      : // a version that is older than the fix: whether the code is reached, nobody has looked
        { status: 'under_investigation', status_notes: fixed === undefined ? 'no fix is known' : `fixed in ${fixed}` }),
  }))
  if (statements.length === 0) return undefined
  return {
    '@context': 'https://openvex.dev/ns/v0.2.0',
    '@id': `https://openvex.dev/docs/public/vex-${result.digest.slice('sha256:'.length)}-${scanner.db.version.slice('sha256:'.length, 'sha256:'.length + 16)}`,
    author,
    timestamp: metadata.scanStartedOn,
    version: 1,
    tooling: scanner.uri,
    statements,
  }
}

/** What the release statement says of the gate. */
export const ReleaseGateFact = z.strictObject({
  mode: Text.describe('`live`, or `asOf` and the day'),
  judged: Text.describe('ISO 8601: by what was published by then'),
  advisories: z.strictObject({ digest: Digest, taken: Text, standIn: Text.optional() }),
  /** images by platform */
  passed: z.int().nonnegative(),
  suppressed: z.int().nonnegative().describe('findings that a statement in VEX answers'),
  reported: z.int().nonnegative().describe('findings that the gate lets pass: below, without a fix, in their days of grace'),
  unjudged: z
    .array(z.strictObject({ component: Text, platforms: z.array(Text).min(1), why: Text, author: Text, reason: Text, expires: Text }))
    .max(10_000)
    .describe('shipped though nobody can judge them, and who says so'),
})
export type ReleaseGateFact = z.infer<typeof ReleaseGateFact>

export interface GateFacts {
  readonly mode: 'live' | { readonly asOf: string }
  readonly judged: string
  readonly advisories: ReleaseGateFact['advisories']
  readonly scans: readonly { readonly platform: string; readonly result: ScanResult }[]
}

/** Of all scans; says nothing of what fails, since nothing is shipped then. The same from the task and from what is attested. */
export function gateFact({ mode, judged, advisories, scans }: GateFacts): ReleaseGateFact {
  const findings = scans.flatMap(({ result }) => result.findings)
  const count = (...states: readonly string[]): number => findings.filter(({ state }) => states.includes(state)).length
  const unjudged = new Map<string, ReleaseGateFact['unjudged'][number]>()
  for (const { platform, result } of scans.toSorted((a, b) => (key(a) < key(b) ? -1 : 1))) {
    if (result.listed === undefined) continue
    const { name: component, why = '', listed } = result
    const one = unjudged.get(`${component}\0${why}`) ?? { component, platforms: [], why, ...listed }
    unjudged.set(`${component}\0${why}`, { ...one, platforms: [...one.platforms, platform] })
  }
  return {
    mode: mode === 'live' ? 'live' : `asOf ${mode.asOf}`,
    judged,
    advisories,
    passed: scans.filter(({ result }) => result.verdict === 'pass').length,
    suppressed: count('suppressed'),
    reported: count('below', 'no-fix', 'grace', 'unjudged'),
    unjudged: [...unjudged.values()],
  }
}

function key({ platform, result }: GateFacts['scans'][number]): string {
  return `${result.name}\0${platform}`
}
