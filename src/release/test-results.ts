/**
 * Test results beside a release: for each kind of test a signed statement for each platform that was tested, about exactly the
 * platform manifests that ship, and the tarball of results that it names. No list covers them, since they come after the
 * release; each proves itself.
 */
import { z } from 'zod'
import type { ReleasePredicate } from '../attest/release.ts'
import { predicateTypes, type Subject, subjectOf } from '../attest/statement.ts'
import { printableName } from '../conformance/printable.ts'
import { resultsName } from '../conformance/statement.ts'
import { toRfoError } from '../error.ts'
import { type Digest, hex } from '../oci/digest.ts'
import type { PlatformName } from '../oci/platform.ts'
import type { ReleasePlan } from '../plan/release-plan.ts'
import type { TestKind } from '../plan/test-kind.ts'
import type { PublicKey } from '../sign/key.ts'
import { verifyBundle } from '../sign/verify.ts'
import { untrusted } from './verify/finding.ts'
import type { ReleasePlace } from './verify/place.ts'

/** In the names of files; conformance's were there before there were others. */
const fileNames: Readonly<Record<TestKind, string>> = { conformance: 'test-result', checks: 'checks', cis: 'cis' }

export interface TestResultPaths {
  readonly bundle: string
  readonly results: string
}

/** `evidence/test-result.linux-amd64.{sigstore.json,tar.gz}`, `evidence/checks.linux-amd64.…` */
export function testResultPaths(platform: PlatformName, kind: TestKind): TestResultPaths {
  const base = `evidence/${fileNames[kind]}.${platform.replace('/', '-')}`
  return { bundle: `${base}.sigstore.json`, results: `${base}.tar.gz` }
}

/** What was tested: the platform's manifest of every image that is made for it. */
export function testedSubjects(release: Pick<ReleasePredicate, 'images'>, platform: PlatformName): Subject[] {
  return release.images.flatMap((image) => {
    const made = image.platforms[platform]
    return made?.status === 'made' ? [subjectOf(made.digest, image.reference)] : []
  })
}

/** The part of https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md that a verifier reads. */
const Predicate = z.looseObject({
  result: z.enum(['PASSED', 'WARNED', 'FAILED']),
  configuration: z
    .array(
      z.looseObject({
        name: z.string().optional(),
        digest: z.record(z.string(), z.string()).optional(),
        annotations: z.looseObject({ notProven: z.record(z.string(), z.string()).optional() }).optional(),
      }),
    )
    .min(1),
  passedTests: z.array(z.string()).optional(),
  warnedTests: z.array(z.string()).optional(),
  failedTests: z.array(z.string()).optional(),
})

export interface TestResult {
  readonly kind: TestKind
  readonly platform: PlatformName
  readonly result: 'PASSED' | 'WARNED' | 'FAILED'
  readonly passed: number
  readonly failed: number
  /** names of tests that failed and are excused */
  readonly warned: readonly string[]
  /** name of a test that could not run there → why */
  readonly notProven: Readonly<Record<string, string>>
  readonly key: PublicKey
}

/** A megabyte of names of tests, and the signature around them. */
const maxBundleBytes = 16 * 1024 * 1024

/** Whether nothing failed but what the plan excuses there. A result says what was excused; the plan decides what may be. */
export function isAccepted({ result, warned, failed, platform }: TestResult, demands: ReleasePlan['demands']): boolean {
  if (result === 'FAILED' || failed > 0) return false
  const known = (demands?.knownFailures ?? []).filter(({ platforms }) => platforms?.includes(platform) !== false)
  return (result === 'PASSED' || warned.length > 0) && warned.every((name) => known.some(({ spec }) => spec === name))
}

/** Undefined = not tested. Throws RFO_SIGN_* and RFO_VERIFY_* (untrusted) for evidence that is not about this release. */
export async function readTestResult(
  place: ReleasePlace,
  release: ReleasePredicate,
  platform: PlatformName,
  kind: TestKind,
  keys: readonly PublicKey[],
): Promise<TestResult | undefined> {
  const paths = testResultPaths(platform, kind)
  const bundle = await place.small(paths.bundle, maxBundleBytes)
  if (bundle === undefined) return undefined
  try {
    const verified = verifyBundle(bundle, { keys, predicateType: predicateTypes.testResult })
    const predicate = Predicate.parse(verified.statement.predicate)
    const digests = (subjects: readonly Subject[]): string =>
      subjects
        .map((one) => `${one.name} ${one.digest['sha256']}`)
        .sort()
        .join('\n')
    if (digests(verified.statement.subject) !== digests(testedSubjects(release, platform))) {
      throw untrusted('RFO_VERIFY_TESTED', 'other images were tested than those that ship', paths.bundle)
    }
    const named = await resultsNamed(place, paths.results, predicate.configuration)
    if (named.name !== resultsName(kind)) {
      throw untrusted(
        'RFO_VERIFY_TESTED',
        `is about ${printableName(named.name ?? 'unnamed results')}, not ${resultsName(kind)}`,
        paths.bundle,
      )
    }
    return {
      kind,
      platform,
      result: predicate.result,
      passed: predicate.passedTests?.length ?? 0,
      failed: predicate.failedTests?.length ?? 0,
      warned: predicate.warnedTests ?? [],
      notProven: named.annotations?.notProven ?? {},
      key: verified.key,
    }
  } catch (thrown) {
    if (thrown instanceof z.ZodError) throw untrusted('RFO_VERIFY_TESTED', 'not a test result', paths.bundle)
    throw toRfoError(thrown).at(paths.bundle)
  }
}

type Named = z.infer<typeof Predicate>['configuration'][number]

/** What the statement says of the results that lie there. */
async function resultsNamed(place: ReleasePlace, path: string, configuration: readonly Named[]): Promise<Named> {
  const hashed = await place.hash([{ path, sm3: false, size: 0 }]).catch((thrown: unknown) => {
    const { cause } = toRfoError(thrown)
    if ((cause as NodeJS.ErrnoException | undefined)?.code !== 'ENOENT') throw thrown
    throw untrusted('RFO_VERIFY_MISSING', 'the results that the statement names are not there', path)
  })
  const digest = hashed.get(path)?.digest
  const named = configuration.find((one) => one.digest?.['sha256'] === hex(digest as Digest))
  if (named === undefined) throw untrusted('RFO_VERIFY_TESTED', `is ${digest}, which the statement does not name`, path)
  return named
}
