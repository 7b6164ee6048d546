/** `verify`: the walk of a release backwards, without a network. Nothing unverified is read as a fact. */
import { ReleasePredicate } from '../../attest/release.ts'
import { predicateTypes } from '../../attest/statement.ts'
import { type RfoError, toRfoError } from '../../error.ts'
import type { Digest } from '../../oci/digest.ts'
import { canonicalJson } from '../../oci/json.ts'
import { ReleasePlanSchema } from '../../plan/plan-schema.ts'
import type { ReleasePlan } from '../../plan/release-plan.ts'
import { testKinds } from '../../plan/test-kind.ts'
import { defaultPolicy, type VerifyPolicy } from '../../plan/verify-policy.ts'
import type { TrustedIdentity } from '../../sign/identity.ts'
import type { PublicKey } from '../../sign/key.ts'
import type { Trust } from '../../sign/trust.ts'
import { type VerifiedStatement, verifyBundle } from '../../sign/verify.ts'
import { maxPlanBytes } from '../lists.ts'
import { releaseStatement } from '../predicate.ts'
import { refuseStandIns } from '../refusals.ts'
import { isRooted, rootDigest, rootIndex } from '../root.ts'
import { isAccepted, readTestResult, type TestResult, testResultPaths } from '../test-results.ts'
import type { Claim } from './claims.ts'
import { verifyCosigners } from './cosigners.ts'
import { verifyDeep } from './deep.ts'
import {
  besidePaths,
  bundlePath,
  checksumPaths,
  handoverPath,
  maxStatementBytes,
  statementPath,
  verifyChecksumLists,
  verifyFiles,
} from './files.ts'
import { condition, undecided, untrusted } from './finding.ts'
import { judgeGate } from './gate.ts'
import { isBlob, type Trusted, verifyImages } from './images.ts'
import { verifyKeyless } from './keyless.ts'
import { placeOf, type ReleasePlace } from './place.ts'
import { judgeAge, judgeOtherKeys, judgePredicates, judgeThreshold, judgeUpstream } from './policy.ts'
import { verifyPrograms } from './programs.ts'
import { type Built, judgeBuilt, judgeOrigin, levelClaims } from './provenance.ts'
import { lackingEvidence } from './required.ts'
import { type OtherKeys, verifySignatures } from './signatures.ts'
import { refuseSigner } from './signers.ts'
import type { Hashed } from './tree.ts'
import { judgeTrust, namedKeys, newestTrust, refuseKey, refuseOtherKey } from './trust.ts'

export interface VerifyRequest {
  /** a folder, or wherever it lies */
  readonly folder: string | ReleasePlace
  readonly keys: readonly PublicKey[]
  readonly otherKeys?: OtherKeys
  /** Says which keys may sign besides those given, which may no more, and which releases are not to be used. */
  readonly trust?: Trust
  /** The time at which it is judged: ms since 1970. Absent = nothing is said about time. */
  readonly at?: number
  /** Who must have signed without a key, besides. */
  readonly identity?: TrustedIdentity
  /** The version that the folder must hold. */
  readonly expect?: string
  /** What is demanded; without it, what holds for every release. */
  readonly policy?: VerifyPolicy
  /** Archives, packages, charts and layers are opened too. */
  readonly deep?: boolean
}

export interface VerifyReport {
  readonly predicate: ReleasePredicate
  readonly root: Digest
  /** of the key that signed the statement */
  readonly fingerprint: string
  /** true when the release says that it was made by the stand-in world's own key */
  readonly standInWorld: boolean
  /** platforms that carry a test result, as counted */
  readonly tests: readonly TestResult[]
  readonly built: readonly Built[]
  readonly claims: readonly Claim[]
  readonly findings: readonly RfoError[]
}

/** Throws when nothing can be said at all: no release, no statement, no key, not signed by a given key. */
export async function verifyRelease(request: VerifyRequest): Promise<VerifyReport> {
  const { policy = defaultPolicy, otherKeys = { sm2: [], pgp: [] } } = request
  const place = placeOf(request.folder)
  const tree = await place.tree()
  const { trust, findings: carried } = await newestTrust(place, request.trust)
  const named = [...request.keys, ...namedKeys(trust)]
  const { verified, bytes } = await readStatement(place, named)
  const predicate = parsePredicate(verified)
  const judged = judgeTrust(trust, predicate, verified.key, request.at)
  const keys = named.filter((key) => refuseKey(trust, key, predicate.epoch, statementPath).length === 0)
  // what is said of the statement's own signer is said once, above
  const trusted: Trusted = {
    keys: keys.includes(verified.key) ? keys : [...keys, verified.key],
    signers: { policy, statement: verified.key },
  }
  const refusal = refuseSigner(trusted.signers, 'statement', verified.key, bundlePath)
  if (refusal !== undefined) throw refusal
  const findings: RfoError[] = [...tree.findings, ...carried, ...judged.findings]
  const claims: Claim[] = [...judged.claims]
  const claim = (name: Claim['name'], values: Claim['values'], found: readonly RfoError[]): void => {
    findings.push(...found)
    if (found.length === 0) claims.push({ name, values })
  }
  const cosigners = await verifyCosigners(place, verified, { files: tree.files, named, keys }, trusted.signers)
  claim('statement', { fingerprint: cosigners.signers.join(', ') }, [
    ...sameStatement(bytes, verified),
    ...cosigners.findings,
    ...judgeThreshold(policy, cosigners.signers),
  ])
  if (cosigners.unjudged.length > 0)
    claims.push({ name: 'unjudged', values: { count: cosigners.unjudged.length, fingerprint: cosigners.unjudged.join(', ') } })
  if (request.expect !== undefined) claim('expected', { version: request.expect }, expected(predicate, request.expect))
  claim('root', {}, checkRoot(predicate, verified.payload))
  const hashed = await hashRelease(place, predicate, tree.files, policy.signers.sm2 !== undefined || otherKeys.sm2.length > 0)
  const files = await verifyFiles(place, predicate, hashed.files)
  claim('files', { count: predicate.files.length }, files)
  if (hashed.sm3 && files.length === 0) claims.push({ name: 'sm3', values: { count: predicate.files.length } })
  const signatures = await verifySignatures(place, predicate, verified.key, otherKeys)
  claim('checksums', { count: checksumPaths(predicate).length }, [...(await verifyChecksumLists(place, predicate)), ...signatures.lists])
  findings.push(...signatures.findings, ...judgeOtherKeys(policy, signatures.keys))
  const beside = (['sm2', 'pgp'] as const).map((kind) => ({
    kind,
    refused: refuseOtherKey(trust, kind, signatures.keys[kind], predicate.epoch),
  }))
  findings.push(...beside.flatMap(({ refused }) => refused))
  claims.push(...signatures.claims.filter(({ name }) => !beside.some(({ kind, refused }) => kind === name && refused.length > 0)))
  const programs = await verifyPrograms(place, predicate, trusted)
  claim('programs', { count: programs.count }, programs.findings)
  const keyless = await verifyKeyless(place, predicate, verified, request.identity)
  findings.push(...keyless.findings)
  const signers = keyless.identity === undefined ? trusted : { ...trusted, identity: keyless.identity }
  const images = await verifyImages(place, predicate, signers, hashed.blobs)
  const { tests, accepted, findings: untested } = await verifyTestResults(place, predicate, trusted)
  findings.push(...untested)
  for (const one of accepted) claims.push({ name: 'tested', values: testedValues(one) })
  const extras = extraFiles(tree.files, predicate, tests, cosigners.paths)
  findings.push(...images.findings, ...extras)
  const built = [...images.built, ...programs.built]
  if (images.findings.length === 0) {
    claims.push({ name: 'blobs', values: { count: images.blobs } }, { name: 'images', values: { count: predicate.images.length } })
    claims.push({ name: 'signatures', values: { count: images.signed } }, { name: 'attestations', values: { count: images.attestations } })
    if (programs.findings.length === 0) claims.push(...levelClaims(built, policy))
    if (keyless.identity !== undefined && keyless.findings.length === 0) claims.push(keylessClaim(keyless.identity, images.signed))
    if (images.charts > 0) claims.push({ name: 'charts', values: { count: images.charts } })
    if (extras.length === 0 && tree.findings.length === 0) claims.push({ name: 'extras', values: {} })
  }
  findings.push(
    ...judgeOrigin(predicate, policy),
    ...judgeBuilt(built, policy),
    ...judgePredicates(policy, images.attested),
    ...judgeUpstream(policy, predicate),
  )
  const gate = images.findings.length === 0 ? judgeGate(predicate, images.scans) : { findings: [], claims: [] }
  findings.push(...gate.findings)
  claims.push(...gate.claims)
  const age = judgeAge(policy, predicate, request.at)
  findings.push(...age.findings)
  claims.push(...age.claims)
  // nothing of what is not as signed is opened
  if (request.deep === true && !findings.some(({ exit }) => exit === 'untrusted')) {
    const deep = await verifyDeep(place, predicate)
    findings.push(...deep.findings)
    claims.push(...deep.claims)
  }
  if (policy.tests.length > 0) findings.push(...lackingEvidence(policy.tests, predicate, await demandsIn(place), accepted))
  findings.push(...refuseStandIns(predicate, verified.key))
  return {
    predicate,
    root: predicate.root.digest,
    fingerprint: verified.key.fingerprint,
    standInWorld: predicate.standInKey !== undefined,
    tests,
    built,
    claims,
    findings,
  }
}

/** Every listed file and every blob, each once. SM3 costs three SHA-256 and proves nothing that SHA-256 has not: only whoever asks for SM2 gets it. */
export async function hashRelease(
  place: ReleasePlace,
  predicate: ReleasePredicate,
  present: readonly string[],
  sm3: boolean,
): Promise<{ readonly files: ReadonlyMap<string, Hashed>; readonly blobs: ReadonlyMap<string, Hashed>; readonly sm3: boolean }> {
  const there = new Set(present)
  const files = predicate.files.filter(({ path }) => there.has(path)).map(({ path, size }) => ({ path, size, sm3 }))
  const blobs = present.filter(isBlob).map((path) => ({ path, size: 0, sm3: false }))
  const listed = new Set(files.map(({ path }) => path))
  const found = await place.hash([...files, ...blobs.filter(({ path }) => !listed.has(path))])
  const of = (paths: readonly { readonly path: string }[]): Map<string, Hashed> =>
    new Map(paths.flatMap(({ path }) => (found.has(path) ? [[path, found.get(path) as Hashed] as const] : [])))
  return { files: of(files), blobs: of(blobs), sm3 }
}

function keylessClaim({ identity, issuer, root }: TrustedIdentity, count: number): Claim {
  return { name: 'keyless', values: { identity, issuer, root: root.digest, count } }
}

async function readStatement(
  place: ReleasePlace,
  keys: readonly PublicKey[],
): Promise<{ verified: VerifiedStatement; bytes: Buffer | undefined }> {
  const bundle = await place.small(bundlePath, maxStatementBytes * 2)
  if (bundle === undefined) throw await unsignedFinding(place)
  try {
    const verified = verifyBundle(bundle, { keys, predicateType: predicateTypes.release })
    return { verified, bytes: await place.small(statementPath, maxStatementBytes) }
  } catch (thrown) {
    throw toRfoError(thrown).at(bundlePath)
  }
}

/** Not signed yet, by its own word, is no verdict; without a signature and without that word it is no release. */
async function unsignedFinding(place: ReleasePlace): Promise<RfoError> {
  if ((await place.small(handoverPath, maxStatementBytes)) === undefined)
    return untrusted('RFO_VERIFY_MISSING', 'no signature of the release statement', bundlePath)
  return undecided(
    'RFO_VERIFY_UNSIGNED',
    'made and not signed yet: nothing vouches for it',
    handoverPath,
    `rfo-build sign ${place.where} --sign-key <key>`,
  )
}

function parsePredicate(verified: VerifiedStatement): ReleasePredicate {
  const parsed = ReleasePredicate.safeParse(verified.statement.predicate)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw untrusted(
    'RFO_VERIFY_STATEMENT',
    `not a release statement: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`.slice(0, 300),
    statementPath,
  )
}

/** release.json is the signed payload, and its subjects are those that the predicate gives. */
function sameStatement(bytes: Buffer | undefined, verified: VerifiedStatement): RfoError[] {
  if (bytes === undefined) return [untrusted('RFO_VERIFY_MISSING', 'the release statement is not there', statementPath)]
  return bytes.equals(verified.payload)
    ? []
    : [untrusted('RFO_VERIFY_STATEMENT', 'this is not the statement that was signed', statementPath)]
}

function expected(predicate: ReleasePredicate, version: string): RfoError[] {
  return predicate.version === version
    ? []
    : [untrusted('RFO_VERIFY_VERSION', `this is ${predicate.version}, expected ${version}`, statementPath)]
}

/** That root and subjects are what the predicate lists; `payload` is its statement. */
export function checkRoot(predicate: ReleasePredicate, payload: Buffer): RfoError[] {
  const index = rootIndex(
    predicate.version,
    predicate.images,
    predicate.files.filter((file) => isRooted(file.path)),
  )
  const findings: RfoError[] = []
  if (canonicalJson(index) !== canonicalJson(predicate.root.index))
    findings.push(untrusted('RFO_VERIFY_ROOT', 'the root index is not made of the listed images and files', statementPath))
  if (rootDigest(index) !== predicate.root.digest)
    findings.push(
      untrusted('RFO_VERIFY_ROOT', `the root is ${rootDigest(index)}, the statement says ${predicate.root.digest}`, statementPath),
    )
  if (!releaseStatement(predicate).equals(payload))
    findings.push(untrusted('RFO_VERIFY_STATEMENT', 'its subjects are not what its predicate lists', statementPath))
  return findings
}

/** A platform's test results prove themselves; one that failed is genuine, and no release. */
async function verifyTestResults(
  place: ReleasePlace,
  predicate: ReleasePredicate,
  { keys, signers }: Trusted,
): Promise<{ tests: TestResult[]; accepted: TestResult[]; findings: RfoError[] }> {
  const tests: TestResult[] = []
  const accepted: TestResult[] = []
  const findings: RfoError[] = []
  for (const { platform, kind } of predicate.platforms.flatMap((platform) => testKinds.map((kind) => ({ platform, kind })))) {
    try {
      const result = await readTestResult(place, predicate, platform, kind, keys)
      if (result === undefined) continue
      tests.push(result)
      const refusal = refuseSigner(signers, 'tests', result.key, testResultPaths(platform, kind).bundle)
      if (refusal !== undefined) findings.push(refusal)
      else if (isAccepted(result, result.result === 'WARNED' ? await demandsIn(place) : undefined)) accepted.push(result)
      else findings.push(condition('RFO_VERIFY_FAILED', failedText(result), testResultPaths(platform, kind).bundle))
    } catch (thrown) {
      findings.push(toRfoError(thrown))
    }
  }
  return { tests, accepted, findings }
}

function failedText({ kind, failed, warned }: TestResult): string {
  return `${kind}: ${failed > 0 || warned.length === 0 ? `${failed} tests failed` : `${warned.length} tests failed that plan.json does not excuse`}`
}

function testedValues({ kind, platform, passed, warned, notProven }: TestResult): Claim['values'] {
  return { kind, platform, passed, excused: warned.length, notProven: Object.keys(notProven).length }
}

/** plan.json is one of the files that the statement's root covers, and has been hashed by now. */
async function demandsIn(place: ReleasePlace): Promise<ReleasePlan['demands']> {
  const bytes = await place.small('plan.json', maxPlanBytes)
  const said = bytes === undefined ? undefined : Demanding.safeParse(JSON.parse(bytes.toString('utf8')))
  return said?.data?.demands
}
const Demanding = ReleasePlanSchema.pick({ demands: true }).loose()

/** Blobs are judged with the images; every other file is in a list or has its place by the release's form. */
function extraFiles(
  files: readonly string[],
  predicate: ReleasePredicate,
  tests: readonly TestResult[],
  cosignatures: readonly string[],
): RfoError[] {
  const evidence = tests.flatMap(({ platform, kind }) => Object.values(testResultPaths(platform, kind)))
  const known = new Set([...predicate.files.map((file) => file.path), ...besidePaths(predicate), ...evidence, ...cosignatures])
  return files
    .filter((path) => !known.has(path) && !isBlob(path))
    .map((path) => untrusted('RFO_VERIFY_EXTRA', 'a file that no list covers', path))
}
