/** What a release has besides the files that its statement lists: blobs by their digest, signatures and test results by their name. */
import type { ReleasePredicate } from '../../attest/release.ts'
import { testKinds } from '../../plan/test-kind.ts'
import { blobDigest, type ReleaseFile } from '../shelf.ts'
import { testResultPaths } from '../test-results.ts'
import { besidePaths } from '../verify/files.ts'

/** Whether a file that no list covers has its place in this release; what it says is for verify to judge. */
export function knownPath(predicate: ReleasePredicate): (file: Pick<ReleaseFile, 'path' | 'digest'>) => boolean {
  const results = predicate.platforms.flatMap((platform) => testKinds.flatMap((kind) => Object.values(testResultPaths(platform, kind))))
  const beside = new Set([...besidePaths(predicate), ...results])
  return ({ path, digest }) =>
    blobDigest(path) === digest || beside.has(path) || /^evidence\/release\.[0-9a-f]{64}\.sigstore\.json$/.test(path)
}
