import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RfoError } from '../../src/error.ts'
import { walkImage } from '../../src/inspect/image.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { tool } from '../tools.ts'
import { type Entry, type Image, image, imageOf, type Packing, tarOf } from './images.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'rfo-walk-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** path → content of every file that the merged view has. */
async function merged({ store, manifest }: Image): Promise<Record<string, string>> {
  const walked = await walkImage<string>(
    manifest,
    store,
    { wants: () => true, visit: async (file, content) => (await content.read(0, file.size)).toString('utf8') },
    { tempDir: folder },
  )
  return Object.fromEntries(walked.tree.leaves().map(([path, leaf]) => [path, leaf.found ?? leaf.target ?? leaf.kind]))
}

const dir = (name: string): Entry => ({ name, type: 'directory', mode: 0o755 })
const file = (name: string, body = name): Entry => ({ name, body })
const link = (name: string, linkname: string): Entry => ({ name, type: 'symlink', linkname })

describe('the merged view', () => {
  test.each<Packing>(['plain', 'gzip', 'zstd', 'frames'])('later layers replace, whiteouts hide (%s)', async (packing) => {
    const made = await image(
      [
        [dir('etc/'), file('etc/a', 'old'), file('etc/b'), file('opt/x/y'), file('opt/x/z'), file('srv/one')],
        [file('etc/a', 'new'), file('etc/.wh.b', ''), file('opt/.wh.x', ''), file('srv/.wh..wh..opq', ''), file('srv/two')],
      ],
      { packing },
    )
    expect(await merged(made)).toEqual({ '/etc/a': 'new', '/srv/two': 'srv/two' })
  })

  test('a whiteout hides lower layers only, wherever it stands in its layer', async () => {
    const made = await image([
      [file('a/old'), file('a/deep/old'), file('b/old')],
      [file('a/new'), file('a/deep/new'), file('.wh.a', ''), file('b/new'), file('b/.wh..wh..opq', ''), file('b/newer')],
    ])
    expect(Object.keys(await merged(made))).toEqual(['/a/deep/new', '/a/new', '/b/new', '/b/newer'])
  })

  test('whiteouts of what is not there, and aufs leftovers, are nothing', async () => {
    expect(
      await merged(await image([[file('.wh.none', ''), file('x/y/.wh.z', ''), file('.wh..wh.plnk/1', '1'), file('.wh..wh.aufs', '')]])),
    ).toEqual({})
  })

  test('hard links are files: within a layer and to a lower one', async () => {
    const made = await image([
      [file('bin/a', 'A'), { name: 'bin/b', type: 'link', linkname: 'bin/a' }],
      [{ name: 'c', type: 'link', linkname: './bin/b' }, file('bin/.wh.a', '')],
    ])
    expect(await merged(made)).toEqual({ '/bin/b': 'A', '/c': 'A' })
  })

  test('paths through symlinks land where a runtime would put them', async () => {
    const made = await image([
      [dir('usr/lib'), link('lib', 'usr/lib'), link('up', '../../../usr'), link('loop', 'loop'), link('abs', '/usr/lib')],
      [file('lib/x'), file('up/lib/y'), file('abs/z')],
    ])
    expect(Object.keys(await merged(made)).filter((path) => path.startsWith('/usr'))).toEqual(['/usr/lib/x', '/usr/lib/y', '/usr/lib/z'])
    await expect(merged(await image([[link('loop', 'loop'), file('loop/x')]]))).rejects.toMatchObject({ code: 'RFO_INSPECT_PATH' })
  })

  test('a directory over a link or file replaces it, a file over a directory too', async () => {
    const made = await image([
      [link('a', 'b'), file('b/x'), file('c/x'), file('d')],
      [dir('a'), file('a/y'), file('c'), dir('d'), file('d/e')],
    ])
    expect(Object.keys(await merged(made))).toEqual(['/a/y', '/b/x', '/c', '/d/e'])
  })

  test('names as one, told apart: prefix, pax, leading slash and dot', async () => {
    const long = `${'d'.repeat(90)}/${'e'.repeat(90)}/${'f'.repeat(200)}`
    const made = await image([[file(long, 'long'), file('./dot', 'dot'), file('/abs', 'abs'), file('utf8/\u00e9\u4e2d', 'utf8')]])
    expect(await merged(made)).toEqual({ [`/${long}`]: 'long', '/abs': 'abs', '/dot': 'dot', '/utf8/\u00e9\u4e2d': 'utf8' })
  })

  const tar = tool('tar')
  test.skipIf(tar.skip).each(['gnu', 'posix', 'ustar', 'v7'])('what tar --format=%s writes', async (format) => {
    const work = join(folder, format)
    const name = format === 'v7' ? 'short' : `${'n'.repeat(format === 'ustar' ? 60 : 120)}/${'m'.repeat(format === 'ustar' ? 90 : 180)}`
    mkdirSync(join(work, name, '..'), { recursive: true })
    writeFileSync(join(work, name), 'content')
    const bytes = execFileSync(tar.path, ['-c', `--format=${format}`, '-C', work, '.'], { maxBuffer: 1 << 24 })
    expect(await merged(await imageOf([bytes]))).toEqual({ [`/${name}`]: 'content' })
  })
})

describe('what is refused', () => {
  const bad: readonly (readonly [string, readonly Entry[]])[] = [
    ['..', [file('../escape')]],
    ['.. inside', [file('a/../../escape')]],
    ['an absolute ..', [file('/../escape')]],
    ['a hard link out', [file('a'), { name: 'b', type: 'link', linkname: '../../etc/shadow' }]],
    ['a hard link to nothing', [{ name: 'b', type: 'link', linkname: 'none' }]],
    ['a whiteout of ..', [file('a/.wh...', '')]],
    ['a whiteout of nothing', [file('a/.wh.', '')]],
    ['a file below a file', [file('a'), file('a/b')]],
    ['a path too deep', [file('a/'.repeat(300))]],
  ]
  test.each(bad)('%s', async (_, entries) => {
    await expect(merged(await image([entries]))).rejects.toMatchObject({ code: 'RFO_INSPECT_PATH', exit: 'untrusted' })
  })

  test('names that are no UTF-8 could hide one another', async () => {
    const tar = await tarOf([file('xx')])
    tar[0] = 0xff
    let sum = 8 * 32
    for (const [n, byte] of tar.subarray(0, 512).entries()) if (n < 148 || n >= 156) sum += byte
    tar.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
    await expect(merged(await imageOf([tar]))).rejects.toMatchObject({ code: 'RFO_INSPECT_PATH' })
  })

  test('other bytes than the config says, however the layer is packed', async () => {
    const tar = await tarOf([file('a')])
    for (const packing of ['plain', 'gzip', 'zstd'] as const) {
      const made = await imageOf([tar], { packing, diffIds: [digestOf('something else')] })
      await expect(merged(made)).rejects.toMatchObject({ code: 'RFO_INSPECT_DIFFID', exit: 'untrusted' })
    }
    await expect(merged(await imageOf([tar], { diffIds: [] }))).rejects.toMatchObject({ code: 'RFO_INSPECT_DIFFID' })
  })

  test('a tar that ends too early, or is none', async () => {
    const tar = await tarOf([file('a', 'x'.repeat(5000))])
    await expect(merged(await imageOf([tar.subarray(0, 2000)]))).rejects.toMatchObject({ code: 'RFO_INSPECT_TAR' })
    await expect(merged(await imageOf([Buffer.alloc(4096, 'garbage')]))).rejects.toMatchObject({ code: 'RFO_INSPECT_TAR' })
    await expect(merged(await imageOf([Buffer.from('short')]))).rejects.toMatchObject({ code: 'RFO_INSPECT_TAR' })
  })

  test('layers that are not packed as they say', async () => {
    const made = await image([[file('a')]])
    for (const [mediaType, code] of [
      ['application/vnd.oci.image.layer.v1.tar+zstd', 'RFO_INSPECT_LAYER'],
      ['application/vnd.oci.image.layer.v1.tar+encrypted', 'RFO_INSPECT_LAYER'],
      ['text/plain', 'RFO_INSPECT_LAYER'],
      ['application/vnd.oci.image.layer.v1.tar', 'RFO_INSPECT_TAR'],
    ] as const) {
      const chunks: Uint8Array[] = []
      for await (const chunk of made.store.fetch(made.manifest)) chunks.push(chunk)
      const text = Buffer.concat(chunks).toString().replace('application/vnd.oci.image.layer.v1.tar+gzip', mediaType)
      const manifest = { ...made.manifest, digest: digestOf(text), size: text.length }
      await made.store.push(
        manifest,
        (async function* () {
          yield Buffer.from(text)
        })(),
      )
      await expect(merged({ ...made, manifest })).rejects.toMatchObject({ code })
    }
  })
})

test('files over 1 MiB are looked at in a temporary file, which is gone afterwards', async () => {
  const tempDir = join(folder, 'spool')
  const big = Buffer.alloc(2 * 1024 * 1024, 'abcdefgh')
  const { store, manifest } = await image([[{ name: 'big', body: big }, file('small')]])
  const seen: string[] = []
  const walked = await walkImage<boolean>(
    manifest,
    store,
    {
      wants: () => true,
      async visit(one, content, { sha256, sha512 }) {
        seen.push(`${one.path} ${readdirSync(tempDir).length} ${(await content.read(one.size - 4, 100)).toString()} ${sha256.length}`)
        const bytes = await content.read(0, one.size)
        expect(sha512).toBe(createHash('sha512').update(bytes).digest('hex'))
        return true
      },
    },
    { tempDir },
  )
  expect(seen).toEqual(['/big 1 efgh 64', '/small 0 mall 64'])
  expect(walked.tree.leaf('/big')?.sha256).toBe(createHash('sha256').update(big).digest('hex'))
  expect(readdirSync(tempDir)).toEqual([])
  await expect(
    walkImage(manifest, store, { wants: () => true, visit: () => Promise.reject(new Error('no')) }, { tempDir }),
  ).rejects.toThrow('no')
  expect(readdirSync(tempDir)).toEqual([])
})

test('a few kB that would grow for ever are no layer', async () => {
  const { store, manifest } = await image([[{ name: 'zeros', body: Buffer.alloc(72 << 20) }]], { packing: 'zstd' })
  await expect(walkImage(manifest, store, { wants: () => false, visit: async () => undefined }, { tempDir: folder })).rejects.toMatchObject(
    { code: 'RFO_INSPECT_BOMB', exit: 'untrusted' },
  )
})

test('a place where nothing can be kept is this machine’s fault', async () => {
  const notAFolder = join(folder, 'file')
  writeFileSync(notAFolder, '')
  const { store, manifest } = await image([[{ name: 'big', body: Buffer.alloc(9 * 1024 * 1024) }]])
  await expect(
    walkImage(manifest, store, { wants: () => true, visit: async () => undefined }, { tempDir: notAFolder }),
  ).rejects.toMatchObject({
    code: 'RFO_INSPECT_SPOOL',
    exit: 'machine',
  })
})

test('a tar changed 500 times is walked or refused, at once', async () => {
  const original = await tarOf([
    dir('a/'),
    file('a/b', 'x'.repeat(700)),
    link('l', 'a'),
    file('l/c'),
    file(`${'n'.repeat(150)}/m`),
    file('.wh.z', ''),
    file('end'),
  ])
  const change = fc.tuple(fc.nat(original.length / 512 - 1), fc.nat(511), fc.nat(255))
  await fc.assert(
    fc.asyncProperty(
      fc.array(change, { minLength: 1, maxLength: 3 }),
      fc.boolean(),
      fc.nat(original.length),
      async (changes, cut, length) => {
        const tar = Buffer.from(original)
        for (const [block, at, value] of changes) {
          tar[block * 512 + at] = value
          // with its checksum made right again, or tar-stream would see every change first
          const header = tar.subarray(block * 512, block * 512 + 512)
          let sum = 8 * 32
          for (const [n, byte] of header.entries()) if (n < 148 || n >= 156) sum += byte
          if (header.toString('latin1', 257, 262) === 'ustar') header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
        }
        const started = performance.now()
        try {
          await merged(await imageOf([cut ? tar.subarray(0, length) : tar], { packing: 'plain' }))
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(RfoError)
          expect((thrown as RfoError).exit).toBe('untrusted')
        }
        expect(performance.now() - started).toBeLessThan(2000)
      },
    ),
    { numRuns: 500, seed: 7 },
  )
})

test('an abort ends the walk with its reason', async () => {
  const { store, manifest } = await image([[file('a')]])
  const signal = AbortSignal.abort(new Error('enough'))
  await expect(
    walkImage(manifest, store, { wants: () => false, visit: async () => undefined }, { tempDir: folder, signal }),
  ).rejects.toThrow('enough')
})
