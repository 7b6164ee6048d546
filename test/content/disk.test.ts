/** Stores on disk: killed writers, two processes, links, corruption. */
import { type ChildProcess, spawn } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { copyGraph } from '../../src/content/copy.ts'
import { openDirectoryStore } from '../../src/content/directory.ts'
import { layoutIndexBytes, openLayout } from '../../src/content/layout.ts'
import { memoryStore } from '../../src/content/memory.ts'
import { pushBytes, readBytes } from '../../src/content/read.ts'
import { digestOf, hex } from '../../src/oci/digest.ts'
import { annotationKeys, mediaTypes } from '../../src/oci/mediatype.ts'
import { noise, pushImage, pushReferrer } from './graphs.ts'
import { temporaryFolder } from './places.ts'

const writer = join(import.meta.dirname, 'writer.ts')

function start(...args: string[]): ChildProcess {
  return spawn(process.execPath, [writer, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
}

const ended = (child: ChildProcess) => new Promise<number | null>((resolve) => child.once('close', resolve))

function everyBlobIsWhole(root: string): number {
  const folder = join(root, 'blobs', 'sha256')
  const names = readdirSync(folder)
  for (const name of names) expect(hex(digestOf(readFileSync(join(folder, name))))).toBe(name)
  return names.length
}

describe.each(['directory', 'layout'] as const)('%s', (kind) => {
  const open = (dir: string) => (kind === 'directory' ? openDirectoryStore(dir) : openLayout(dir, { create: true }))

  test('kill -9 in the middle of pushing leaves no half blob, and the next run ends', async () => {
    const root = temporaryFolder()
    for (let i = 0; i < 5; i += 1) {
      const child = start(kind, root, 'killed', '40')
      await new Promise((resolve) => child.stdout?.once('data', resolve))
      await new Promise((resolve) => setTimeout(resolve, 17 * i))
      child.kill('SIGKILL')
      await ended(child)
      everyBlobIsWhole(root)
    }
    const child = start(kind, root, 'killed', '40')
    child.stdout?.resume()
    expect(await ended(child)).toBe(0)
    everyBlobIsWhole(root)
    const store = await open(root)
    const subject = await store.resolve('subject')
    expect(await store.referrers(subject!)).toHaveLength(40)
  })

  test('a blob that got shorter is not there, and is written again', async () => {
    const root = temporaryFolder()
    const store = await open(root)
    const target = await pushBytes(store, mediaTypes.octets, noise('short', 5000))
    truncateSync(store.blobPath(target.digest), 100)
    expect(await store.exists(target)).toBe(false)
    await expect(readBytes(store, target)).rejects.toMatchObject({ code: 'RFO_CONTENT_DIGEST' })
    await pushBytes(store, mediaTypes.octets, noise('short', 5000))
    expect(digestOf(await readBytes(store, target))).toBe(target.digest)
  })

  test('a blob that changed is untrusted', async () => {
    const store = await open(temporaryFolder())
    const target = await pushBytes(store, mediaTypes.octets, noise('changed', 5000))
    const bytes = readFileSync(store.blobPath(target.digest))
    bytes[2500]! ^= 1
    writeFileSync(store.blobPath(target.digest), bytes)
    await expect(readBytes(store, target)).rejects.toMatchObject({ code: 'RFO_CONTENT_DIGEST', exit: 'untrusted' })
  })

  test('temporary files of the dead go after an hour, others stay', async () => {
    const root = temporaryFolder()
    await open(root)
    const folder = kind === 'directory' ? join(root, 'tmp') : root
    const name = (n: number) => join(folder, `.0000000${n}-0000-4000-8000-000000000000.tmp`)
    writeFileSync(name(1), 'old')
    writeFileSync(name(2), 'new')
    utimesSync(name(1), new Date(0), new Date(0))
    await open(root)
    expect([existsSync(name(1)), existsSync(name(2))]).toEqual([false, true])
  })

  test('a link where a blob should be is not followed', async () => {
    const root = temporaryFolder()
    const store = await open(root)
    const secret = join(temporaryFolder(), 'secret')
    writeFileSync(secret, 'secret')
    const target = { mediaType: mediaTypes.octets, digest: digestOf('secret'), size: 6 }
    symlinkSync(secret, store.blobPath(target.digest))
    expect(await store.exists(target)).toBe(false)
    await expect(readBytes(store, target)).rejects.toMatchObject({ code: 'RFO_CONTENT_SYMLINK', exit: 'untrusted' })
  })
})

describe('directory', () => {
  test('two processes fill one store', async () => {
    const root = temporaryFolder()
    const children = [start('directory', root, 'both', '30'), start('directory', root, 'both', '30')]
    for (const child of children) child.stdout?.resume()
    expect(await Promise.all(children.map(ended))).toEqual([0, 0])
    everyBlobIsWhole(root)
    const store = await openDirectoryStore(root)
    expect(await store.referrers((await store.resolve('subject'))!)).toHaveLength(30)
    expect(readdirSync(join(root, 'tmp'))).toEqual([])
  })

  test('any text is a tag, and stays in its folder', async () => {
    const root = temporaryFolder()
    const store = await openDirectoryStore(root)
    const names = ['..', '.', '', '../../x', 'a/b:c', 'ü', 'x'.repeat(5000), `${'x'.repeat(4999)}y`, '%2e', '%.2', 'con\0trol']
    const targets = await Promise.all(names.map((name, i) => pushBytes(store, mediaTypes.octets, `${i}${name.slice(0, 3)}`)))
    for (const [i, name] of names.entries()) await store.tag(targets[i]!, name)
    for (const [i, name] of names.entries()) expect((await store.resolve(name))?.digest).toBe(targets[i]!.digest)
    expect(readdirSync(join(root, 'tags'))).toHaveLength(names.length)
    expect(readdirSync(root).sort()).toEqual(['blobs', 'referrers', 'tags', 'tmp'])
  })

  test('takes streams and files whose digest nobody knows', async () => {
    const root = temporaryFolder()
    const store = await openDirectoryStore(root)
    const bytes = noise('file', 2_500_000)
    const file = join(temporaryFolder(), 'file')
    writeFileSync(file, bytes)
    const target = await store.pushFile(mediaTypes.octets, file, { annotations: { a: 'b' } })
    expect(target).toEqual({ mediaType: mediaTypes.octets, digest: digestOf(bytes), size: bytes.length, annotations: { a: 'b' } })
    expect(digestOf(await readBytes(store, target))).toBe(target.digest)
  })

  test('a folder that can’t be written is this machine’s fault', async () => {
    const file = join(temporaryFolder(), 'file')
    writeFileSync(file, '')
    await expect(openDirectoryStore(join(file, 'store'))).rejects.toMatchObject({ code: 'RFO_CONTENT_DISK', exit: 'machine' })
  })
})

describe('layout', () => {
  test('index.json is in its one spelling, whatever the order of writing', async () => {
    const spellings = new Set<string>()
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [1, 2, 0],
    ]) {
      const root = temporaryFolder()
      const store = await openLayout(root, { create: true })
      for (const i of order) {
        const { index } = await pushImage(store, `image ${i}`, 100)
        await store.tag(index, `tag-${i}`)
        await store.tag(index, 'latest')
        await pushReferrer(store, index, 'x', 'y')
      }
      await store.tag((await store.resolve('tag-1'))!, 'latest')
      const text = readFileSync(join(root, 'index.json'), 'utf8')
      expect(text).toBe(layoutIndexBytes(await store.entries()))
      spellings.add(text)
      expect(readdirSync(root).sort()).toEqual(['blobs', 'index.json', 'oci-layout'])
    }
    expect(spellings.size).toBe(1)
  })

  test('twenty tags at once are all there', async () => {
    const store = await openLayout(temporaryFolder(), { create: true })
    const { index } = await pushImage(store, 'twenty', 100)
    await Promise.all(Array.from({ length: 20 }, (_, i) => store.tag(index, `t${i}`)))
    expect(await store.entries()).toHaveLength(20)
    expect((await store.entries()).every((each) => each.annotations?.[annotationKeys.refName]?.startsWith('t'))).toBe(true)
  })

  test('what another writer lists stays', async () => {
    const root = temporaryFolder()
    const [one, two] = [await openLayout(root, { create: true }), await openLayout(root)]
    await one.tag((await pushImage(one, 'one', 100)).index, 'one')
    await two.tag((await pushImage(two, 'two', 100)).index, 'two')
    await one.tag((await pushImage(one, 'three', 100)).index, 'three')
    expect((await two.entries()).map((each) => each.annotations?.[annotationKeys.refName])).toEqual(['one', 'three', 'two'])
  })

  test.each(['blobs', 'blobs/sha256', 'index.json', 'oci-layout'])('%s may not lead elsewhere', async (name) => {
    const root = temporaryFolder()
    const store = await openLayout(root, { create: true })
    const image = await pushImage(store, 'linked', 100)
    const elsewhere = join(temporaryFolder(), 'elsewhere')
    renameSync(join(root, name), elsewhere)
    symlinkSync(elsewhere, join(root, name))
    const refused = expect.objectContaining({ code: 'RFO_CONTENT_SYMLINK', exit: 'untrusted' })
    await expect(openLayout(root).then((opened) => opened.resolve(image.index.digest))).rejects.toEqual(refused)
  })

  test.each<[string, (root: string) => void]>([
    ['nothing', (root) => rmSync(root, { recursive: true })],
    ['no oci-layout', (root) => rmSync(join(root, 'oci-layout'))],
    ['another version', (root) => writeFileSync(join(root, 'oci-layout'), '{"imageLayoutVersion":"2.0.0"}')],
    ['no JSON', (root) => writeFileSync(join(root, 'oci-layout'), 'x')],
    ['no blobs', (root) => rmSync(join(root, 'blobs'), { recursive: true })],
  ])('%s is no layout', async (_, change) => {
    const root = join(temporaryFolder(), 'layout')
    mkdirSync(root)
    await openLayout(root, { create: true })
    change(root)
    await expect(openLayout(root)).rejects.toMatchObject({ code: 'RFO_CONTENT_LAYOUT', exit: 'untrusted' })
  })

  test('a layout index that is broken is untrusted', async () => {
    const root = temporaryFolder()
    const store = await openLayout(root, { create: true })
    writeFileSync(join(root, 'index.json'), '{"schemaVersion":2,"manifests":[{"digest":"sha256:../../x"}]}')
    await expect(store.resolve('x')).rejects.toMatchObject({ code: 'RFO_OCI_MANIFEST', exit: 'untrusted' })
  })

  test('constant memory: a large blob passes in pieces', async () => {
    const from = await openDirectoryStore(temporaryFolder())
    const to = await openLayout(temporaryFolder(), { create: true })
    const piece = noise('large', 1024 * 1024)
    const large = await from.pushStream(
      mediaTypes.octets,
      (async function* () {
        for (let i = 0; i < 200; i += 1) yield piece
      })(),
    )
    const before = process.memoryUsage().arrayBuffers
    let most = 0
    const timer = setInterval(() => {
      most = Math.max(most, process.memoryUsage().arrayBuffers - before)
    }, 2)
    await copyGraph([large], from, to, { concurrency: 2 })
    clearInterval(timer)
    expect(statSync(to.blobPath(large.digest)).size).toBe(200 * 1024 * 1024)
    expect(most).toBeLessThan(100 * 1024 * 1024)
    expect(await memoryStore().exists(large)).toBe(false)
  })
})
