/** `load` onto a node: its folder of images, its containerd, its Docker. */
import type { FolderLoaded } from '../release/load-folder.ts'
import type { CliContext } from './context.ts'
import { loadedImages, type ReleaseToLoad, unfinished } from './load.ts'
import { nodeSelection, single, tellBeside } from './node-images.ts'
import type { NodePlace } from './place.ts'
import type { Flags, Outcome } from './verb.ts'

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
  const request = { files, predicate, ...single(selection), existing, env, signal }
  if (to.kind === 'docker') return loadedImages(await (await import('../release/load-docker.ts')).loadIntoDocker(request), json)
  const { loadIntoContainerd } = await import('../release/load-containerd.ts')
  return loadedImages(await loadIntoContainerd({ ...request, place: to }), json)
}

/** stdout says what was to be there; what else a node makes of the folder is told on stderr. */
function folderOutcome(context: CliContext, { files, beside, notes }: FolderLoaded, json: Outcome['json']): Outcome {
  tellBeside(context, { beside, notes })
  const lacking = files.filter(({ state }) => state === 'missing').map(({ path }) => path)
  return {
    text: files.map(({ state, path, digest }) => `${state} ${path} ${digest}\n`).join(''),
    json: { ...json, files: files.map((file) => ({ ...file })), beside: beside.map((each) => ({ ...each })), notes: [...notes] },
    ...(lacking.length === 0 ? {} : { failures: [unfinished(lacking)] }),
  }
}
