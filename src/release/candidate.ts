/** A candidate: all of a release but for evidence that is demanded and not there. */
import { join } from 'node:path'
import { ReleasePredicate } from '../attest/release.ts'
import { parseStatement } from '../attest/statement.ts'
import { readBytes } from '../content/read.ts'
import type { ContentReader } from '../content/store.ts'
import { toRfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { parseIndex } from '../oci/manifest.ts'
import { annotationKeys } from '../oci/mediatype.ts'
import type { PlatformName } from '../oci/platform.ts'
import type { ReleasePlan } from '../plan/release-plan.ts'
import { type TestKind, testKinds } from '../plan/test-kind.ts'
import type { SigningKey } from '../sign/key.ts'
import { given } from './given.ts'
import { isAccepted, readTestResult, testResultPaths } from './test-results.ts'
import { maxStatementBytes, statementPath } from './verify/files.ts'
import { folderPlace } from './verify/place.ts'

/** Where everything goes while evidence is missing. */
export function candidateName(version: string): string {
  return `${version}.candidate`
}

export interface MissingEvidence {
  readonly kind: TestKind
  readonly platform: PlatformName
}

/** What of a plan says which evidence must be there. */
export type Demanding = Pick<ReleasePlan, 'version' | 'platforms' | 'demands'>

/** Test results that lie in the release's or the candidate's folder and hold for what was made now. */
export async function carriedEvidence(
  { plan, outDir, key }: { readonly plan: Demanding; readonly outDir: string; readonly key: SigningKey },
  predicate: ReleasePredicate,
): Promise<{ carried: { path: string; from: string }[]; missing: MissingEvidence[] }> {
  const carried: { path: string; from: string }[] = []
  const missing: MissingEvidence[] = []
  const wanted = plan.platforms.flatMap((platform) => testKinds.map((kind) => ({ platform, kind })))
  for (const { platform, kind } of wanted) {
    let passed = false
    for (const folder of [plan.version, candidateName(plan.version)].map((name) => join(outDir, name))) {
      const found = await readTestResult(folderPlace(folder), predicate, platform, kind, [key.publicKey]).catch((thrown: unknown) => {
        // what does not hold for these images is left behind with the old folder; what can't be read is not lost for that
        if (toRfoError(thrown).exit === 'untrusted') return undefined
        throw thrown
      })
      if (found === undefined) continue
      for (const path of Object.values(testResultPaths(platform, kind))) carried.push({ path, from: join(folder, path) })
      passed = isAccepted(found, plan.demands)
      break
    }
    if (!passed && plan.demands?.[kind]?.includes(platform) === true) missing.push({ kind, platform })
  }
  return { carried, missing }
}

/** What the statement says that was made now. */
export async function readPredicate(beside: Descriptor, from: ContentReader): Promise<ReleasePredicate> {
  return ReleasePredicate.parse(parseStatement(await readStatementBytes(beside, from)).predicate)
}

export async function readStatementBytes(beside: Descriptor, from: ContentReader): Promise<Uint8Array> {
  const entry = parseIndex(await readBytes(from, beside)).manifests.find((one) => one.annotations?.[annotationKeys.title] === statementPath)
  return await readBytes(from, given(entry), maxStatementBytes)
}
