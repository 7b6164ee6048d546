/** A large blob that broke off is gone on from: in the next run, by another process, whatever somebody did to what was kept. */
import { mkdirSync, readdirSync, readFileSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { copyGraph } from '../../src/content/copy.ts'
import { openDirectoryStore } from '../../src/content/directory.ts'
import { readBytes } from '../../src/content/read.ts'
import { openRegistry } from '../../src/content/registry.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { digestOf, hex } from '../../src/oci/digest.ts'
import { mediaTypes } from '../../src/oci/mediatype.ts'
import { type Fault, type RunningRegistry, startRegistry } from '../../src/sandbox/registry.ts'
import { noise } from './graphs.ts'
import { atEnd, temporaryFolder } from './places.ts'

const bytes = noise('partial', 5_000_000)
const blob: Descriptor = { mediaType: mediaTypes.octets, digest: digestOf(bytes), size: bytes.length }
const half: Fault = { kind: 'cut', bytes: 3_000_000 }

interface Pulls {
  readonly registry: RunningRegistry
  readonly folder: string
  /** one run, which tries each request once */
  pull(fault?: Fault, to?: string): Promise<void>
  /** what is kept */
  parts(): string[]
}

async function pulls(options: { readonly ranges?: boolean } = {}): Promise<Pulls> {
  let now: Fault | undefined
  const registry = await startRegistry({ ...options, faults: ({ method }) => (method === 'GET' ? now : undefined) })
  atEnd(registry.close)
  const open = () => openRegistry({ registry: registry.host, repository: 'a/b' }, { addresses: {}, retry: { attempts: 1 } })
  await copyGraph([blob], { ...(await storeOf()), exists: async () => true }, open(), { concurrency: 1 })
  const folder = temporaryFolder()
  return {
    registry,
    folder,
    async pull(fault, to = folder) {
      now = fault
      const store = await openDirectoryStore(to)
      try {
        await copyGraph([blob], open(), store, { concurrency: 2 })
        expect(digestOf(await readBytes(store, blob, blob.size))).toBe(blob.digest)
      } finally {
        now = undefined
      }
    },
    parts: () => readdirSync(join(folder, 'tmp')).map((name) => join(folder, 'tmp', name)),
  }
}

async function storeOf() {
  const store = await openDirectoryStore(temporaryFolder())
  await store.push(
    blob,
    (async function* () {
      yield bytes
    })(),
  )
  return store
}

const rangeOf = ({ requests }: RunningRegistry): string | undefined => requests.at(-1)?.headers.range

test.each([true, false])('the next run asks for the rest alone (ranges: %s)', async (ranges) => {
  const { registry, pull, parts } = await pulls({ ranges })
  await expect(pull(half)).rejects.toMatchObject({ code: 'RFO_CONTENT_OUTSIDE', exit: 'outside', where: 'source' })
  const [part = '', ...more] = parts()
  expect(more).toEqual([])
  const kept = readFileSync(part)
  expect(kept.length).toBeGreaterThan(1_000_000)
  expect(bytes.subarray(0, kept.length).equals(kept)).toBe(true)
  await pull()
  expect(rangeOf(registry)).toBe(`bytes=${kept.length}-`)
  expect(parts()).toEqual([])
})

test('again and again: one part, which grows, and nothing where blobs are before it is whole', async () => {
  const { pull, parts, folder } = await pulls()
  let before = 0
  for (let turn = 0; turn < 3; turn += 1) {
    await expect(pull({ kind: 'cut', bytes: 1_300_000 })).rejects.toMatchObject({ exit: 'outside' })
    const sizes = parts().map((path) => statSync(path).size)
    expect(sizes).toHaveLength(1)
    expect(sizes[0]).toBeGreaterThan(before)
    before = sizes[0] ?? 0
    expect(readdirSync(join(folder, 'blobs/sha256'))).toEqual([])
  }
  await pull()
})

test.each<[string, (path: string) => void]>([
  ['changed', (path) => writeFileSync(path, Buffer.concat([Buffer.from('x'), readFileSync(path).subarray(1)]))],
  ['emptied', (path) => truncateSync(path, 0)],
  ['longer than the blob', (path) => writeFileSync(path, Buffer.concat([bytes, bytes]))],
  ['as long as the blob', (path) => truncateSync(path, bytes.length)],
])('what was kept is %s: the blob comes anew', async (_, change) => {
  const { pull, parts } = await pulls()
  await expect(pull(half)).rejects.toMatchObject({ exit: 'outside' })
  change(parts()[0] ?? '')
  await pull()
  expect(parts()).toEqual([])
})

test('wrong bytes are kept by nobody, and it is the source that is blamed', async () => {
  const { pull, parts } = await pulls()
  for (let turn = 0; turn < 2; turn += 1) {
    await expect(pull({ kind: 'corrupt' })).rejects.toMatchObject({ code: 'RFO_CONTENT_DIGEST', exit: 'untrusted', where: 'source' })
    expect(parts()).toEqual([])
    // the second time there is something to go on from, and the rest is wrong
    if (turn === 0) await expect(pull(half)).rejects.toMatchObject({ exit: 'outside' })
  }
})

test('two at once, from the same part', async () => {
  const { pull, parts } = await pulls()
  await expect(pull(half)).rejects.toMatchObject({ exit: 'outside' })
  await Promise.all([pull(), pull()])
  expect(parts()).toEqual([])
})

test('parts stay for a week, other leftovers for an hour', async () => {
  const folder = temporaryFolder()
  mkdirSync(join(folder, 'tmp'), { recursive: true })
  const uuid = '01234567-89ab-cdef-0123-456789abcdef'
  const [part, old, left] = [`.${hex(blob.digest)}.${uuid}.part`, `.${'0'.repeat(64)}.${uuid}.part`, `.${uuid}.tmp`]
  const ages: Record<string, number> = { [part]: 6 * 24, [old]: 8 * 24, [left]: 2 }
  for (const [name, hours] of Object.entries(ages)) {
    const path = join(folder, 'tmp', name)
    writeFileSync(path, 'x')
    const time = Date.now() / 1000 - hours * 3600
    utimesSync(path, time, time)
  }
  await openDirectoryStore(folder)
  expect(readdirSync(join(folder, 'tmp'))).toEqual([part])
})
