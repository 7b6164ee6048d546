/** What is said of vulnerabilities: each scan is attested of its image, and the statement's sum is theirs. Nothing is scanned again here. */
import type { ReleaseImage, ReleasePredicate } from '../../attest/release.ts'
import { type GateFacts, gateFact, openVexOf, ScanPredicate } from '../../attest/scan.ts'
import { predicateTypes } from '../../attest/statement.ts'
import type { RfoError } from '../../error.ts'
import type { Digest } from '../../oci/digest.ts'
import { canonicalJson, type Json } from '../../oci/json.ts'
import type { PlatformName } from '../../oci/platform.ts'
import { advisoriesPath, maxSbomBytes, scanPath } from '../lists.ts'
import { vexProduct } from '../sign-tasks.ts'
import type { Claim } from './claims.ts'
import { statementPath } from './files.ts'
import { condition, untrusted } from './finding.ts'
import type { ReleasePlace } from './place.ts'

export type Scan = GateFacts['scans'][number]

export interface ScannedManifest {
  readonly image: ReleaseImage
  readonly platform: PlatformName
  readonly digest: Digest
}

/** Throws when what is attested is not the file, not of this image and snapshot, or not what OpenVEX says of it. */
export async function checkScan(
  place: ReleasePlace,
  { image, platform, digest }: ScannedManifest,
  gate: NonNullable<ReleasePredicate['gate']>,
  said: ReadonlyMap<string, Json>,
): Promise<Scan> {
  const path = scanPath(image.component, platform)
  const attested = said.get(predicateTypes.vuln)
  const bytes = await place.small(path, maxSbomBytes)
  if (attested === undefined || (bytes !== undefined && bytes.toString('utf8') !== canonicalJson(attested)))
    throw untrusted('RFO_VERIFY_SCAN', 'this scan is not the one that is attested', path)
  const parsed = ScanPredicate.safeParse(attested)
  if (!parsed.success) throw untrusted('RFO_VERIFY_SCAN', `not a scan: ${parsed.error.issues[0]?.message ?? ''}`.slice(0, 300), path)
  const { scanner, metadata } = parsed.data
  const { result, db } = scanner
  const is = [result.name, result.digest, db.version, db.lastUpdate, metadata.scanStartedOn]
  const wanted = [image.component, digest, gate.advisories.digest, gate.advisories.taken, gate.judged]
  if (is.join('\n') !== wanted.join('\n')) throw untrusted('RFO_VERIFY_SCAN', 'a scan of another image, or by other advisories', path)
  const vex = said.get(predicateTypes.openvex) as { readonly author?: unknown } | undefined
  const author = typeof vex?.author === 'string' ? vex.author : ''
  const derived = openVexOf(parsed.data, vexProduct(image.reference, digest, platform), author)
  if (canonicalJson(derived ?? null) !== canonicalJson((vex ?? null) as Json))
    throw untrusted('RFO_VERIFY_SCAN', 'what OpenVEX says of it is not what the scan found', path)
  return { platform, result }
}

/** The statement's own words against those of the scans. */
export function judgeGate(predicate: ReleasePredicate, scans: readonly Scan[]): { findings: RfoError[]; claims: Claim[] } {
  const { gate } = predicate
  if (gate === undefined) return { findings: [], claims: [] }
  const { mode, judged, advisories } = gate
  const file = predicate.files.find(({ path }) => path === advisoriesPath)
  const findings: RfoError[] = []
  if (file?.digest !== advisories.digest)
    findings.push(
      untrusted('RFO_VERIFY_GATE', `the statement names advisories ${advisories.digest}, which are not those of its list`, advisoriesPath),
    )
  // what was published after the snapshot was taken is not in it
  if (mode !== 'live' && Date.parse(advisories.taken) < Date.parse(judged))
    findings.push(untrusted('RFO_VERIFY_GATE', `judged as of ${judged} by advisories of ${advisories.taken}, before that`, statementPath))
  const sum = gateFact({ mode: mode === 'live' ? 'live' : { asOf: mode.replace(/^asOf /, '') }, judged, advisories, scans })
  if (canonicalJson(sum as unknown as Json) !== canonicalJson(gate as unknown as Json))
    findings.push(untrusted('RFO_VERIFY_GATE', 'what the statement says of the gate is not the sum of what was found', statementPath))
  const bad = scans.filter(({ result }) => result.verdict === 'fail' || result.verdict === 'undecided')
  if (bad.length > 0)
    findings.push(
      condition(
        'RFO_VERIFY_GATE',
        `${bad.length} images did not pass the gate: ${bad.map(({ result }) => result.name).join(', ')}`.slice(0, 1000),
        statementPath,
      ),
    )
  if (findings.length > 0) return { findings, claims: [] }
  const { passed, suppressed, reported, unjudged } = gate
  const values = { mode, judged, digest: advisories.digest, taken: advisories.taken, passed, suppressed, reported }
  return {
    findings,
    claims: [{ name: 'gate', values }, ...notJudged(unjudged)],
  }
}

/** Those that are shipped for one reason, on one line. */
function notJudged(unjudged: NonNullable<ReleasePredicate['gate']>['unjudged']): Claim[] {
  const alike = Map.groupBy(unjudged, ({ why, author, reason, expires }) => [why, author, reason, expires].join('\0'))
  return [...alike.values()].flatMap((these): Claim[] => {
    const [first] = these
    if (first === undefined) return []
    const { why, author, reason, expires } = first
    const images = these.map(({ component, platforms }) => `${component} (${platforms.join(', ')})`).join(', ')
    return [{ name: 'notJudged', values: { images, why, author, reason, expires } }]
  })
}
