/** Results of tasks as tags in a store: resume, early cut-off and a shared cache are this one mechanism. */
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, hex } from '../oci/digest.ts'
import { readBytes } from './read.ts'
import { isGraphNode, parseNode } from './referrer.ts'
import type { ContentReader, ContentStore } from './store.ts'

export interface Results {
  /** The recorded result, when all of it is there: presence and size, not the bytes themselves. */
  get(fingerprint: Digest): Promise<Descriptor | undefined>
  record(fingerprint: Digest, result: Descriptor): Promise<void>
}

export function results(store: ContentStore): Results {
  const name = (fingerprint: Digest): string => `task-${hex(fingerprint)}`
  return {
    async get(fingerprint) {
      const found = await store.resolve(name(fingerprint))
      return found !== undefined && (await isWhole(found, store)) ? found : undefined
    },
    async record(fingerprint, result) {
      await store.tag(result, name(fingerprint))
    },
  }
}

/** Whether everything that the descriptor reaches exists. */
export async function isWhole(root: Descriptor, from: ContentReader): Promise<boolean> {
  const seen = new Set<Digest>()
  const visit = async (target: Descriptor): Promise<boolean> => {
    if (seen.has(target.digest)) return true
    seen.add(target.digest)
    if (!(await from.exists(target))) return false
    if (!isGraphNode(target.mediaType)) return true
    const { children } = parseNode(target, await readBytes(from, target))
    return (await Promise.all(children.map(visit))).every(Boolean)
  }
  return await visit(root)
}
