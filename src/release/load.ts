/** A verified release into a registry: content, then what refers to it, then its name, so that no name leads to half an image. */
import { absent, bodyOf, verified } from '../content/body.ts'
import { copyGraph } from '../content/copy.ts'
import { openRegistry, type RegistrySession } from '../content/registry.ts'
import { createSlots } from '../content/slots.ts'
import type { ContentReader, ContentStore } from '../content/store.ts'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { Offer } from '../serve/offer.ts'

export const existingTags = ['refuse', 'skip', 'replace'] as const

/** What the target says when it is asked at the end; `other` = its name was there, means something else, and stays. */
export type LoadState = 'present' | 'missing' | 'other'

export interface LoadRequest {
  readonly offer: Offer
  /** host[:port], and what is put before each repository */
  readonly to: { readonly registry: string; readonly prefix: string }
  /** What becomes of a tag that names another digest there. */
  readonly existing: (typeof existingTags)[number]
  readonly session: RegistrySession
  readonly signal: AbortSignal
}

export interface LoadedImage {
  /** at the target */
  readonly reference: string
  readonly digest: Digest
  readonly state: LoadState
}

interface Work {
  /** as the release names it */
  readonly repository: string
  readonly reference: string
  readonly index: Descriptor
  readonly tag: string
  readonly store: ContentStore
}

/** Nothing is written when a tag is refused. Throws RFO_LOAD_EXISTING (exit condition). */
export async function loadIntoRegistry(request: LoadRequest): Promise<readonly LoadedImage[]> {
  const { offer, existing, signal } = request
  const works = worksOf(request)
  const others = new Set<Work>()
  for (const work of works) {
    const there = await work.store.resolve(work.tag)
    if (there !== undefined && there.digest !== work.index.digest) others.add(work)
  }
  const [first] = others
  if (first !== undefined && existing === 'refuse') {
    throw new RfoError('RFO_LOAD_EXISTING', `${others.size} tags name something else there: nothing was written`, {
      exit: 'condition',
      where: first.reference,
      details: [...others].map(({ reference }) => reference),
      next: 'leave them with --existing skip, or give --existing replace',
    })
  }
  const slots = createSlots(6)
  for (const work of works) {
    if (others.has(work) && existing === 'skip') continue
    const from = readerOf(offer, work.repository)
    await copyGraph([work.index], from, work.store, { concurrency: slots, referrers: true, signal })
    await work.store.tag(work.index, work.tag)
  }
  return await Promise.all(works.map((work) => stateOf(work, offer)))
}

/** Every name of the release but cosign 2's, which go with what they sign. */
function worksOf({ offer, to, session, signal }: LoadRequest): Work[] {
  return [...offer.tags].flatMap(([repository, tags]) => {
    const at = to.prefix === '' ? repository : `${to.prefix}/${repository}`
    const store = openRegistry({ registry: to.registry, repository: at }, { addresses: {}, session, signal })
    return [...tags].flatMap(([tag, digest]) => {
      const index = offer.nodes.get(digest)
      if (index === undefined || /^sha256-[0-9a-f]{64}\./.test(tag)) return []
      return [{ repository, reference: `${to.registry}/${at}:${tag}`, index, tag, store }]
    })
  })
}

/** What is there now: the tag, and everything that refers to the image. */
async function stateOf({ store, tag, index, reference }: Work, offer: Offer): Promise<LoadedImage> {
  const { digest } = index
  const there = await store.resolve(tag)
  if (there !== undefined && there.digest !== digest) return { reference, digest, state: 'other' }
  const referring = new Set((await store.referrers(index)).map((each) => each.digest))
  const whole = there !== undefined && (offer.referrers.get(digest) ?? []).every((each) => referring.has(each.digest))
  return { reference, digest, state: whole ? 'present' : 'missing' }
}

function readerOf(offer: Offer, repository: string): ContentReader {
  return {
    fetch(target) {
      const file = offer.blobs.get(target.digest)
      if (file === undefined) throw absent(target)
      const body = bodyOf(async function* () {
        yield* offer.open(file)
      })
      return verified(target, body)
    },
    exists: async ({ digest, size }) => offer.blobs.get(digest)?.size === size,
    resolve: async (name) => offer.nodes.get(offer.tags.get(repository)?.get(name) ?? ('' as Digest)),
    referrers: async ({ digest }) => offer.referrers.get(digest) ?? [],
  }
}
