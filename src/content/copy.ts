/** Copies graphs of content between stores: the one way in which anything enters or leaves. */
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { legacyTags } from '../oci/legacy-tags.ts'
import { isIndexType } from '../oci/mediatype.ts'
import { type Body, bytesBody, passing, verified } from './body.ts'
import { readBytes } from './read.ts'
import { isGraphNode, parseNode } from './referrer.ts'
import { createSlots, type Slots } from './slots.ts'
import type { ContentReader, ContentStore } from './store.ts'

export interface CopyOptions {
  /** How many transfers at once; or slots, shared with other copies. */
  readonly concurrency: number | Slots
  readonly signal?: AbortSignal
  onCopied?(target: Descriptor, how: 'copied' | 'present' | 'mounted'): void
  /** Copies what refers to each manifest too, after it: referrers, and what stands under cosign 2's tags, which get it when all is there. */
  readonly referrers?: boolean
  /** Which children of an index to copy; all unless told. The index itself is copied whole. */
  select?(child: Descriptor): boolean
}

export interface CopyReport {
  readonly copied: number
  /** Already there, or mounted from elsewhere in the same place. */
  readonly present: number
  /** bytes that passed through here */
  readonly bytes: number
}

/** Manifests go before blobs: they tell what else there is to do. */
const first = Number.POSITIVE_INFINITY

/** Children before parents, each digest once over all roots, largest blobs first. The first failure ends the copy once all that runs has stopped. */
export async function copyGraph(
  roots: readonly Descriptor[],
  from: ContentReader,
  to: ContentStore,
  options: CopyOptions,
): Promise<CopyReport> {
  const slots = typeof options.concurrency === 'number' ? createSlots(options.concurrency) : options.concurrency
  const stop = new AbortController()
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal])
  const begun = new Map<Digest, Promise<void>>()
  const tags: { readonly target: Descriptor; readonly name: string }[] = []
  const report = { copied: 0, present: 0, bytes: 0 }
  let failure: { readonly thrown: unknown } | undefined

  const once = (target: Descriptor): Promise<void> => {
    const known = begun.get(target.digest)
    if (known !== undefined) return known
    const work = (isGraphNode(target.mediaType) ? copyNode(target) : transfer(target, from.fetch(target, signal))).catch((thrown) => {
      failure ??= { thrown }
      stop.abort(thrown)
      throw thrown
    })
    begun.set(target.digest, work)
    return work
  }

  const copyNode = async (target: Descriptor): Promise<void> => {
    const bytes = await inSlot(first, () => side('source', readBytes(from, target, undefined, signal)))
    const { children, subject } = parseNode(target, bytes)
    const wanted = isIndexType(target.mediaType) ? children.filter((child) => options.select?.(child) ?? true) : children
    await all(wanted.map(once))
    await transfer(target, verified(target, bytesBody(bytes)))
    if (options.referrers !== true) return
    const attached = await inSlot(first, () => side('source', from.referrers(target)))
    // what refers to something is a signature itself
    const tagged = subject !== undefined ? [] : await inSlot(first, () => standingBy(target))
    await all([...attached, ...tagged].map(once))
  }

  /** Nothing but their names ties these to the manifest. Others' signatures that the destination has by that name would be lost. */
  const standingBy = async ({ digest }: Descriptor): Promise<Descriptor[]> => {
    const found: Descriptor[] = []
    for (const name of Object.values(legacyTags(digest))) {
      const there = await side('source', from.resolve(name))
      if (there === undefined) continue
      const before = await side('destination', to.resolve(name))
      if (before !== undefined && before.digest !== there.digest)
        throw new RfoError(
          'RFO_CONTENT_TAGGED',
          `${name} is ${before.digest} there and ${there.digest} here: one would take the other's place`,
          {
            exit: 'condition',
            where: 'destination',
            next: 'keep one of them: remove that tag here or there, or copy to another repository',
          },
        )
      if (before === undefined) tags.push({ target: there, name })
      found.push(there)
    }
    return found
  }

  const transfer = async (target: Descriptor, body: Body): Promise<void> => {
    if (await inSlot(target.size, () => side('destination', to.exists(target)))) return done(target, 'present')
    const passed = waitingForSlot(target, body)
    await side('destination', to.push(target, passed.body))
    done(target, passed.read() ? 'copied' : 'mounted')
  }

  /**
   * A body that takes a slot when it is first read and leaves it when it ends: no store holds one while it waits for
   * something else, and whoever never reads the body (mounted, there by now) needs none.
   */
  const waitingForSlot = (target: Descriptor, body: Body) => {
    let read = false
    const through = passing(body, async function* (source) {
      const leave = await slots.enter(target.size, signal)
      try {
        for await (const bytes of sourceSide(source)) {
          read = true
          yield bytes
        }
        read = true
      } finally {
        leave()
      }
    })
    return { body: through, read: () => read }
  }

  const inSlot = async <T>(weight: number, work: () => Promise<T>): Promise<T> => {
    const leave = await slots.enter(weight, signal)
    try {
      signal.throwIfAborted()
      return await work()
    } finally {
      leave()
    }
  }

  const done = (target: Descriptor, how: 'copied' | 'present' | 'mounted'): void => {
    if (how === 'copied') {
      report.copied += 1
      report.bytes += target.size
    } else report.present += 1
    options.onCopied?.(target, how)
  }

  const results = await Promise.allSettled(roots.map(once))
  await Promise.allSettled(begun.values())
  options.signal?.throwIfAborted()
  if (failure !== undefined) throw failure.thrown
  for (const result of results) if (result.status === 'rejected') throw result.reason
  for (const { target, name } of tags) await side('destination', to.tag(target, name))
  return report
}

/** All, to their end: none is left running when one has failed. */
async function all(works: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(works)
  await Promise.all(works)
}

const told = new WeakSet<object>()

/** Says on which side something failed, once. */
function tell(name: 'source' | 'destination', thrown: unknown): unknown {
  if (!(thrown instanceof RfoError) || told.has(thrown)) return thrown
  const error = thrown.at(name)
  told.add(error)
  return error
}

async function side<T>(name: 'source' | 'destination', work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (thrown) {
    throw tell(name, thrown)
  }
}

async function* sourceSide(body: Body): AsyncGenerator<Uint8Array, void, void> {
  try {
    yield* body
  } catch (thrown) {
    throw tell('source', thrown)
  }
}
