import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { constants, gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { gather } from '../../src/content/body.ts'
import { memoryStore } from '../../src/content/memory.ts'
import { pushBytes } from '../../src/content/read.ts'
import { RfoError } from '../../src/error.ts'
import { blockSize, headerBlocks, padding } from '../../src/oci/tar-header.ts'
import { writeGroupArchive } from '../../src/pack/archive.ts'
import { zstdFrames } from '../../src/pack/frames.ts'
import { checkGroupArchive } from '../../src/pack/read.ts'
import { frameBytes, readSeekIndex } from '../../src/pack/seek.ts'
import { unzstdFrames } from '../../src/pack/unframe.ts'
import { noise } from '../build/image.ts'
import { tool } from '../tools.ts'
import { epoch, smallGroup } from './group.ts'

const zstd = tool('zstd')

interface Entry {
  readonly name: string
  readonly bytes: Buffer
}

let archive: Buffer
let entries: Entry[]

beforeAll(async () => {
  const store = memoryStore()
  const images = await smallGroup(store, 'linux/riscv64')
  let made: Buffer = Buffer.alloc(0)
  const to = {
    async pushStream(mediaType: string, body: AsyncIterable<Uint8Array>) {
      made = await gather(body)
      return await pushBytes(store, mediaType, made)
    },
  }
  await writeGroupArchive({ platform: 'linux/riscv64', images, epoch }, store, to)
  archive = made
  entries = entriesOf(await gather(unzstdFrames(Readable.from([archive]))))
})

function entriesOf(tar: Buffer): Entry[] {
  const found: Entry[] = []
  for (let at = 0; at < tar.length && tar[at] !== 0; ) {
    const size = Number.parseInt(tar.toString('latin1', at + 124, at + 135), 8)
    const name = tar.toString('latin1', at, at + 100).replace(/\0.*$/s, '')
    found.push({ name, bytes: tar.subarray(at + blockSize, at + blockSize + size) })
    at += blockSize + size + padding(size)
  }
  return found
}

function tarOf(list: readonly Entry[], mode = 0o644): Buffer {
  const parts = list.flatMap(({ name, bytes }) => [
    headerBlocks({ name, type: 'file', mode, size: bytes.length, mtime: epoch, link: '' }),
    bytes,
    Buffer.alloc(padding(bytes.length)),
  ])
  return Buffer.concat([...parts, Buffer.alloc(2 * blockSize)])
}

const framed = (tar: Buffer): Promise<Buffer> => gather(zstdFrames(Readable.from([{ size: tar.length, packed: false, chunks: [tar] }])))
const check = (bytes: Buffer) => checkGroupArchive(Readable.from([bytes], { objectMode: true }))
const refusedTar = async (tar: Buffer, code: string): Promise<void> => {
  await expect(check(await framed(tar))).rejects.toMatchObject({ code, exit: 'untrusted' })
}
const paddingAt = ({ bytes }: Entry): number => blockSize + bytes.length
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))
const change = (name: string, to: (bytes: Buffer) => Buffer): Entry[] =>
  entries.map((entry) => (entry.name === name ? { name, bytes: to(entry.bytes) } : entry))

test('what is there is what was written, frames made otherwise included', async () => {
  expect((await check(archive)).images).toHaveLength(3)
  expect((await check(await framed(tarOf(entries)))).epoch).toBe(epoch)
})

const reader = (bytes: Buffer) => (start: number, end: number) => Promise.resolve(bytes.subarray(start, end))

describe('the index behind the frames', () => {
  test('names every frame: each is found, checked and read alone', async () => {
    const frames = await readSeekIndex(reader(archive), archive.length)
    const tar = await gather(unzstdFrames(Readable.from([archive])))
    expect(frames.length).toBeGreaterThan(5)
    for (const { offset, size, contentOffset, content, sha256 } of frames) {
      const frame = archive.subarray(offset, offset + size)
      expect(createHash('sha256').update(frame).digest()).toEqual(sha256)
      expect(zstdDecompressSync(frame)).toEqual(tar.subarray(contentOffset, contentOffset + content))
    }
  })

  test('is that of these frames, whoever reads it; where one does not say so, nobody reads on', async () => {
    const [first] = await readSeekIndex(reader(archive), archive.length)
    const end = (await readSeekIndex(reader(archive), archive.length)).reduce((sum, { size }) => sum + size, 0)
    const other = await framed(tarOf(entries))
    const index = archive.subarray(end)
    const cases: [string, Buffer][] = [
      ['none', archive.subarray(0, end)],
      [
        'another file’s',
        Buffer.concat([archive.subarray(0, end), other.subarray((await readSeekIndex(reader(other), other.length))[0]?.size)]),
      ],
      ['of other frames', archive.subarray(first?.size)],
      ['twice', Buffer.concat([archive, index])],
      [
        'more frames than there is room for',
        Buffer.concat([archive.subarray(0, -9), Buffer.from('ffff0000', 'hex'), archive.subarray(-5)]),
      ],
      ['frames without end', Buffer.concat([archive.subarray(0, -9), Buffer.from('ffffffff', 'hex'), archive.subarray(-5)])],
      ['a descriptor of another format', Buffer.concat([archive.subarray(0, -5), Buffer.from('80', 'hex'), archive.subarray(-4)])],
      ['nothing', Buffer.alloc(0)],
    ]
    for (const [what, bytes] of cases) {
      await expect(gather(unzstdFrames(Readable.from([bytes], { objectMode: true }))), what).rejects.toMatchObject({
        code: 'RFO_PACK_ZSTD',
      })
      await expect(readSeekIndex(reader(bytes), bytes.length), what).rejects.toMatchObject({ code: 'RFO_PACK_SEEK', exit: 'untrusted' })
    }
  })

  test('a changed byte of it is refused', async () => {
    const end = (await readSeekIndex(reader(archive), archive.length)).reduce((sum, { size }) => sum + size, 0)
    for (let at = end; at < archive.length; at += 7) {
      const spoiled = Buffer.from(archive)
      spoiled[at] = (spoiled[at] ?? 0) ^ 1
      await expect(gather(unzstdFrames(Readable.from([spoiled])))).rejects.toMatchObject({ code: 'RFO_PACK_ZSTD' })
    }
  })
})

test('a changed byte is refused or changes nothing that is read; a missing end is refused', async () => {
  const whole = await check(archive)
  const read = async (bytes: Buffer): Promise<unknown> => await check(bytes).catch((cause: unknown) => cause)
  await fc.assert(
    fc.asyncProperty(fc.nat(archive.length - 1), fc.integer({ min: 1, max: 255 }), async (at, bits) => {
      const spoiled = Buffer.from(archive)
      spoiled[at] = (spoiled[at] ?? 0) ^ bits
      const found = await read(spoiled)
      // a frame may ask for another window without a byte of its content changing; the archive's own digest tells that
      if (!(found instanceof RfoError)) expect(found).toEqual(whole)
      expect(await read(archive.subarray(0, at))).toBeInstanceOf(RfoError)
    }),
    { numRuns: 300, examples: [[5595, 240]] },
  )
})

describe('refused', () => {
  const last = (): Entry => entries.at(-1) as Entry
  const cases: [string, () => Buffer, string][] = [
    ['manifest.json is not first', () => tarOf([...entries.slice(1, 3), entries[0] as Entry, ...entries.slice(3)]), 'RFO_PACK_ARCHIVE'],
    ['a blob less', () => tarOf(entries.slice(0, -1)), 'RFO_PACK_ARCHIVE'],
    ['a blob more', () => tarOf([...entries, { name: 'blobs/sha256/x', bytes: Buffer.alloc(1) }]), 'RFO_PACK_ARCHIVE'],
    ['a blob twice', () => tarOf([...entries, last()]), 'RFO_PACK_ARCHIVE'],
    ['a name that leaves the folder', () => tarOf([...entries, { name: '../x', bytes: Buffer.alloc(1) }]), 'RFO_PACK_ARCHIVE'],
    ['other bytes in a blob', () => tarOf(change(last().name, (bytes) => Buffer.from(bytes).fill(1, 3, 9))), 'RFO_CONTENT_DIGEST'],
    ['another size of a blob', () => tarOf(change(last().name, (bytes) => bytes.subarray(1))), 'RFO_PACK_ARCHIVE'],
    ['manifest.json names another image', () => tarOf(change('manifest.json', () => json([]))), 'RFO_PACK_ARCHIVE'],
    [
      'manifest.json in another spelling',
      () => tarOf(change('manifest.json', (b) => Buffer.concat([b, Buffer.from('\n')]))),
      'RFO_PACK_ARCHIVE',
    ],
    [
      'no platform of ours',
      () => tarOf(change('index.json', (b) => Buffer.from(String(b).replaceAll('riscv64', 's390x')))),
      'RFO_PACK_ARCHIVE',
    ],
    [
      'another platform',
      () => tarOf(change('index.json', (b) => Buffer.from(String(b).replaceAll('riscv64', 'arm64')))),
      'RFO_PACK_PLATFORM',
    ],
    [
      'a name that nobody finds',
      () => tarOf(change('index.json', (b) => Buffer.from(String(b).replace('rfo-etcd', 'rfo-etce')))),
      'RFO_PACK_ARCHIVE',
    ],
    ['an index of no image', () => tarOf(change('index.json', () => json({ schemaVersion: 2, manifests: [] }))), 'RFO_PACK_ARCHIVE'],
    ['an index that is none', () => tarOf(change('index.json', () => json([]))), 'RFO_OCI_MANIFEST'],
    ['executable entries', () => tarOf(entries, 0o755), 'RFO_PACK_TAR'],
    ['a long name in a pax header', () => tarOf([{ name: `${'x/'.repeat(200)}y`, bytes: Buffer.alloc(0) }]), 'RFO_PACK_TAR'],
    ['one block of zeros', () => tarOf(entries).subarray(0, -blockSize), 'RFO_PACK_TAR'],
    ['something behind the end', () => Buffer.concat([tarOf(entries), tarOf(entries)]), 'RFO_PACK_TAR'],
    [
      'something in the padding',
      () => Buffer.from(tarOf(entries)).fill(1, paddingAt(entries[0] as Entry), paddingAt(entries[0] as Entry) + 1),
      'RFO_PACK_TAR',
    ],
    ['nothing', () => Buffer.alloc(0), 'RFO_PACK_TAR'],
  ]
  test.each(cases)('%s', async (_, make, code) => await refusedTar(make(), code))

  const compressed = (bytes: Buffer, checksum: boolean): Buffer =>
    zstdCompressSync(bytes, {
      params: { [constants.ZSTD_c_checksumFlag]: checksum ? 1 : 0 },
      pledgedSrcSize: bytes.length,
    })
  const frames: [string, () => Buffer][] = [
    ['no zstd', () => tarOf(entries)],
    ['a frame that does not say how much it holds', () => Buffer.from('28b52ffd0458010000', 'hex')],
    ['a frame that holds too much', () => compressed(Buffer.alloc(frameBytes + 1), true)],
    ['a frame without a checksum that is not stored', () => compressed(Buffer.alloc(1000), false)],
    ['a frame that holds more than it says', () => lied(compressed(Buffer.alloc(1 << 20), true))],
    ['an endless skippable frame', () => Buffer.from('502a4d18ffffffff', 'hex')],
  ]
  test.each(frames)('%s', async (_, make) => {
    await expect(check(make())).rejects.toMatchObject({ code: 'RFO_PACK_ZSTD', exit: 'untrusted' })
  })

  /** Says 300 bytes, in four bytes as before. */
  function lied(frame: Buffer): Buffer {
    expect((frame[4] as number) & 0xe0).toBe(0xa0)
    frame.writeUInt32LE(300, 5)
    return frame
  }
})

test('whatever the sizes, kinds and chunks of entries: frames give their bytes back, to us and to zstd', async () => {
  const bytes = noise(9_000_000)
  const entry = fc.record({
    size: fc.oneof(fc.nat(2000), fc.constantFrom(1 << 17, (1 << 17) + 1, frameBytes - 1, frameBytes, frameBytes + 1, 9_000_000)),
    packed: fc.boolean(),
    chunk: fc.constantFrom(511, 65_536, 1_000_003),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(entry, { maxLength: 4 }), async (list) => {
      const made = list.map(({ size, packed, chunk }) => ({ size, packed, chunks: cut(bytes.subarray(0, size), chunk) }))
      const whole = Buffer.concat(list.map(({ size }) => bytes.subarray(0, size)))
      const packed = await gather(zstdFrames(Readable.from(made)))
      expect((await gather(unzstdFrames(Readable.from(cut(packed, 100_000))))).equals(whole)).toBe(true)
      if (!zstd.skip) expect(spawnSync(zstd.path, ['-dcq'], { input: packed, maxBuffer: 1 << 27 }).stdout.equals(whole)).toBe(true)
    }),
    { numRuns: 20 },
  )
})

function cut(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size))
}

test('in gzip: a disk that can’t be read is no broken archive; what is cut short is one', async () => {
  const failing = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    yield gzipSync(noise(1 << 16)).subarray(0, 1000)
    throw Object.assign(new Error('i/o error, read'), { code: 'EIO' })
  }
  await expect(checkGroupArchive(failing(), 'tar.gz')).rejects.toMatchObject({ code: 'EIO' })
  const whole = gzipSync(tarOf(entries))
  const cut = Readable.from([whole.subarray(0, whole.length / 2)])
  await expect(checkGroupArchive(cut, 'tar.gz')).rejects.toMatchObject({ code: 'RFO_PACK_GZIP', exit: 'untrusted' })
})
