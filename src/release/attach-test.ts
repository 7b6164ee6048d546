/** Puts a test result beside a release or a candidate: counted, bound to the digests that ship, signed. */
import { randomUUID } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { copyFile, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ReleasePredicate } from '../attest/release.ts'
import { parseStatement, predicateTypes, statement, statementBytes } from '../attest/statement.ts'
import { countChecks, type Outcomes, readCheckResults } from '../conformance/checks/outcome.ts'
import { readSonobuoy } from '../conformance/sonobuoy.ts'
import { type Counted, refuseOtherPlatform, testPredicate, testResult } from '../conformance/statement.ts'
import { type Verdict, verdictOf } from '../conformance/verdict.ts'
import { RfoError } from '../error.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import type { Json } from '../oci/json.ts'
import type { PlatformName } from '../oci/platform.ts'
import type { KnownFailure } from '../plan/component.ts'
import type { TestKind } from '../plan/test-kind.ts'
import { signStatement } from '../sign/bundle.ts'
import type { SigningKey } from '../sign/key.ts'
import { writeFlushed } from './lay-out.ts'
import { testedSubjects, testResultPaths } from './test-results.ts'
import { bundlePath, maxStatementBytes, statementPath } from './verify/files.ts'
import { trustedAlone, verifyImages } from './verify/images.ts'
import { hashFile, readSmall } from './verify/tree.ts'
import { verifyRelease } from './verify/verify.ts'

export interface AttachTestRequest {
  /** of a release or a candidate */
  readonly folder: string
  readonly platform: PlatformName
  /** tarball as `sonobuoy retrieve` gives it */
  readonly results: string
  /** what was seen of the cluster, when it was us who looked */
  readonly cluster?: Json
  /** failures that the project excuses, on whatever platform, and the day that counts, `2026-11-23` */
  readonly excused?: { readonly knownFailures: readonly KnownFailure[]; readonly today: string }
  readonly key: SigningKey
  readonly signal?: AbortSignal
}

export interface AttachedTest {
  readonly verdict: Verdict
  readonly release: ReleasePredicate
  /** beside the release */
  readonly results: string
  /** what the suite was asked for, where the results say so */
  readonly asked: { readonly focus: string; readonly skip: string } | undefined
  /** of the statement */
  readonly digest: Digest
}

/**
 * Signs only what it has checked: a release is verified whole, a candidate by the signatures of its images, both with the
 * signing key's own public half. A failed run is attached, too: it is evidence. Throws when nothing ran (exit undecided).
 */
export async function attachTest(request: AttachTestRequest): Promise<AttachedTest> {
  const { folder, platform, key } = request
  const release = await checkedRelease(folder, key)
  const run = await readSonobuoy(createReadStream(request.results, { highWaterMark: 1 << 20 }), request.signal)
  const excused = (request.excused?.knownFailures ?? []).filter(({ platforms }) => platforms?.includes(platform) !== false)
  const verdict = verdictOf(run, excused, request.excused?.today)
  if (verdict.ran === 0) throw noneRan(request.results)
  refuseOtherVersion(run.kubernetes?.version, release.version, request.results)
  const attached = await attachEvidence({
    ...request,
    kind: 'conformance',
    release,
    predicate: (results) =>
      testResult(verdict, run, {
        platform,
        version: release.version,
        results,
        ...(request.cluster === undefined ? {} : { cluster: request.cluster }),
      }),
  })
  return { verdict, release, ...attached, asked: run.plugin ?? undefined }
}

export interface EvidenceRequest extends Pick<AttachTestRequest, 'folder' | 'platform' | 'results' | 'key'> {
  readonly kind: TestKind
  /** from `checkedRelease` */
  readonly release: ReleasePredicate
  /** what is said of the results, which are named by digest */
  readonly predicate: (results: { readonly digest: Digest; readonly size: number }) => Json
}

/** Signs a predicate about the platform's manifests, and puts it and the results in their places. */
export async function attachEvidence(request: EvidenceRequest): Promise<Pick<AttachedTest, 'results' | 'digest'>> {
  const { folder, platform, kind, release } = request
  const paths = testResultPaths(platform, kind)
  const { digest, size } = await hashFile(request.results, false).catch((cause: unknown) => {
    throw new RfoError('RFO_TEST_RESULTS', "can't read the results", { exit: 'usage', where: request.results, cause })
  })
  const predicate = request.predicate({ digest: digest as Digest, size })
  const bytes = statementBytes(statement(testedSubjects(release, platform), predicateTypes.testResult, predicate))
  const bundle = await signStatement(bytes, request.key)
  await put(join(folder, paths.results), (to) => copyFile(request.results, to))
  await put(join(folder, paths.bundle), (to) => writeFlushed(to, bundle))
  return { results: join(folder, paths.results), digest: digestOf(bytes) }
}

/** The same of checks: what `test --suite checks` packed, here or elsewhere. */
export async function attachChecks(request: Omit<AttachTestRequest, 'excused'>): Promise<AttachedChecks> {
  const { folder, platform, key } = request
  const release = await checkedRelease(folder, key)
  const run = await readCheckResults(createReadStream(request.results, { highWaterMark: 1 << 20 }), request.signal)
  const counted = countChecks(run)
  if (counted.passed.length + counted.failed.length === 0) throw noneRan(request.results)
  refuseOtherVersion(run.kubernetes.version, release.version, request.results)
  refuseOtherPlatform(run.kubernetes.platform, platform)
  const about = { platform, version: release.version, ...(request.cluster === undefined ? {} : { cluster: request.cluster }) }
  const predicate: EvidenceRequest['predicate'] = (results) => testPredicate(counted, { ...about, results })
  const { digest } = await attachEvidence({ ...request, kind: 'checks', release, predicate })
  return { counted, outcomes: run.outcomes, digest }
}

export interface AttachedChecks extends Pick<AttachedTest, 'digest'> {
  readonly counted: Counted
  readonly outcomes: Outcomes
}

function noneRan(where: string): RfoError {
  return new RfoError('RFO_TEST_NONE', 'no test ran: that proves nothing, whatever the runner calls it', { exit: 'undecided', where })
}

/** A run of another Kubernetes says nothing about this one. A run that does not say which it was is taken, and says so. */
function refuseOtherVersion(measured: string | undefined, version: string, where: string): void {
  const core = (text: string): string => text.replace(/\+.*$/, '')
  if (measured === undefined || core(measured) === core(version)) return
  throw new RfoError('RFO_TEST_VERSION', `the results are of Kubernetes ${measured.slice(0, 60)}, not of ${version}`, {
    exit: 'condition',
    where,
    next: 'take the results of a cluster of this release',
  })
}

/** A release or a candidate whose images carry the key's signature. */
export async function checkedRelease(folder: string, key: SigningKey): Promise<ReleasePredicate> {
  const signed = (await readSmall(join(folder, bundlePath), maxStatementBytes * 2, bundlePath)) !== undefined
  if (signed) {
    const report = await verifyRelease({ folder, keys: [key.publicKey] })
    const [bad] = report.findings.filter((finding) => finding.exit === 'untrusted')
    if (bad !== undefined) throw bad
    return report.predicate
  }
  const bytes = await readSmall(join(folder, statementPath), maxStatementBytes, statementPath)
  if (bytes === undefined)
    throw new RfoError('RFO_TEST_RELEASE', 'neither a release nor a candidate', {
      exit: 'usage',
      where: folder,
      next: 'rfo-build release <version>',
    })
  const parsed = ReleasePredicate.safeParse(parseStatement(bytes).predicate)
  if (!parsed.success)
    throw new RfoError('RFO_TEST_RELEASE', 'not what a release says', { exit: 'untrusted', where: join(folder, statementPath) })
  // a candidate's statement is not signed: its images are, and their digests are all that is taken from it
  const [bad] = (await verifyImages(folder, parsed.data, { ...trustedAlone(key.publicKey), candidate: true })).findings
  if (bad !== undefined) throw bad
  return parsed.data
}

/** Beside, flushed, renamed. */
async function put(path: string, write: (to: string) => Promise<void>): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const temporary = `${path}.${randomUUID()}`
  try {
    await write(temporary)
    const file = await open(temporary, 'r+')
    try {
      await file.chmod(0o644)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (thrown) {
    await rm(temporary, { force: true })
    throw thrown
  }
}
