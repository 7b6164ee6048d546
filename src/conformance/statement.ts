/** The verdict as a predicate: https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md */
import { RfoError } from '../error.ts'
import { type Digest, hex } from '../oci/digest.ts'
import type { Json } from '../oci/json.ts'
import type { PlatformName } from '../oci/platform.ts'
import type { TestKind } from '../plan/test-kind.ts'
import { printableName } from './printable.ts'
import type { SonobuoyRun } from './sonobuoy.ts'
import type { Verdict } from './verdict.ts'

/** What a statement calls the tarball that it was counted from; a statement of one kind can't stand for another. */
export function resultsName(kind: TestKind): string {
  return `${kind} results`
}

export interface TestResultInput {
  readonly platform: PlatformName
  /** Of the release that was installed, with its `v`. */
  readonly version: string
  /** The tarball that the verdict was read from; size in bytes. */
  readonly results: { readonly digest: Digest; readonly size: number }
  /** what was seen of the cluster: versions, nodes, image digests */
  readonly cluster?: Json
}

/** What was counted, of whatever kind. Names are printable. */
export interface Counted {
  readonly kind: TestKind
  readonly result: Verdict['result']
  readonly passed: readonly string[]
  /** failed, and excused */
  readonly warned: readonly string[]
  readonly failed: readonly string[]
  /** name of a test that could not run there → why */
  readonly notProven: Readonly<Record<string, string>>
  /** whatever else is known */
  readonly facts: Readonly<Record<string, Json>>
}

/**
 * The predicate has no place for what did not run, nor for counts; its resource descriptors have one, `annotations`: "additional
 * information or metadata about the resource" https://github.com/in-toto/attestation/blob/main/spec/v1/resource_descriptor.md
 */
export function testPredicate({ kind, result, passed, warned, failed, notProven, facts }: Counted, input: TestResultInput): Json {
  return {
    result,
    configuration: [
      {
        name: resultsName(kind),
        mediaType: 'application/gzip',
        digest: { sha256: hex(input.results.digest) },
        annotations: {
          ...facts,
          release: input.version,
          platform: input.platform,
          size: input.results.size,
          ...(Object.keys(notProven).length === 0 ? {} : { notProven }),
          ...(input.cluster === undefined ? {} : { cluster: input.cluster }),
        },
      },
    ],
    passedTests: passed,
    ...(warned.length === 0 ? {} : { warnedTests: warned }),
    failedTests: failed,
  }
}

/** Throws RFO_CONFORMANCE_PLATFORM (exit condition). What a run does not say is not held against it. */
export function refuseOtherPlatform(measured: string | undefined, platform: PlatformName): void {
  if (measured === undefined || measured === platform) return
  throw new RfoError('RFO_CONFORMANCE_PLATFORM', `the results are of ${printableName(measured)}, not of ${platform}`, {
    exit: 'condition',
    next: 'name the platform of the cluster that the results came from',
  })
}

/** A run of the e2e suite; of another platform it is refused. */
export function testResult(verdict: Verdict, run: SonobuoyRun, input: TestResultInput): Json {
  refuseOtherPlatform(run.kubernetes?.platform, input.platform)
  const { asked, ran, passed, failed, skipped, suiteNodes } = verdict
  const told: Readonly<Record<string, string | null | undefined>> = {
    kubernetes: run.kubernetes?.version,
    sonobuoy: run.sonobuoy,
    image: run.plugin?.image,
    focus: run.plugin?.focus,
    skip: run.plugin?.skip,
  }
  const counted: Counted = {
    kind: 'conformance',
    result: verdict.result,
    passed: verdict.passes,
    warned: verdict.known.map(({ spec }) => spec),
    failed: verdict.failures,
    notProven: {},
    facts: {
      ...Object.fromEntries(Object.entries(told).flatMap(([key, value]) => (value == null ? [] : [[key, printableName(value)] as const]))),
      counts: { asked, ran, passed, failed, skipped, suiteNodes },
      why: verdict.why,
      ...(verdict.known.length === 0 ? {} : { known: verdict.known.map((each) => ({ ...each })) }),
    },
  }
  return testPredicate(counted, input)
}
