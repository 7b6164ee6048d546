/** Which images a node should have, and what its folder of images does besides. */
import type { ReleasePredicate } from '../attest/release.ts'
import { RfoError } from '../error.ts'
import type { PlatformName } from '../oci/platform.ts'
import type { FolderLoaded, NodeSelection } from '../release/load-folder.ts'
import type { ReleaseFiles } from '../release/shelf.ts'
import { chosenOf } from './chosen.ts'
import type { CliContext } from './context.ts'
import { hostArchitecture } from './host.ts'
import type { Flags } from './verb.ts'
import { word } from './words.ts'

/** What was chosen, for this machine's platform unless told. */
export async function nodeSelection(
  context: CliContext,
  flags: Flags,
  files: ReleaseFiles,
  predicate: ReleasePredicate,
): Promise<NodeSelection> {
  const platforms = context.platforms ?? [`linux/${hostArchitecture(context.host)}` as const]
  const { groups } = await chosenOf({ ...context, platforms }, flags, files, predicate)
  return { platforms, ...(groups === undefined ? {} : { groups }) }
}

/** Names of images say nothing of platforms: one place holds those of one. Throws RFO_CLI_USAGE. */
export function single({ platforms, groups }: NodeSelection): { readonly platform: PlatformName; readonly groups?: readonly string[] } {
  const [platform, ...more] = platforms
  if (platform === undefined || more.length > 0)
    throw new RfoError('RFO_CLI_USAGE', 'a node has one platform', { exit: 'usage', next: 'give --platform once, with one name' })
  return { platform, ...(groups === undefined ? {} : { groups }) }
}

export function tellBeside(context: CliContext, { beside, notes }: Pick<FolderLoaded, 'beside' | 'notes'>): void {
  if (context.progress === 'none' || context.progress === 'json') return
  for (const { path, kind } of beside) context.stderr.write(word(context.lang, besideWords[kind], { path, quoted: quoted(path) }))
  for (const note of notes) context.stderr.write(word(context.lang, noteWords[note]))
}

const besideWords = { older: 'besideOlder', list: 'besideList', cache: 'besideCache', other: 'besideOther' } as const
const noteWords = { restart: 'noteRestart', collected: 'noteCollected', cacheUnknown: 'noteCacheUnknown' } as const

/** For a shell: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_02_02 */
function quoted(path: string): string {
  return `'${path.replaceAll("'", "'\\''")}'`
}
