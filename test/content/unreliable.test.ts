/**
 * Copies out of a registry and into one, over a network that drops, lies, throttles and resets: they end in the same root or say with a code
 * why not; what lies there by then is whole; and a run without faults ends in the same root. Many seeds in `npm run evidence -- faults`.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { copyGraph } from '../../src/content/copy.ts'
import { openDirectoryStore } from '../../src/content/directory.ts'
import { memoryStore } from '../../src/content/memory.ts'
import { openRegistry } from '../../src/content/registry.ts'
import type { ContentReader, ContentStore } from '../../src/content/store.ts'
import { toRfoError } from '../../src/error.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { digestOf, hex } from '../../src/oci/digest.ts'
import { startRegistry } from '../../src/sandbox/registry.ts'
import { pushImage, pushReferrer } from './graphs.ts'
import { atEnd, repositoryAt, temporaryFolder } from './places.ts'
import { kinds, random, type Unreliable, unreliable } from './unreliable.ts'

const runs = Number(process.env.RFO_FAULTS ?? 6)
const first = Number(process.env.RFO_SEED ?? 1)
const tally = { pull: { arrived: 0 } as Record<string, number>, push: { arrived: 0 } as Record<string, number> }
let network: Unreliable
let direct: string
let memory: ContentStore
let index: Descriptor
/** of everything, referrers too */
let all: number

beforeAll(async () => {
  memory = memoryStore()
  // one layer of two megabytes: large enough to be kept in parts
  const image = await pushImage(memory, 'unreliable', 1_200_000)
  index = image.index
  await pushReferrer(memory, index, 'application/vnd.example.signature', 'signed')
  all = await whole(memory, index)
  const registry = await startRegistry()
  atEnd(registry.close)
  direct = registry.host
  network = await unreliable(direct)
})

/** How much there is; throws when something is missing or other bytes. */
async function whole(from: ContentReader, root: Descriptor): Promise<number> {
  return (await copyGraph([root], from, memoryStore(), { concurrency: 8, referrers: true })).copied
}

const retry = { attempts: 3, wait: async () => {} }
const through = (repository: string): ContentStore => openRegistry({ registry: network.host, repository }, { addresses: {}, retry })

/** What became of it: `arrived`, or the code of a refusal that is nobody's bug. */
async function outcomeOf(work: () => Promise<void>): Promise<string> {
  try {
    await work()
    return 'arrived'
  } catch (thrown) {
    const error = toRfoError(thrown)
    expect(['outside', 'untrusted', 'condition'], `${error.line()} ${(error.cause as Error | undefined)?.stack}`).toContain(error.exit)
    return error.code
  }
}

function count(which: 'pull' | 'push', outcome: string): void {
  tally[which][outcome] = (tally[which][outcome] ?? 0) + 1
}

/** From a hundredth of all requests to two fifths. */
const shareOf = (seed: number): number => 0.01 + 0.4 * random(seed * 7919)() ** 2

test(`${runs} pulls`, async () => {
  const source = repositoryAt(direct)
  const repository = 'pull/image'
  const origin = openRegistry({ registry: direct, repository }, { addresses: {} })
  await copyGraph([index], memory, origin, { concurrency: 4, referrers: true })
  await origin.tag(index, 'v1')
  expect(await source.resolve('v1')).toBeUndefined()
  for (let seed = first; seed < first + runs; seed += 1) {
    const folder = temporaryFolder()
    for (const share of [shareOf(seed), shareOf(seed), 0]) {
      network.behave(seed * 3 + (share === 0 ? 1 : 0), share)
      const store = await openDirectoryStore(folder)
      const outcome = await outcomeOf(async () => {
        const from = through(repository)
        const root = await from.resolve('v1')
        if (root === undefined) throw new Error('it was there')
        await copyGraph([root], from, store, { concurrency: 3, referrers: true })
        await store.tag(root, 'v1')
      })
      if (share > 0) count('pull', outcome)
      else expect(outcome, `seed ${seed}`).toBe('arrived')
      const blobs = join(folder, 'blobs/sha256')
      for (const name of readdirSync(blobs)) expect(hex(digestOf(readFileSync(join(blobs, name)))), `seed ${seed}`).toBe(name)
      const named = await store.resolve('v1')
      if (named !== undefined) expect([named.digest, await whole(store, named)], `seed ${seed}`).toEqual([index.digest, all])
      if (outcome === 'arrived') expect(named).toBeDefined()
    }
    expect(readdirSync(join(folder, 'tmp'))).toEqual([])
  }
})

test(`${runs} pushes`, async () => {
  for (let seed = first; seed < first + runs; seed += 1) {
    const repository = `push/image-${seed}`
    const there = openRegistry({ registry: direct, repository }, { addresses: {} })
    for (const share of [shareOf(seed), shareOf(seed), 0]) {
      network.behave(seed * 3 + 1, share)
      const outcome = await outcomeOf(async () => {
        const to = through(repository)
        await copyGraph([index], memory, to, { concurrency: 3, referrers: true })
        await to.tag(index, 'v1')
      })
      if (share > 0) count('push', outcome)
      else expect(outcome, `seed ${seed}`).toBe('arrived')
      // by its name there is all of it or nothing
      const named = await there.resolve('v1')
      if (named !== undefined) expect([named.digest, await whole(there, named)], `seed ${seed}`).toEqual([index.digest, all])
      if (outcome === 'arrived') expect(named).toBeDefined()
    }
  }
})

test('faults of many kinds were among them', () => {
  expect(network.done.size).toBeGreaterThan(kinds.length / 2)
  // a few seeds need not meet everything
  if (runs >= 50)
    for (const which of ['pull', 'push'] as const) {
      for (const kind of kinds) expect(network.done.get(kind) ?? 0, kind).toBeGreaterThan(0)
      expect(tally[which].arrived).toBeGreaterThan(0)
      expect(Object.keys(tally[which]).length).toBeGreaterThan(1)
    }
  if (process.env.RFO_TALLY !== undefined)
    writeFileSync(
      process.env.RFO_TALLY,
      JSON.stringify({ first, runs, root: index.digest, tally, faults: Object.fromEntries(network.done) }),
    )
})
