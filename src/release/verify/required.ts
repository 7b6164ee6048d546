/** Evidence that whoever verifies asks for. A release may do without; then nothing can be said, which is no yes. */
import type { ReleasePredicate } from '../../attest/release.ts'
import type { RfoError } from '../../error.ts'
import type { PlatformName } from '../../oci/platform.ts'
import type { ReleasePlan } from '../../plan/release-plan.ts'
import { type TestKind, testCommand, testKinds } from '../../plan/test-kind.ts'
import { type TestResult, testResultPaths } from '../test-results.ts'
import { undecided } from './finding.ts'

export interface Requirement {
  readonly kind: TestKind
  /** absent: those that plan.json demands it of, or any one */
  readonly platforms?: readonly PlatformName[] | undefined
}

/** `accepted` are results that hold for this release. What a failed one says is a finding of its own. */
export function lackingEvidence(
  required: readonly Requirement[],
  predicate: ReleasePredicate,
  demands: ReleasePlan['demands'],
  accepted: readonly TestResult[],
): RfoError[] {
  return testKinds.flatMap((kind) => {
    const tested = new Set(accepted.filter((one) => one.kind === kind).map(({ platform }) => platform))
    const missing = required.flatMap((each): readonly PlatformName[] => {
      if (each.kind !== kind) return []
      const wanted = each.platforms ?? demands?.[kind] ?? []
      if (wanted.length > 0) return wanted.filter((platform) => !tested.has(platform))
      return tested.size > 0 ? [] : predicate.platforms
    })
    return [...new Set(missing)].map((platform) =>
      undecided(
        'RFO_VERIFY_UNTESTED',
        `no ${kind} result of ${platform} that holds for these images`,
        testResultPaths(platform, kind).bundle,
        testCommand(predicate.version, kind, platform),
      ),
    )
  })
}
