/** `verify`: the walk of a release backwards, without a network. Nothing unverified is read as a fact. */
import { join } from 'node:path'
import { ReleasePredicate } from '../../attest/release.ts'
import { predicateTypes } from '../../attest/statement.ts'
import { type RfoError, toRfoError } from '../../error.ts'
import type { Digest } from '../../oci/digest.ts'
import { canonicalJson } from '../../oci/json.ts'
import { ReleasePlanSchema } from '../../plan/plan-schema.ts'
import type { ReleasePlan } from '../../plan/release-plan.ts'
import type { TrustedIdentity } from '../../sign/identity.ts'
import type { PublicKey } from '../../sign/key.ts'
import { type VerifiedStatement, verifyBundle } from '../../sign/verify.ts'
import { releaseStatement } from '../predicate.ts'
import { refuseStandIns } from '../refusals.ts'
import { isRooted, rootDigest, rootIndex } from '../root.ts'
import { isAccepted, readTestResult, type TestResult, testResultPaths } from '../test-results.ts'
import type { Claim } from './claims.ts'
import { besidePaths, bundlePath, checksumPaths, maxStatementBytes, statementPath, verifyChecksumLists, verifyFiles } from './files.ts'
import { condition, untrusted } from './finding.ts'
import { verifyImages } from './images.ts'
import { verifyKeyless } from './keyless.ts'
import { verifyPrograms } from './programs.ts'
import { lackingEvidence, type Requirement } from './required.ts'
import { type OtherKeys, verifySignatures } from './signatures.ts'
import { readSmall, readTree } from './tree.ts'

export interface VerifyRequest {
  readonly folder: string
  readonly keys: readonly PublicKey[]
  readonly otherKeys?: OtherKeys
  /** Who must have signed without a key, besides. */
  readonly identity?: TrustedIdentity
  /** The version that the folder must hold. */
  readonly expect?: string
  /** Evidence that must be there. */
  readonly require?: readonly Requirement[]
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
  readonly claims: readonly Claim[]
  readonly findings: readonly RfoError[]
}

/** Throws when nothing can be said at all: no release, no statement, no key, not signed by a given key. */
export async function verifyRelease(request: VerifyRequest): Promise<VerifyReport> {
  const { folder, keys } = request
  const tree = await readTree(folder)
  const { verified, bytes } = await readStatement(folder, keys)
  const predicate = parsePredicate(verified)
  const findings: RfoError[] = [...tree.findings]
  const claims: Claim[] = []
  const claim = (name: Claim['name'], values: Claim['values'], found: readonly RfoError[]): void => {
    findings.push(...found)
    if (found.length === 0) claims.push({ name, values })
  }
  claim('statement', { fingerprint: verified.key.fingerprint }, sameStatement(bytes, verified))
  if (request.expect !== undefined) claim('expected', { version: request.expect }, expected(predicate, request.expect))
  claim('root', {}, checkRoot(predicate, verified))
  claim('files', { count: predicate.files.length }, await verifyFiles(folder, predicate, new Set(tree.files)))
  const signatures = await verifySignatures(folder, predicate, verified.key, request.otherKeys ?? { sm2: [], pgp: [] })
  claim('checksums', { count: checksumPaths(predicate).length }, [...(await verifyChecksumLists(folder, predicate)), ...signatures.lists])
  findings.push(...signatures.findings)
  claims.push(...signatures.claims)
  const programs = await verifyPrograms(folder, predicate, verified.key)
  claim('programs', { count: programs.count }, programs.findings)
  const keyless = await verifyKeyless(folder, predicate, verified, request.identity)
  findings.push(...keyless.findings)
  const images = await verifyImages(folder, predicate, [verified.key], keyless.identity)
  const { tests, accepted, findings: untested } = await verifyTestResults(folder, predicate, keys)
  findings.push(...untested)
  for (const one of accepted)
    claims.push({ name: 'tested', values: { platform: one.platform, passed: one.passed, excused: one.warned.length } })
  const extras = extraFiles(tree.files, predicate, tests)
  findings.push(...images.findings, ...extras)
  if (images.findings.length === 0) {
    claims.push({ name: 'blobs', values: { count: images.blobs } }, { name: 'images', values: { count: predicate.images.length } })
    claims.push({ name: 'signatures', values: { count: images.signed } }, { name: 'attestations', values: { count: images.attestations } })
    if (keyless.identity !== undefined && keyless.findings.length === 0) claims.push(keylessClaim(keyless.identity, images.signed))
    if (extras.length === 0 && tree.findings.length === 0) claims.push({ name: 'extras', values: {} })
  }
  const required = request.require ?? []
  if (required.length > 0) findings.push(...lackingEvidence(required, predicate, await demandsIn(folder), accepted))
  findings.push(...refuseStandIns(predicate, verified.key))
  return {
    predicate,
    root: predicate.root.digest,
    fingerprint: verified.key.fingerprint,
    standInWorld: predicate.standInKey !== undefined,
    tests,
    claims,
    findings,
  }
}

function keylessClaim({ identity, issuer, root }: TrustedIdentity, count: number): Claim {
  return { name: 'keyless', values: { identity, issuer, root: root.digest, count } }
}

async function readStatement(
  folder: string,
  keys: readonly PublicKey[],
): Promise<{ verified: VerifiedStatement; bytes: Buffer | undefined }> {
  const bundle = await readSmall(join(folder, bundlePath), maxStatementBytes * 2, bundlePath)
  if (bundle === undefined) throw untrusted('RFO_VERIFY_MISSING', 'no signature of the release statement', bundlePath)
  try {
    const verified = verifyBundle(bundle, { keys, predicateType: predicateTypes.release })
    return { verified, bytes: await readSmall(join(folder, statementPath), maxStatementBytes, statementPath) }
  } catch (thrown) {
    throw toRfoError(thrown).at(bundlePath)
  }
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

function checkRoot(predicate: ReleasePredicate, verified: VerifiedStatement): RfoError[] {
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
  if (!releaseStatement(predicate).equals(verified.payload))
    findings.push(untrusted('RFO_VERIFY_STATEMENT', 'its subjects are not what its predicate lists', statementPath))
  return findings
}

/** A platform's test result proves itself; one that failed is genuine, and no release. */
async function verifyTestResults(
  folder: string,
  predicate: ReleasePredicate,
  keys: readonly PublicKey[],
): Promise<{ tests: TestResult[]; accepted: TestResult[]; findings: RfoError[] }> {
  const tests: TestResult[] = []
  const accepted: TestResult[] = []
  const findings: RfoError[] = []
  for (const platform of predicate.platforms) {
    try {
      const result = await readTestResult(folder, predicate, platform, keys)
      if (result === undefined) continue
      tests.push(result)
      if (isAccepted(result, result.result === 'WARNED' ? await demandsIn(folder) : undefined)) accepted.push(result)
      else findings.push(condition('RFO_VERIFY_FAILED', failedText(result), testResultPaths(platform).bundle))
    } catch (thrown) {
      findings.push(toRfoError(thrown))
    }
  }
  return { tests, accepted, findings }
}

function failedText({ failed, warned }: TestResult): string {
  return failed > 0 || warned.length === 0 ? `${failed} tests failed` : `${warned.length} tests failed that plan.json does not excuse`
}

/** Larger than the plan of any release. */
const maxPlanBytes = 32 * 1024 * 1024

/** plan.json is one of the files that the statement's root covers, and has been hashed by now. */
async function demandsIn(folder: string): Promise<ReleasePlan['demands']> {
  const bytes = await readSmall(join(folder, 'plan.json'), maxPlanBytes, 'plan.json')
  const said = bytes === undefined ? undefined : Demanding.safeParse(JSON.parse(bytes.toString('utf8')))
  return said?.data?.demands
}
const Demanding = ReleasePlanSchema.pick({ demands: true }).loose()

/** Blobs are judged with the images; every other file is in a list or has its place by the release's form. */
function extraFiles(files: readonly string[], predicate: ReleasePredicate, tests: readonly TestResult[]): RfoError[] {
  const evidence = tests.flatMap(({ platform }) => Object.values(testResultPaths(platform)))
  const known = new Set([...predicate.files.map((file) => file.path), ...besidePaths(predicate), ...evidence])
  return files
    .filter((path) => !known.has(path) && !/^oci\/blobs\/sha256\/[^/]+$/.test(path))
    .map((path) => untrusted('RFO_VERIFY_EXTRA', 'a file that no list covers', path))
}
