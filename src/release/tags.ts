/**
 * One tag, one digest: who pulled an image by its tag from an earlier release must not get another one. The releases
 * beside the one that is made are asked; they are read unsigned and forgivingly, since they decide nothing but a refusal.
 */
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { ReleasePredicate } from '../attest/release.ts'
import { RfoError } from '../error.ts'
import { endsWithDay } from '../plan/day.ts'
import type { ReleasePlan } from '../plan/release-plan.ts'
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
 * published: what they are called binds nobody, on either side. `planned` says which tags another day would change.
 */
export async function refuseOtherDigests(
  made: Pick<ReleasePredicate, 'version' | 'standIns'> & { readonly images: Earlier['images'] },
  outDir: string,
  planned: ReleasePlan['images'] = [],
): Promise<void> {
  if (made.standIns.length > 0) return
  const own = [made.version, candidateName(made.version)]
  const names = (await readdir(outDir).catch(() => [])).filter((name) => !name.startsWith('.') && !own.includes(name)).sort()
  const conflicts: { readonly reference: string; readonly text: string; readonly folder: string }[] = []
  for (const name of names.slice(0, maxReleases)) {
    const folder = join(outDir, name)
    const earlier = await readEarlier(folder)
    if (earlier === undefined || earlier.standIns.length > 0 || own.includes(earlier.version)) continue
    const known = new Map(earlier.images.map((image) => [image.reference, image.digest]))
    for (const { reference, digest } of made.images) {
      const before = known.get(reference)
      if (before !== undefined && before !== digest)
        conflicts.push({ reference, text: `${reference} is ${before} in ${earlier.version}, and would be ${digest} now`, folder })
    }
  }
  const [first] = conflicts
  if (first === undefined) return
  throw new RfoError('RFO_RELEASE_TAG', conflicts.length === 1 ? first.text : `${first.text}, and ${conflicts.length - 1} more`, {
    exit: 'condition',
    where: first.folder,
    next: wayOut(
      made.version,
      conflicts.map(({ reference }) => planned.find((image) => image.reference === reference)),
    ),
    details: conflicts.map((conflict) => conflict.text),
  })
}

/** A compiler or an rfo-build that gives other bytes moves no day by itself: nothing in the lock shows it. */
function wayOut(version: string, images: readonly (ReleasePlan['images'][number] | undefined)[]): string {
  const names = new Set(images.flatMap((image) => (image !== undefined && endsWithDay(image) ? [image.component] : [])))
  if (names.size > 0) return `rfo-build lock ${version} --rebuild ${[...names].join(' ')}`
  return 'give the image a tag of its own with `tag:` in its pipeline, or lay this release out elsewhere with --out'
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
