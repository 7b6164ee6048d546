/**
 * The highest version of each minor that was loaded from here, so that an older, genuine release is not taken for the newest. A file of
 * this user's state: https://specifications.freedesktop.org/basedir-spec/0.8/#variables
 */
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import type { ReleasePredicate } from '../attest/release.ts'
import { makeFolder, writeFileOnce } from '../content/atomic.ts'
import { bytesBody } from '../content/body.ts'
import { RfoError } from '../error.ts'
import { canonicalJson } from '../oci/json.ts'
import { compareVersions, minorLine, parseVersion } from '../plan/version.ts'

/** What stands in for RFO has lines of its own: it is no version of RFO. */
const Highest = z.strictObject({
  schema: z.literal('rfo-build.loaded/1'),
  genuine: z.record(z.string().max(20), z.string().max(60)),
  standIn: z.record(z.string().max(20), z.string().max(60)),
})
type Highest = z.infer<typeof Highest>

export function highestFile(env: Readonly<Record<string, string>>, cwd: string): string {
  const home = env['XDG_STATE_HOME'] || join(env['HOME'] || cwd, '.local/state')
  return join(home, 'rfo-build/loaded.json')
}

/** Throws RFO_LOAD_DOWNGRADE (condition) for a release below one of its minor that was loaded; RFO_LOAD_STATE (undecided). */
export async function refuseDowngrade(file: string, predicate: ReleasePredicate): Promise<void> {
  const known = linesOf(await read(file), predicate)[lineOf(predicate)]
  if (known === undefined || compareVersions(parseVersion(predicate.version), parseVersion(known)) >= 0) return
  throw new RfoError('RFO_LOAD_DOWNGRADE', `${predicate.version} is older than ${known}, which was loaded from here`, {
    exit: 'condition',
    where: file,
    next: 'give --allow-downgrade if you mean it',
  })
}

/** A version never falls back. */
export async function rememberLoaded(file: string, predicate: ReleasePredicate): Promise<void> {
  const before = await read(file)
  const lines = linesOf(before, predicate)
  const known = lines[lineOf(predicate)]
  if (known !== undefined && compareVersions(parseVersion(predicate.version), parseVersion(known)) <= 0) return
  const kind = kindOf(predicate)
  const after: Highest = { ...before, [kind]: { ...before[kind], [lineOf(predicate)]: predicate.version } }
  await makeFolder(dirname(file))
  await writeFileOnce(dirname(file), bytesBody(Buffer.from(`${canonicalJson(after)}\n`)), () => file)
}

function kindOf({ standIns, standInKey }: ReleasePredicate): 'genuine' | 'standIn' {
  return standIns.length > 0 || standInKey !== undefined ? 'standIn' : 'genuine'
}

function linesOf(highest: Highest, predicate: ReleasePredicate): Readonly<Record<string, string>> {
  return highest[kindOf(predicate)]
}

function lineOf({ version }: ReleasePredicate): string {
  return minorLine(parseVersion(version))
}

async function read(file: string): Promise<Highest> {
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR') return undefined
    throw unreadable(file, cause.code ?? cause.message, cause)
  })
  if (text === undefined) return { schema: 'rfo-build.loaded/1', genuine: {}, standIn: {} }
  try {
    const parsed = Highest.parse(JSON.parse(text))
    for (const version of Object.values({ ...parsed.genuine, ...parsed.standIn })) parseVersion(version)
    return parsed
  } catch (cause) {
    throw unreadable(file, 'it is not what load wrote', cause)
  }
}

function unreadable(file: string, why: string, cause: unknown): RfoError {
  return new RfoError('RFO_LOAD_STATE', `nobody can say what was loaded before: ${why}`, {
    exit: 'undecided',
    where: file,
    cause,
    next: 'mend the file, or move it away and so forget',
  })
}
