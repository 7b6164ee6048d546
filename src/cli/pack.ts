/** `pack`: a release folder as one file. stdout is the file, its size and its SHA-256. */
import { join, resolve } from 'node:path'
import type { Selection } from '../release/archive/selection.ts'
import { chosenOf, selectionOptions, tellPlan } from './chosen.ts'
import { releaseFolder } from './target.ts'
import type { Verb } from './verb.ts'
import { word } from './words.ts'

export const pack: Verb = {
  name: 'pack',
  summary: 'pack',
  arguments: [{ syntax: '<release>', help: 'releaseArgument' }],
  options: [...selectionOptions, { flags: '-o, --output <dir>', help: 'packOutput', completes: 'directory' }],
  examples: [
    'pack v1.24.8+rfor1',
    'pack v1.24.8+rfor1 --platform amd64 --group core --group cilium',
    'pack v1.24.8+rfor1 --platform arm64 --from-config /etc/rancher/rfo/config.yaml -o /media/usb',
  ],
  async run(context, { args: [target = ''], flags }) {
    const { folderFiles, parseStatement, smallFile } = await import('../release/shelf.ts')
    const { maxStatementBytes, statementPath } = await import('../release/verify/files.ts')
    const { archiveIndex, writeArchive } = await import('../release/archive/write.ts')
    const { places } = await import('../release/archive/form.ts')
    const { roomFor } = await import('../release/archive/room.ts')
    const { makeFolder } = await import('../content/atomic.ts')
    const folder = releaseFolder(context, target)
    const from = await folderFiles(folder)
    const predicate = parseStatement(await smallFile(from, statementPath, maxStatementBytes), folder)
    const selection = await chosenOf(context, flags, from, predicate)
    const index = await archiveIndex(from, predicate, selection, context.signal)
    const into = resolve(context.cwd, flags.text('output') ?? context.outDir)
    const file = join(into, nameOf(predicate.version, selection))
    const plan = tellPlan(context, await roomFor(places(index).total, into), file)
    const made = index.files.filter((each) => each.made === true).map(({ path }) => path)
    const json = { version: predicate.version, file, files: index.files.length, made, plan: { ...plan } }
    if (context.dryRun) return { text: '', json }
    await makeFolder(into)
    const { size, digest } = await writeArchive(index, from, file, context.signal)
    return { text: word(context.lang, 'packTold', { file, bytes: size, digest }), json: { ...json, bytes: size, digest } }
  },
}

/** `rfo-v1.24.8+rfor1.linux-amd64.core.canal.tar`: a part is named for what it holds. */
function nameOf(version: string, { platforms = [], groups = [] }: Selection): string {
  return `${['rfo-', version, ...[...platforms, ...groups].map((one) => `.${one.replace('/', '-')}`)].join('')}.tar`
}
