/** The verdict as a predicate: https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md */
import { RfoError } from '../error.ts'
import { type Digest, hex } from '../oci/digest.ts'
import type { Json } from '../oci/json.ts'
import type { PlatformName } from '../oci/platform.ts'
import { printableName } from './printable.ts'
import type { SonobuoyRun } from './sonobuoy.ts'
import type { Verdict } from './verdict.ts'

export interface TestResultInput {
  readonly platform: PlatformName
  /** Of the release that was installed, with its `v`. */
  readonly version: string
  /** The tarball that the verdict was read from; size in bytes. */
  readonly results: { readonly digest: Digest; readonly size: number }
  /** what was seen of the cluster: versions, nodes, image digests */
  readonly cluster?: Json
}

/**
 * The predicate has no place for counts; its resource descriptors have one, `annotations`: "additional information or
 * metadata about the resource" https://github.com/in-toto/attestation/blob/main/spec/v1/resource_descriptor.md. Throws
 * RFO_CONFORMANCE_PLATFORM (exit condition) for results of another platform.
 */
export function testResult(verdict: Verdict, run: SonobuoyRun, input: TestResultInput): Json {
  const measured = run.kubernetes?.platform
  if (measured !== undefined && measured !== input.platform) {
    throw new RfoError('RFO_CONFORMANCE_PLATFORM', `the results are of ${printableName(measured)}, not of ${input.platform}`, {
      exit: 'condition',
      next: 'name the platform of the cluster that the results came from',
    })
  }
  const { asked, ran, passed, failed, skipped, suiteNodes } = verdict
  const facts: Readonly<Record<string, string | null | undefined>> = {
    kubernetes: run.kubernetes?.version,
    sonobuoy: run.sonobuoy,
    image: run.plugin?.image,
    focus: run.plugin?.focus,
    skip: run.plugin?.skip,
  }
  const known = Object.entries(facts).flatMap(([key, value]) => (value == null ? [] : [[key, printableName(value)] as const]))
  return {
    result: verdict.result,
    configuration: [
      {
        name: 'conformance results',
        mediaType: 'application/gzip',
        digest: { sha256: hex(input.results.digest) },
        annotations: {
          ...Object.fromEntries(known),
          release: input.version,
          platform: input.platform,
          size: input.results.size,
          counts: { asked, ran, passed, failed, skipped, suiteNodes },
          why: verdict.why,
          ...(verdict.known.length === 0 ? {} : { known: verdict.known.map((each) => ({ ...each })) }),
          ...(input.cluster === undefined ? {} : { cluster: input.cluster }),
        },
      },
    ],
    passedTests: verdict.passes,
    ...(verdict.known.length === 0 ? {} : { warnedTests: verdict.known.map(({ spec }) => spec) }),
    failedTests: verdict.failures,
  }
}
