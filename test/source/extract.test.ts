import { mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { pack } from 'tar-stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { extractTar, sourceRoot } from '../../src/source/extract.ts'

type Header = Parameters<ReturnType<typeof pack>['entry']>[0]
let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rfo-extract-'))
})
afterAll(async () => {
  await rm(dir, { recursive: true, force: true })
})

async function tarOf(...entries: [Header, string?][]): Promise<Buffer> {
  const packer = pack()
  for (const [header, body] of entries) packer.entry(header, body ?? '')
  packer.finalize()
  const chunks: Buffer[] = []
  for await (const chunk of packer as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks)
}

let count = 0
async function unpack(bytes: Buffer, limits?: { entries: number; bytes: number }): Promise<string> {
  count += 1
  const file = join(dir, `${count}.tar`)
  const into = join(dir, `${count}`, 'in')
  await writeFile(file, bytes)
  await mkdir(into, { recursive: true })
  await extractTar(file, into, limits)
  return into
}

test.each([
  ['plain', (tar: Buffer) => tar],
  ['gzip', gzipSync],
  ['zstd', zstdCompressSync],
] as const)('files, folders, links, execute bits (%s)', async (_, compress) => {
  const tar = await tarOf(
    [{ name: 'top/', type: 'directory' }],
    [{ name: 'top/run', mode: 0o755 }, '#!/bin/sh'],
    [{ name: 'top/deep/er/file', mode: 0o600 }, 'x'.repeat(3_000_000)],
    [{ name: 'top/deep/link', type: 'symlink', linkname: '../run' }],
    [{ name: 'top/hard', type: 'link', linkname: 'top/run' }],
  )
  const into = await unpack(compress(tar))
  expect(await readFile(join(into, 'top/hard'), 'utf8')).toBe('#!/bin/sh')
  expect((await stat(join(into, 'top/run'))).mode & 0o777).toBe(0o755)
  expect((await stat(join(into, 'top/deep/er/file'))).size).toBe(3_000_000)
  expect(await readlink(join(into, 'top/deep/link'))).toBe('../run')
  expect(await sourceRoot(into, undefined)).toBe(join(into, 'top'))
  expect(await sourceRoot(into, 'top')).toBe(into)
})

const hostile: [string, [Header, string?][]][] = [
  ['a parent', [[{ name: 'a/../../out' }, 'x']]],
  ['an absolute path', [[{ name: '/tmp/out' }, 'x']]],
  ['a link out', [[{ name: 'l', type: 'symlink', linkname: '../../out' }]]],
  ['an absolute link', [[{ name: 'l', type: 'symlink', linkname: '/etc' }]]],
  [
    'a file through a link',
    [[{ name: 'd/', type: 'directory' }], [{ name: 'l', type: 'symlink', linkname: 'd' }], [{ name: 'l/file' }, 'x']],
  ],
  [
    'a link by way of a link',
    [[{ name: 'a/b/up', type: 'symlink', linkname: '../..' }], [{ name: 'a/b/out', type: 'symlink', linkname: 'up/../../x' }]],
  ],
  ['a hard link to a link', [[{ name: 'l', type: 'symlink', linkname: 'x' }], [{ name: 'h', type: 'link', linkname: 'l' }]]],
  ['a hard link out', [[{ name: 'h', type: 'link', linkname: '../../etc/passwd' }]]],
  ['a device', [[{ name: 'null', type: 'character-device', devmajor: 1, devminor: 3 }]]],
  ['a fifo', [[{ name: 'pipe', type: 'fifo' }]]],
  [
    'a file twice',
    [
      [{ name: 'a' }, 'x'],
      [{ name: './a' }, 'y'],
    ],
  ],
  [
    'a file below a file',
    [
      [{ name: 'a' }, 'x'],
      [{ name: 'a/b' }, 'y'],
    ],
  ],
  ['a link over a folder', [[{ name: 'a/', type: 'directory' }], [{ name: 'a', type: 'symlink', linkname: 'b' }]]],
]
test.each(hostile)('refuses %s', async (_, entries) => {
  const before = await readdir(dir)
  await expect(unpack(await tarOf(...entries))).rejects.toMatchObject({ code: 'RFO_SOURCE_PATH', exit: 'untrusted' })
  expect((await readdir(join(dir, String(count)))).toString()).toBe('in')
  expect((await readdir(dir)).length).toBe(before.length + 2)
})

test('too many entries, too many bytes', async () => {
  const tar = await tarOf([{ name: 'a' }, 'xxx'], [{ name: 'b' }, 'xxx'], [{ name: 'c' }, 'xxx'])
  await expect(unpack(tar, { entries: 2, bytes: 100 })).rejects.toMatchObject({ code: 'RFO_SOURCE_PATH' })
  await expect(unpack(tar, { entries: 9, bytes: 8 })).rejects.toMatchObject({ code: 'RFO_SOURCE_PATH' })
  await unpack(tar, { entries: 3, bytes: 9 })
})

test('cut off or broken archives are no archives', async () => {
  const tar = await tarOf([{ name: 'a' }, 'x'.repeat(100_000)])
  const zipped = gzipSync(tar)
  const zstd = zstdCompressSync(tar)
  for (const bytes of [
    tar.subarray(0, 5000),
    zipped.subarray(0, zipped.length - 20),
    zstd.subarray(0, zstd.length - 9),
    Buffer.from('not a tar at all'.repeat(100)),
  ]) {
    await expect(unpack(bytes)).rejects.toMatchObject({ code: 'RFO_SOURCE_ARCHIVE', exit: 'untrusted' })
  }
})

test('a zstd that wants more memory than a decoder has to give is refused', async () => {
  // a frame of one raw block behind a header that asks for a window of 2^exponent: RFC 8878, 3.1.1
  const tar = await tarOf([{ name: 'a' }, 'x'.repeat(1000)])
  const frame = (exponent: number): Buffer => {
    const block = Buffer.alloc(3)
    block.writeUIntLE((tar.length << 3) | 1, 0, 3)
    return Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, (exponent - 10) << 3]), block, tar])
  }
  expect(await readdir(await unpack(frame(27)))).toEqual(['a'])
  await expect(unpack(frame(28))).rejects.toMatchObject({ code: 'RFO_SOURCE_ARCHIVE', exit: 'untrusted' })
})

test.each([
  ['xz', 'fd377a585a0000'],
  ['bzip2', '425a6839314159'],
  ['zip', '504b03041400'],
  ['7z', '377abcaf271c00'],
])('%s is not read, and which are is said', async (name, start) => {
  await expect(unpack(Buffer.from(start.padEnd(400, '0'), 'hex'))).rejects.toMatchObject({
    code: 'RFO_SOURCE_ARCHIVE',
    exit: 'usage',
    message: expect.stringContaining(`it is ${name}; .tar, .tar.gz and .tar.zst are read`),
  })
})
