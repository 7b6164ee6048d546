import { execFile } from 'node:child_process'
import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { extract } from 'tar-stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type LayerEntry, writeLayerTar } from '../../src/build/layer.ts'
import { memoryStore } from '../../src/content/memory.ts'
import type { ContentStore } from '../../src/content/store.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { tool } from '../tools.ts'
import { epoch, noise } from './image.ts'

const gnuTar = tool('tar')
let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rfo-layer-'))
})
afterAll(async () => {
  await rm(dir, { recursive: true, force: true })
})

async function bytesOf(store: ContentStore, target: Descriptor): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of store.fetch(target)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function entriesOf(tar: Buffer) {
  const parser = extract({})
  parser.end(tar)
  const found: { name: string; type: string; mode: number; link: string | null; mtime: number; owner: number; bytes: Buffer }[] = []
  for await (const entry of parser) {
    const chunks: Buffer[] = []
    for await (const chunk of entry as AsyncIterable<Buffer>) chunks.push(chunk)
    const { name, type, mode, linkname, mtime, uid, gid } = entry.header
    found.push({ name, type, mode, link: linkname, mtime: mtime.getTime() / 1000, owner: uid + gid, bytes: Buffer.concat(chunks) })
  }
  return found
}

test('order of entries, modes and times of the files on disk change nothing', async () => {
  const file = join(dir, 'program')
  await writeFile(file, noise(3_000_000))
  const entries: LayerEntry[] = [
    { path: '/usr/bin/b', file, mode: 0o775 },
    { path: '/etc/a.conf', bytes: Buffer.from('a'), mode: 0o600 },
    { path: '/usr/bin/c', link: 'b' },
  ]
  const store = memoryStore()
  const first = await writeLayerTar(entries, store, epoch)
  await utimes(file, 1, 2)
  const second = await writeLayerTar(entries.toReversed(), memoryStore(), epoch)
  expect(second).toEqual(first)
  const found = await entriesOf(await bytesOf(store, first))
  expect(found.map(({ name, mode, type, mtime, owner }) => `${name} ${mode.toString(8)} ${type} ${mtime} ${owner}`)).toEqual([
    `etc/ 755 directory ${epoch} 0`,
    `etc/a.conf 644 file ${epoch} 0`,
    `usr/ 755 directory ${epoch} 0`,
    `usr/bin/ 755 directory ${epoch} 0`,
    `usr/bin/b 755 file ${epoch} 0`,
    `usr/bin/c 777 symlink ${epoch} 0`,
  ])
  expect(found[4]?.bytes.equals(noise(3_000_000))).toBe(true)
})

test('the set-user-ID bit of a program stays, and no other one', async () => {
  const store = memoryStore()
  const modes = [0o4755, 0o7777, 0o4644].map((mode, at) => ({ path: `/${at}`, bytes: Buffer.from(''), mode }))
  const layer = await writeLayerTar(modes, store, epoch)
  expect((await entriesOf(await bytesOf(store, layer))).map(({ mode }) => mode.toString(8))).toEqual(['4755', '4755', '644'])
})

test('golden: the bytes of a layer never change by accident', async () => {
  const long = `/usr/share/${'long-'.repeat(30)}name/文件`
  const layer = await writeLayerTar(
    [
      { path: '/a', bytes: Buffer.from('a'), mode: 0o644 },
      { path: long, bytes: Buffer.from('b'), mode: 0o755 },
    ],
    memoryStore(),
    epoch,
  )
  expect(layer).toEqual({
    mediaType: 'application/vnd.oci.image.layer.v1.tar',
    digest: 'sha256:bef4790d386c75a0067e3597b792406e5d1ca4cfea0921845c970f57bfc0bd61',
    size: 6656,
  })
})

const segment = fc.stringMatching(/^[a-zA-Z0-9_. é世-]{1,60}$/).filter((text) => text !== '.' && text !== '..')
const path = fc.array(segment, { minLength: 1, maxLength: 6 }).map((segments) => `/${segments.join('/')}`)

test('any path and any size is read back as it was given', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(path, { minLength: 1, maxLength: 5 }), fc.integer({ min: 0, max: 2000 }), async (paths, size) => {
      fc.pre(paths.every((one) => paths.every((other) => one === other || !other.startsWith(`${one}/`))))
      const store = memoryStore()
      const layer = await writeLayerTar(
        paths.map((each) => ({ path: each, bytes: noise(size), mode: 0o644 })),
        store,
        epoch,
      )
      const found = (await entriesOf(await bytesOf(store, layer))).filter(({ type }) => type === 'file')
      expect(found.map(({ name }) => `/${name}`).sort()).toEqual([...paths].sort())
      expect(found.every(({ bytes }) => bytes.equals(noise(size)))).toBe(true)
    }),
    { numRuns: 60 },
  )
})

test.skipIf(gnuTar.skip)('GNU tar lists long and foreign names', async () => {
  const store = memoryStore()
  const name = `/opt/${'x'.repeat(120)}/文件`
  const link = `../${'y'.repeat(130)}`
  const layer = await writeLayerTar(
    [
      { path: name, bytes: Buffer.from('b'), mode: 0o755 },
      { path: '/opt/link', link },
    ],
    store,
    epoch,
  )
  const file = join(dir, 'long.tar')
  await writeFile(file, await bytesOf(store, layer))
  const { stdout } = await promisify(execFile)(gnuTar.path, ['--quoting-style=literal', '-tvf', file], {
    env: { LC_ALL: 'C.UTF-8', TZ: 'UTC' },
  })
  expect(stdout).toContain(`${name.slice(1)}\n`)
  expect(stdout).toContain(`opt/link -> ${link}\n`)
})

test.each(['relative', '/a/../b', '/a//b', '/', '/a\0b'])('refuses the path %j', async (bad) => {
  await expect(writeLayerTar([{ path: bad, bytes: Buffer.from(''), mode: 0o644 }], memoryStore(), epoch)).rejects.toMatchObject({
    code: 'RFO_BUILD_PATH',
  })
})

test('refuses two entries of one path, and one below a file', async () => {
  const at = (entry: string): LayerEntry => ({ path: entry, bytes: Buffer.from(''), mode: 0o644 })
  await expect(writeLayerTar([at('/a'), at('/a')], memoryStore(), epoch)).rejects.toMatchObject({ code: 'RFO_BUILD_PATH' })
  await expect(writeLayerTar([at('/a'), at('/a/b')], memoryStore(), epoch)).rejects.toMatchObject({ code: 'RFO_BUILD_PATH' })
})
