/** What bench/push.ts measures: every tagged image of a layout into repositories of one registry. `push-set.ts LAYOUT HOST` */
import { copyGraph } from '../src/content/copy.ts'
import { openLayout } from '../src/content/layout.ts'
import { createRegistrySession, openRegistry } from '../src/content/registry.ts'
import { createSlots } from '../src/content/slots.ts'
import { annotationKeys } from '../src/oci/mediatype.ts'

const [layout = '', host = ''] = process.argv.slice(2)
const from = await openLayout(layout)
const session = createRegistrySession()
const slots = createSlots(Number(process.env.SLOTS ?? 4))
await Promise.all(
  (await from.entries()).map(async (image) => {
    const name = image.annotations?.[annotationKeys.refName] ?? ''
    const to = openRegistry({ registry: host, repository: `bench/${name}` }, { addresses: {}, session })
    await copyGraph([image], from, to, { concurrency: slots })
    await to.tag(image, 'v1')
  }),
)
