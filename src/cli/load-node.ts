/** `load` onto a node: its folder of images, its containerd, its Docker. */

import type { ReleasePredicate } from '../attest/release.ts'
import { RfoError } from '../error.ts'
import type { PlatformName } from '../oci/platform.ts'
import type { FolderLoaded, NodeSelection } from '../release/load-folder.ts'
import type { ReleaseFiles } from '../release/shelf.ts'
import { chosenOf } from './chosen.ts'
import type { CliContext } from './context.ts'
import { hostArchitecture } from './host.ts'
import { loadedImages, type ReleaseToLoad, unfinished } from './load.ts'
import type { NodePlace } from './place.ts'
import type { Flags, Outcome } from './verb.ts'
import { word } from './words.ts'

export async function ontoNode(context: CliContext, flags: Flags, to: NodePlace, release: ReleaseToLoad): Promise<Outcome> {
  const { files, predicate, root, existing } = release
  const selection = await nodeSelection(context, flags, files, predicate)
  const { signal, env } = context
  const json = { version: predicate.version, root }
  if (to.kind === 'folder') {
    const { loadIntoFolder, planFolderLoad } = await import('../release/load-folder.ts')
    const request = { files, predicate, selection, folder: to.folder, existing, signal }
    if (context.dryRun) {
      const write = await planFolderLoad(request)
      return { text: '', json: { ...json, write: write.map(({ path }) => path), bytes: write.reduce((sum, { size }) => sum + size, 0) } }
    }
    return folderOutcome(context, await loadIntoFolder(request), json)
  }
  if (context.dryRun) throw new RfoError('RFO_CLI_USAGE', '--dry-run is for a folder', { exit: 'usage' })
  const request = { files, predicate, ...single(selection), existing, env, signal }
  if (to.kind === 'docker') return loadedImages(await (await import('../release/load-docker.ts')).loadIntoDocker(request), json)
  const { loadIntoContainerd } = await import('../release/load-containerd.ts')
  return loadedImages(await loadIntoContainerd({ ...request, place: to }), json)
}

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

/** stdout says what was to be there; what else a node makes of the folder is told on stderr. */
export function folderOutcome(context: CliContext, { files, beside, notes }: FolderLoaded, json: Outcome['json']): Outcome {
  if (context.progress !== 'none' && context.progress !== 'json') {
    for (const { path, kind } of beside) context.stderr.write(word(context.lang, besideWords[kind], { path, quoted: quoted(path) }))
    for (const note of notes) context.stderr.write(word(context.lang, noteWords[note]))
  }
  const lacking = files.filter(({ state }) => state === 'missing').map(({ path }) => path)
  return {
    text: files.map(({ state, path, digest }) => `${state} ${path} ${digest}\n`).join(''),
    json: { ...json, files: files.map((file) => ({ ...file })), beside: beside.map((each) => ({ ...each })), notes: [...notes] },
    ...(lacking.length === 0 ? {} : { failures: [unfinished(lacking)] }),
  }
}

const besideWords = { older: 'besideOlder', list: 'besideList', cache: 'besideCache', other: 'besideOther' } as const
const noteWords = { restart: 'noteRestart', collected: 'noteCollected', cacheUnknown: 'noteCacheUnknown' } as const

/** For a shell: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#tag_19_02_02 */
function quoted(path: string): string {
  return `'${path.replaceAll("'", "'\\''")}'`
}
