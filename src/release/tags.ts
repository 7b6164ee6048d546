/**
 * One tag, one digest: who pulled an image by its tag from an earlier release must not get another one. The releases
 * beside the one that is made are asked; they are read unsigned and forgivingly, since they decide nothing but a refusal.
 */
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { ReleasePredicate } from '../attest/release.ts'
import { RfoError } from '../error.ts'
import { candidateName } from './candidate.ts'
import { maxStatementBytes, statementPath } from './verify/files.ts'
import { readSmall } from './verify/tree.ts'

/** A folder of releases that somebody keeps holds fewer. */
const maxReleases = 1000

/** What is read of an earlier release, whichever rfo-build made it. */
const Earlier = z.object({
  predicate: z.object({
    version: z.string(),
    standIns: z.array(z.unknown()),
    images: z.array(z.object({ reference: z.string(), digest: z.string() })),
  }),
})
type Earlier = z.infer<typeof Earlier>['predicate']

/**
 * Throws RFO_RELEASE_TAG. A folder of the same version is about to be replaced, and is not asked. Stand-ins are never
 * published: what they are called binds nobody, on either side.
 */
export async function refuseOtherDigests(
  made: Pick<ReleasePredicate, 'version' | 'standIns'> & { readonly images: Earlier['images'] },
  outDir: string,
): Promise<void> {
  if (made.standIns.length > 0) return
  const own = [made.version, candidateName(made.version)]
  const names = (await readdir(outDir).catch(() => [])).filter((name) => !name.startsWith('.') && !own.includes(name)).sort()
  const conflicts: { readonly text: string; readonly folder: string }[] = []
  for (const name of names.slice(0, maxReleases)) {
    const folder = join(outDir, name)
    const earlier = await readEarlier(folder)
    if (earlier === undefined || earlier.standIns.length > 0 || own.includes(earlier.version)) continue
    const known = new Map(earlier.images.map((image) => [image.reference, image.digest]))
    for (const { reference, digest } of made.images) {
      const before = known.get(reference)
      if (before !== undefined && before !== digest)
        conflicts.push({ text: `${reference} is ${before} in ${earlier.version}, and would be ${digest} now`, folder })
    }
  }
  const [first] = conflicts
  if (first === undefined) return
  throw new RfoError('RFO_RELEASE_TAG', conflicts.length === 1 ? first.text : `${first.text}, and ${conflicts.length - 1} more`, {
    exit: 'condition',
    where: first.folder,
    next: 'give the image a tag of its own with `tag:` in its pipeline, or lay this release out elsewhere with --out',
    details: conflicts.map((conflict) => conflict.text),
  })
}

/** undefined = no release that says anything: not there, too large, or not a statement. */
async function readEarlier(folder: string): Promise<Earlier | undefined> {
  const path = join(folder, statementPath)
  try {
    if (!(await lstat(path)).isFile()) return undefined
    const bytes = await readSmall(path, maxStatementBytes, path)
    return bytes === undefined ? undefined : Earlier.parse(JSON.parse(bytes.toString('utf8'))).predicate
  } catch {
    return undefined
  }
}
