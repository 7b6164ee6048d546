import { describe, expect, test } from 'vitest'
import { bodyOf, bytesBody, verified } from '../../src/content/body.ts'
import { copyGraph } from '../../src/content/copy.ts'
import { openDirectoryStore } from '../../src/content/directory.ts'
import { memoryStore } from '../../src/content/memory.ts'
import { pushBytes, readBytes } from '../../src/content/read.ts'
import { createRegistrySession, openRegistry } from '../../src/content/registry.ts'
import { results } from '../../src/content/results.ts'
import { createSlots } from '../../src/content/slots.ts'
import type { ContentStore } from '../../src/content/store.ts'
import { type Digest, digestOf } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/mediatype.ts'
import { startRegistry } from '../../src/sandbox/registry.ts'
import { noise, pushImage, pushReferrer } from './graphs.ts'
import { atEnd, places, temporaryFolder } from './places.ts'

const all = places()
const pairs = all.flatMap((from) => all.map((to) => ({ name: `${from.name} → ${to.name}`, skip: from.skip || to.skip, from, to })))

for (const pair of pairs) {
  test.skipIf(pair.skip)(pair.name, async () => {
    const [from, to] = [await pair.from.open(), await pair.to.open()]
    const image = await pushImage(from, pair.name, 70_000)
    const signature = await pushReferrer(from, image.index, 'application/x-signature', 's')
    await copyGraph([image.index], from, to, { concurrency: 4, referrers: true })
    for (const each of [...image.all, signature]) expect(digestOf(await readBytes(to, each))).toBe(each.digest)
    expect((await to.referrers(image.index)).map((each) => each.digest)).toEqual([signature.digest])
  })
}

/** A store that tells what is done with it. */
function watched(store: ContentStore) {
  const events: string[] = []
  const active = { now: 0, most: 0 }
  const names = new Map<Digest, string>()
  const told: ContentStore = {
    ...store,
    fetch: (target, signal) =>
      bodyOf(async function* () {
        events.push(`fetch ${names.get(target.digest) ?? target.digest}`)
        active.now += 1
        active.most = Math.max(active.most, active.now)
        try {
          await new Promise((resolve) => setTimeout(resolve, 2))
          yield* store.fetch(target, signal)
        } finally {
          active.now -= 1
        }
      }),
    push: async (target, body) => {
      await store.push(target, body)
      events.push(`push ${names.get(target.digest) ?? target.digest}`)
    },
  }
  return { store: told, events, active, names }
}

describe('copyGraph', () => {
  test('children first, each once over all roots, never more at once than told', async () => {
    const from = watched(memoryStore())
    const to = watched(memoryStore())
    const images = await Promise.all(['a', 'b', 'c'].map((name) => pushImage(from.store, name, 5000)))
    const shared = await pushReferrer(from.store, images[0]!.index, 'x', 'y')
    from.events.length = 0
    const roots = [...images, ...images].map((image) => image.index)
    const report = await copyGraph([...roots, shared], from.store, to.store, { concurrency: 3, referrers: true })
    const digests = images.flatMap((image) => image.all.map((each) => each.digest))
    expect(report.copied).toBe(new Set(digests).size + 3)
    const pushed = to.events.map((event) => event.slice(5))
    expect(new Set(pushed).size).toBe(pushed.length)
    for (const image of images) {
      for (const manifest of image.manifests) expect(pushed.indexOf(manifest.digest)).toBeLessThan(pushed.indexOf(image.index.digest))
    }
    expect(from.events.length).toBe(new Set(from.events).size)
    expect(from.active.most).toBeLessThanOrEqual(3)
    expect(from.active.most).toBeGreaterThan(1)
  })

  test('the largest blobs go first', async () => {
    const from = memoryStore()
    const sizes = [10, 30_000, 200, 4000]
    const blobs = await Promise.all(sizes.map((size) => pushBytes(from, mediaTypes.octets, noise('size', size))))
    const index = await pushBytes(
      from,
      mediaTypes.index,
      JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: blobs }),
    )
    const order: number[] = []
    await copyGraph([index], from, memoryStore(), { concurrency: 1, onCopied: (each) => order.push(each.size) })
    // the small ones change places: which of them asks first whether it is there decides
    expect(order.slice(0, 2)).toEqual([30_000, 4000])
  })

  test('select leaves children of an index out, and the index whole', async () => {
    const from = memoryStore()
    const image = await pushImage(from, 'selected')
    const to = memoryStore()
    await copyGraph([image.index], from, to, { concurrency: 2, select: (child) => child.platform?.architecture === 'arm64' })
    expect(await to.exists(image.index)).toBe(true)
    expect(await to.exists(image.manifests[0]!)).toBe(false)
    expect(await to.exists(image.manifests[1]!)).toBe(true)
    // what was left out is not taken for present later
    await copyGraph([image.index], from, to, { concurrency: 2 })
    for (const each of image.all) expect(await to.exists(each)).toBe(true)
  })

  test('a failure is the first cause, after all else has stopped, and nothing above it is there', async () => {
    const from = memoryStore()
    const image = await pushImage(from, 'broken')
    const broken = image.all[2]!
    let running = 0
    const source: ContentStore = {
      ...from,
      fetch: (target, signal) =>
        bodyOf(async function* () {
          running += 1
          try {
            yield* target.digest === broken.digest ? [Buffer.alloc(broken.size)] : from.fetch(target, signal)
          } finally {
            running -= 1
          }
        }),
    }
    const to = memoryStore()
    await expect(copyGraph([image.index], source, to, { concurrency: 2 })).rejects.toMatchObject({
      code: 'RFO_CONTENT_DIGEST',
      exit: 'untrusted',
    })
    expect(running).toBe(0)
    expect(await to.exists(broken)).toBe(false)
    expect(await to.exists(image.index)).toBe(false)
  })

  test('an abort ends it', async () => {
    const from = memoryStore()
    const image = await pushImage(from, 'aborted')
    const stop = new AbortController()
    const hanging: ContentStore = {
      ...from,
      fetch: (target, signal) =>
        bodyOf(async function* () {
          if (target.mediaType === mediaTypes.layerZstd) {
            setTimeout(() => stop.abort(new Error('enough')), 10)
            await new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
          }
          yield* from.fetch(target, signal)
        }),
    }
    await expect(copyGraph([image.index], hanging, memoryStore(), { concurrency: 2, signal: stop.signal })).rejects.toThrow('enough')
  })

  test('many images in one session: a shared layer is sent once and mounted elsewhere', async () => {
    const registry = await startRegistry()
    atEnd(registry.close)
    const from = memoryStore()
    const layer = await pushBytes(from, mediaTypes.layerGzip, noise('base', 500_000))
    const roots = await Promise.all(
      Array.from({ length: 8 }, async (_, i) => {
        const config = await pushBytes(from, mediaTypes.config, `{"architecture":"amd64","os":"linux","n":${i}}`)
        const text = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers: [layer] })
        return await pushBytes(from, mediaTypes.manifest, text)
      }),
    )
    const session = createRegistrySession()
    const slots = createSlots(2)
    const how: string[] = []
    await Promise.all(
      roots.map((root, i) => {
        const to = openRegistry({ registry: registry.host, repository: `r${i}` }, { addresses: {}, session })
        return copyGraph([root], from, to, {
          concurrency: slots,
          onCopied: (target, each) => target.digest === layer.digest && how.push(each),
        })
      }),
    )
    expect(how.sort()).toEqual(['copied', ...Array.from({ length: 7 }, () => 'mounted')])
    expect(
      registry.requests.filter((request) => request.method === 'PUT' && Number(request.headers['content-length']) === 500_000),
    ).toHaveLength(1)
  })

  test('stores opened apart don’t lose each other’s referrers', async () => {
    const registry = await startRegistry({ referrers: false })
    atEnd(registry.close)
    const open = () => openRegistry({ registry: registry.host, repository: 'x' }, { addresses: {} })
    const { index } = await pushImage(open(), 'apart')
    await Promise.all(Array.from({ length: 6 }, (_, i) => pushReferrer(open(), index, 'application/x-signature', `n${i}`)))
    expect(await open().referrers(index)).toHaveLength(6)
  })
})

describe('verified', () => {
  const target = { mediaType: mediaTypes.octets, digest: digestOf('abcdef'), size: 6 }
  const read = async (...pieces: string[]) => {
    const out: string[] = []
    const error = await (async () => {
      const body = bodyOf(async function* () {
        for (const piece of pieces) yield Buffer.from(piece)
      })
      for await (const bytes of verified(target, body)) out.push(Buffer.from(bytes).toString())
    })().catch((thrown) => thrown)
    return { out: out.join(''), code: error?.code }
  }
  test('passes what is right', async () => {
    expect(await read('abc', '', 'def')).toEqual({ out: 'abcdef', code: undefined })
  })
  test('keeps the last bytes back when the digest differs', async () => {
    expect(await read('abc', 'deX')).toEqual({ out: 'abc', code: 'RFO_CONTENT_DIGEST' })
  })
  test('stops as soon as there is too much', async () => {
    expect(await read('abc', 'defg', 'hij')).toEqual({ out: 'abc', code: 'RFO_CONTENT_DIGEST' })
    expect(await read('abcdef', 'g')).toEqual({ out: 'abcdef', code: 'RFO_CONTENT_DIGEST' })
  })
  test('says when there is too little', async () => {
    expect(await read('abc')).toEqual({ out: 'abc', code: 'RFO_CONTENT_DIGEST' })
    expect(await read()).toEqual({ out: '', code: 'RFO_CONTENT_DIGEST' })
  })
  test('can be read twice, and is hashed once when two ask for it', async () => {
    const body = verified(target, bytesBody(Buffer.from('abcdef')))
    expect(verified(target, body)).toBe(body)
    expect(verified({ ...target, size: 7 }, body)).not.toBe(body)
    for (let i = 0; i < 2; i += 1) for await (const bytes of body) expect(bytes.length).toBe(6)
  })
})

describe('results', () => {
  test('are given back only while everything they reach is there', async () => {
    const folder = temporaryFolder()
    const store = await openDirectoryStore(folder)
    const image = await pushImage(store, 'result')
    const { rm } = await import('node:fs/promises')
    const fingerprint = digestOf('a task')
    const cache = results(store)
    expect(await cache.get(fingerprint)).toBeUndefined()
    const result = { ...image.index, annotations: { a: 'b' }, platform: { os: 'linux', architecture: 'arm64' } }
    await cache.record(fingerprint, result)
    expect(await cache.get(fingerprint)).toEqual(result)
    const layer = image.all.find((each) => each.mediaType === mediaTypes.layerZstd)!
    await rm(store.blobPath(layer.digest))
    expect(await cache.get(fingerprint)).toBeUndefined()
    await expect(cache.record(digestOf('another'), layer)).rejects.toMatchObject({ code: 'RFO_CONTENT_ABSENT' })
  })
})

describe('slots', () => {
  test('go to the heaviest, then to the first; a place left twice is left once', async () => {
    const slots = createSlots(1)
    const leave = await slots.enter(0)
    const order: string[] = []
    const waiting = [
      ['light', 1],
      ['heavy', 9],
      ['heavy too', 9],
      ['middle', 5],
    ].map(async ([name, weight]) => {
      const out = await slots.enter(weight as number)
      order.push(name as string)
      out()
      out()
    })
    leave()
    leave()
    await Promise.all(waiting)
    expect(order).toEqual(['heavy', 'heavy too', 'middle', 'light'])
  })

  test('an abort leaves the queue', async () => {
    const slots = createSlots(1)
    const leave = await slots.enter(0)
    const stop = new AbortController()
    const waiting = slots.enter(1, stop.signal)
    stop.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
    leave()
    ;(await slots.enter(1))()
  })
})
