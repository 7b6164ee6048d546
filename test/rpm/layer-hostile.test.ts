/** RPMs that lie, and packages that do not go together: refused with a code, and quickly. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { RfoError } from '../../src/error.ts'
import { readBaseImage } from '../../src/inspect/base-image.ts'
import { numbers, tags } from '../../src/rpm/header.ts'
import { packagesLayer } from '../../src/rpm/install/layer.ts'
import { writeNdb } from '../../src/sandbox/rpmdb.ts'
import { image, rpm } from '../inspect/images.ts'
import { arch, type Base, baseWith, epoch } from './built.ts'
import { type Crafted, cpioOf, craft, craftedBytes, type Row } from './crafted.ts'

let folder: string
let base: Base
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'rfo-hostile-'))
  base = await baseWith()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const plain: Row = { path: '/usr/share/x', body: 'x' }

async function laid(rpms: readonly { readonly nevra: string; readonly file: string }[], view = base.view): Promise<string[]> {
  const layer = await packagesLayer({ rpms, base: view, arch, epoch, decompress: { env: { PATH: '/nonexistent' } } })
  const names: string[] = []
  for await (const part of layer.tar())
    if (part.length === 512) names.push(Buffer.from(part).toString('latin1', 0, 100).replace(/\0.*/s, ''))
  return names
}

async function one(crafted: Crafted, view = base.view): Promise<string[]> {
  return await laid(
    [{ nevra: `${crafted.name ?? 'crafted'}-1.0-1.${crafted.arch ?? arch}`, file: craft(join(folder, 'one.rpm'), crafted) }],
    view,
  )
}

test('what the crafting makes is taken when it is honest', async () => {
  expect(await one({ rows: [plain] })).toContain('usr/share/x')
})

describe('an RPM that lies', () => {
  test.each<readonly [string, Crafted, string]>([
    ['a path that leaves', { rows: [{ path: '/usr/../../etc/x', body: '' }] }, 'RFO_RPM_PATH'],
    ['a relative path', { rows: [{ path: 'etc/x', body: '' }] }, 'RFO_RPM_PATH'],
    ['an empty part', { rows: [{ path: '/etc//x', body: '' }] }, 'RFO_RPM_PATH'],
    ['a whiteout', { rows: [{ path: '/etc/.wh.passwd', body: '' }] }, 'RFO_RPM_PATH'],
    ['one path twice', { rows: [plain, plain] }, 'RFO_RPM_PATH'],
    ['a device', { rows: [{ path: '/dev/x', mode: 0o020666 }] }, 'RFO_RPM_PATH'],
    ['a name of its own', { rows: [plain], name: 'a/../b' }, 'RFO_RPM_HEADER'],
    ['a member that no header has', { rows: [plain], members: [{ name: './etc/shadow', body: 'x' }] }, 'RFO_RPM_PAYLOAD'],
    ['a member twice', { rows: [plain], members: [1, 2].map(() => ({ name: './usr/share/x', body: 'x' })) }, 'RFO_RPM_PAYLOAD'],
    ['a member that leaves', { rows: [plain], members: [{ name: '../usr/share/x', body: 'x' }] }, 'RFO_RPM_PAYLOAD'],
    ['a missing member', { rows: [plain], members: [] }, 'RFO_RPM_PAYLOAD'],
    ['other bytes', { rows: [plain], members: [{ name: './usr/share/x', body: 'y' }] }, 'RFO_RPM_PAYLOAD'],
    ['more bytes', { rows: [plain], members: [{ name: './usr/share/x', body: 'xy' }] }, 'RFO_RPM_PAYLOAD'],
    [
      'a size beyond the end',
      { rows: [{ ...plain, size: 9 }], members: [{ name: './usr/share/x', body: 'x', size: 9 }] },
      'RFO_RPM_PAYLOAD',
    ],
    ['a link for a file', { rows: [plain], members: [{ name: './usr/share/x', mode: 0o120777, body: 'x' }] }, 'RFO_RPM_PAYLOAD'],
    [
      'another target',
      { rows: [{ path: '/usr/x', target: 'a' }], members: [{ name: './usr/x', mode: 0o120777, body: 'b' }] },
      'RFO_RPM_PAYLOAD',
    ],
    ['a hardlink to nothing', { rows: [plain], members: [{ name: './usr/share/x', links: 2, body: '' }] }, 'RFO_RPM_PAYLOAD'],
    ['no archive', { rows: [plain], payload: gzipSync('nothing here') }, 'RFO_RPM_PAYLOAD'],
    [
      'half an archive',
      { rows: [plain], payload: gzipSync(cpioOf([{ name: './usr/share/x', body: 'x' }]).subarray(0, 100)) },
      'RFO_RPM_PAYLOAD',
    ],
    ['an endless name', { rows: [plain], payload: gzipSync(`070701${'ffffffff'.repeat(13)}`) }, 'RFO_RPM_PAYLOAD'],
    ['a packing nobody knows', { rows: [plain], payload: Buffer.from('BZh91AY') }, 'RFO_RPM_PAYLOAD'],
    ['damaged gzip', { rows: [plain], payload: gzipSync(cpioOf([])).fill(0xff, 12) }, 'RFO_RPM_PACKING'],
    [
      'half of gzip',
      { rows: [plain], payload: gzipSync(cpioOf([{ name: './usr/share/x', body: 'x' }])).subarray(0, 40) },
      'RFO_RPM_PACKING',
    ],
    ['xz where no xz is', { rows: [plain], payload: Buffer.from('fd377a585a000004', 'hex') }, 'RFO_RPM_XZ'],
    ['fewer sizes than files', { rows: [plain], more: [[tags.fileSizes, numbers([1, 2])]] }, 'RFO_RPM_HEADER'],
    ['a folder that is not listed', { rows: [plain], more: [[tags.dirIndexes, numbers([7])]] }, 'RFO_RPM_HEADER'],
    ['a digest of an unknown kind', { rows: [plain], more: [[tags.fileDigestAlgorithm, numbers([99])]] }, 'RFO_RPM_HEADER'],
    ['a number for a string', { rows: [plain], more: [[tags.name, numbers([1])]] }, 'RFO_RPM_HEADER'],
  ])('%s', async (_what, crafted, code) => {
    await expect(one(crafted)).rejects.toMatchObject({ code })
  })

  test('another package than the lock names, and one for another machine', async () => {
    const file = craft(join(folder, 'other.rpm'), { rows: [plain] })
    await expect(laid([{ nevra: 'wanted-1.0-1.x86_64', file }])).rejects.toMatchObject({ code: 'RFO_RPM_NAME' })
    await expect(one({ rows: [plain], arch: 'aarch64' })).rejects.toMatchObject({ code: 'RFO_RPM_NAME' })
  })

  test('lengths that claim gigabytes cost nothing', async () => {
    const good = craftedBytes({ rows: [plain] })
    const main = good.lastIndexOf(Buffer.from('8eade801', 'hex'))
    for (const at of [96 + 8, 96 + 12, main + 8, main + 12]) {
      const bytes = Buffer.from(good)
      bytes.writeUInt32BE(0x0fff0000, at)
      writeFileSync(join(folder, 'huge.rpm'), bytes)
      await expect(laid([{ nevra: 'crafted-1.0-1.x86_64', file: join(folder, 'huge.rpm') }])).rejects.toMatchObject({ exit: 'untrusted' })
    }
  })

  test('cut or changed anywhere: our own error, or the same files', async () => {
    const good = craftedBytes({ rows: [plain, { path: '/usr/share/y', target: 'x' }, { path: '/usr/share/d', mode: 0o040755 }] })
    const file = join(folder, 'changed.rpm')
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length - 1), fc.nat(255), fc.boolean(), async (at, value, cut) => {
        const bytes = Buffer.from(good)
        bytes[at] = value
        writeFileSync(file, cut ? bytes.subarray(0, at) : bytes)
        try {
          await laid([{ nevra: 'crafted-1.0-1.x86_64', file }])
        } catch (thrown) {
          if (!(thrown instanceof RfoError)) throw thrown
        }
      }),
      { numRuns: 250 },
    )
  })
})

describe('files of several', () => {
  const two = async (a: readonly Row[], b: readonly Row[]): Promise<string[]> =>
    await laid([
      { nevra: 'a-1.0-1.x86_64', file: craft(join(folder, 'a.rpm'), { name: 'a', rows: a }) },
      { nevra: 'b-1.0-1.x86_64', file: craft(join(folder, 'b.rpm'), { name: 'b', rows: b }) },
    ])
  const shared: Row = { path: '/usr/share/x', body: 'same' }

  test('what both bring alike lies there once', async () => {
    const names = await two([shared, { path: '/usr/share/l', target: 'x' }], [shared, { path: '/usr/share/l', target: 'x' }])
    expect(names.filter((name) => name === 'usr/share/x')).toHaveLength(1)
    expect(names.filter((name) => name === 'usr/share/l')).toHaveLength(1)
  })

  test.each<readonly [string, Row, Row]>([
    ['other bytes', shared, { ...shared, body: 'other' }],
    ['another mode', shared, { ...shared, mode: 0o100755 }],
    ['a folder', shared, { path: shared.path, mode: 0o040755 }],
    ['a link', shared, { path: shared.path, target: 'y' }],
    ['a file below it', shared, { path: '/usr/share/x/below', body: '' }],
    ['a link with a file below it', { path: '/usr/share/x', target: '/etc' }, { path: '/usr/share/x/below', body: '' }],
  ])('%s is a conflict, whoever comes first', async (_what, a, b) => {
    await expect(two([a], [b])).rejects.toMatchObject({ code: 'RFO_RPM_CONFLICT', exit: 'build' })
    await expect(two([b], [a])).rejects.toMatchObject({ code: 'RFO_RPM_CONFLICT' })
  })

  test('what the base has alike is not brought again, and its links are followed', async () => {
    const names = await one({
      rows: [
        { path: '/usr/bin/bash', body: 'shell' },
        { path: '/bin/more', body: 'm' },
        { path: '/bin', mode: 0o040755 },
      ],
    })
    expect(names).toEqual(['usr/bin/more', 'var/lib/rpm/Packages.db'])
  })

  test('what a package of the base owns is replaced by nobody; what nobody owns is', async () => {
    await expect(one({ rows: [{ path: '/usr/bin/bash', body: 'mine' }] })).rejects.toMatchObject({ code: 'RFO_RPM_CONFLICT' })
    await expect(one({ rows: [{ path: '/bin/bash', body: 'mine' }] })).rejects.toMatchObject({ code: 'RFO_RPM_CONFLICT' })
    await expect(one({ rows: [{ path: '/usr/bin/bash/x', body: '' }] })).rejects.toMatchObject({ code: 'RFO_RPM_CONFLICT' })
    expect(await one({ rows: [{ path: '/etc/passwd', body: 'mine' }] })).toContain('etc/passwd')
  })
})

describe('the base’s database', () => {
  const view = async (entries: Parameters<typeof image>[0][number]) => {
    const { store, manifest } = await image([entries])
    return await readBaseImage(manifest, store, { tempDir: '/nonexistent' })
  }
  const db = writeNdb([rpm('bash')])

  test('grows by a page of slots when it must', async () => {
    const many = writeNdb(Array.from({ length: 253 }, (_, n) => rpm(`p${n}`)))
    const full = await view([{ name: 'var/lib/rpm/Packages.db', body: many }])
    expect(full.headers).toHaveLength(253)
    const names = await one({ rows: [plain] }, full)
    expect(names).toContain('var/lib/rpm/Packages.db')
  })

  test('its index, which knows nothing of what is added, is taken away', async () => {
    const indexed = await view(
      ['Packages', 'Index'].map((name) => ({ name: `var/lib/rpm/${name}.db`, body: name === 'Index' ? 'old' : db })),
    )
    expect(await one({ rows: [plain] }, indexed)).toContain('var/lib/rpm/.wh.Index.db')
  })

  test.each([
    ['none', [{ name: 'etc/os-release', body: '' }]],
    ['two', ['var/lib/rpm/Packages.db', 'usr/lib/sysimage/rpm/Packages.db'].map((name) => ({ name, body: db }))],
  ])('%s: refused', async (_what, entries) => {
    await expect(one({ rows: [plain] }, await view(entries))).rejects.toMatchObject({ code: 'RFO_RPM_DATABASE', exit: 'usage' })
  })
})
