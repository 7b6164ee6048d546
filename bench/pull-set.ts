/** The other way of push-set.ts, as bench/push.ts measures it: those images out of a registry into a layout. `pull-set.ts HOST LAYOUT NAME...` */
import { copyGraph } from '../src/content/copy.ts'
import { openLayout } from '../src/content/layout.ts'
import { createRegistrySession, openRegistry } from '../src/content/registry.ts'
import { createSlots } from '../src/content/slots.ts'

const [host = '', layout = '', ...names] = process.argv.slice(2)
const to = await openLayout(layout, { create: true })
const session = createRegistrySession()
const slots = createSlots(Number(process.env.SLOTS ?? 4))
await Promise.all(
  names.map(async (name) => {
    const from = openRegistry({ registry: host, repository: `bench/${name}` }, { addresses: {}, session })
    const image = await from.resolve('v1')
    if (image === undefined) throw new Error(`no ${name}`)
    await copyGraph([image], from, to, { concurrency: slots })
    await to.tag(image, name)
  }),
)
