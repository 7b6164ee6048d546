/** A process that fills a store, to be killed: `writer.ts directory|layout DIR SEED COUNT`. */
import { openDirectoryStore } from '../../src/content/directory.ts'
import { openLayout } from '../../src/content/layout.ts'
import { pushBytes } from '../../src/content/read.ts'
import { mediaTypes } from '../../src/oci/mediatype.ts'
import { noise, pushImage, pushReferrer } from './graphs.ts'

const [kind, dir = '', seed = '', count = '0'] = process.argv.slice(2)
const store = kind === 'layout' ? await openLayout(dir, { create: true }) : await openDirectoryStore(dir)
process.stdout.write('begun\n')
const { index } = await pushImage(store, seed, 300_000)
await store.tag(index, 'subject')
for (let i = 0; i < Number(count); i += 1) {
  await pushBytes(store, mediaTypes.octets, noise(`${seed} ${i}`, 60_000))
  await pushReferrer(store, index, 'application/x-signature', `${seed} ${i}`)
}
