/** zstd streams of every shape that encoders write: what goes in comes out, or it is refused. */
import { spawnSync } from 'node:child_process'
import { constants, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { gather } from '../../src/content/body.ts'
import { unzstd } from '../../src/content/zstd.ts'
import { tool } from '../tools.ts'

const zstd = tool('zstd')

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}
const skippable = (size: number): Buffer => {
  const head = Buffer.alloc(8 + size)
  head.writeUInt32LE(0x184d2a50 + (size % 16), 0)
  head.writeUInt32LE(size, 4)
  return head
}

test('many frames, small and large, skippable ones between them, in whatever pieces they come', async () => {
  const part = fc.record({ byte: fc.nat(255), length: fc.nat(3000), skip: fc.nat(40), checksum: fc.boolean() })
  await fc.assert(
    fc.asyncProperty(fc.array(part, { maxLength: 12 }), fc.integer({ min: 1, max: 500 }), async (parts, size) => {
      const plain = parts.map(({ byte, length }) => Buffer.alloc(length, byte))
      const packed = parts.flatMap(({ skip, checksum }, i) => [
        zstdCompressSync(plain[i] as Buffer, { params: { [constants.ZSTD_c_checksumFlag]: Number(checksum) } }),
        ...(skip === 0 ? [] : [skippable(skip)]),
      ])
      expect(await gather(unzstd(inPieces(Buffer.concat(packed), size)))).toEqual(Buffer.concat(plain))
    }),
    { numRuns: 60 },
  )
})

test('cut anywhere, changed, or followed by something else: refused', async () => {
  const bytes = Buffer.concat([zstdCompressSync('first'.repeat(100)), zstdCompressSync('second'.repeat(100))])
  const first = zstdCompressSync('first'.repeat(100)).length
  for (let at = 1; at < bytes.length; at += 1) {
    const cut = gather(unzstd(inPieces(bytes.subarray(0, at), 7)))
    if (at === first) await expect(cut).resolves.toHaveLength(500)
    else await expect(cut).rejects.toMatchObject({ code: 'RFO_CONTENT_ZSTD', exit: 'untrusted' })
  }
  await expect(gather(unzstd(inPieces(Buffer.concat([bytes, Buffer.from('more')]), 64)))).rejects.toMatchObject({
    code: 'RFO_CONTENT_ZSTD',
  })
})

test('whoever stops reading early leaves nothing that hangs', async () => {
  const bytes = zstdCompressSync(Buffer.alloc(8 << 20, 1))
  for await (const chunk of unzstd(inPieces(bytes, 64))) {
    expect(chunk.length).toBeGreaterThan(0)
    break
  }
})

test.skipIf(zstd.skip)('the window that a decoder needs is told, and a larger one than allowed is refused', async () => {
  const input = Buffer.alloc(40 << 20)
  for (const [log, single] of [
    [20, false],
    [26, false],
    [26, true],
  ] as const) {
    const { stdout } = spawnSync(
      zstd.path,
      ['-q', '-c', '-1', `--zstd=wlog=${log}`, ...(single ? [`--stream-size=${input.length}`] : ['--no-content-size'])],
      {
        input,
        maxBuffer: 1 << 28,
      },
    )
    let window = 0
    for await (const _ of unzstd(inPieces(stdout, 1 << 16), { windowLogMax: 31, window: (bytes) => (window = bytes) }));
    expect(window).toBe(single ? input.length : 1 << log)
    const bounded = gather(unzstd(inPieces(stdout, 1 << 16), { windowLogMax: 25 }))
    if (log > 25) await expect(bounded).rejects.toMatchObject({ code: 'RFO_CONTENT_ZSTD' })
    else expect((await bounded).length).toBe(input.length)
  }
})
