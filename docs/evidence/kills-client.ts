/** A client of `serve`: all names of a list into a working store, each named when all of it is there. */
import { readFile } from 'node:fs/promises'
import { copyGraph } from '../../src/content/copy.ts'
import { openDirectoryStore } from '../../src/content/directory.ts'
import { createRegistrySession, openRegistry } from '../../src/content/registry.ts'

const [registry = '', folder = '', list = ''] = process.argv.slice(2)
const store = await openDirectoryStore(folder)
const session = createRegistrySession()
for (const { repository, tag } of JSON.parse(await readFile(list, 'utf8')) as { repository: string; tag: string }[]) {
  const from = openRegistry({ registry, repository }, { addresses: {}, session })
  const root = await from.resolve(tag)
  if (root === undefined) throw new Error(`no ${repository}:${tag}`)
  await copyGraph([root], from, store, { concurrency: 4, referrers: true })
  await store.tag(root, `${repository}:${tag}`)
}
