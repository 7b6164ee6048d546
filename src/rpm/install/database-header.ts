/** The header of an installed package: what its RPM brought, and behind that what installation adds. */
import type { Header } from './read-header.ts'
import type { RpmFile } from './rpm-file.ts'

/**
 * What a signature header has → where a database keeps it: https://github.com/rpm-software-management/rpm/blob/rpm-4.18.0-release/lib/package.c,
 * headerMergeLegacySigs.
 */
const merged: readonly (readonly [signature: number, tag: number])[] = [
  [1000, 257],
  [1002, 259],
  [1004, 261],
  [1005, 262],
  [267, 267],
  [268, 268],
  [269, 269],
  [273, 273],
  [1007, 1046],
]
const installTag = { time: 1008, fileStates: 1029, colour: 1127, transaction: 1128 } as const
const baseNames = 1117

interface Added {
  readonly tag: number
  readonly type: number
  readonly count: number
  readonly bytes: Buffer
}

/** `time`: seconds, of installation. As rpm stores it: without magic, the package's own region untouched. */
export function databaseHeader({ header, signature }: Pick<RpmFile, 'header' | 'signature'>, time: number): Buffer {
  const files = header.raw(baseNames)?.count ?? 0
  const added: Added[] = [
    ...merged.flatMap(([from, tag]) => copied(signature, from, tag)),
    { tag: installTag.time, type: 4, count: 1, bytes: number(time) },
    // each file as it should be: RPMFILE_STATE_NORMAL is 0
    ...(files === 0 ? [] : [{ tag: installTag.fileStates, type: 1, count: files, bytes: Buffer.alloc(files) }]),
    { tag: installTag.colour, type: 4, count: 1, bytes: number(0) },
    { tag: installTag.transaction, type: 4, count: 1, bytes: number(time) },
  ].sort((a, b) => a.tag - b.tag)
  const index: Buffer[] = [header.index]
  const data: Buffer[] = [header.data]
  let at = header.data.length
  for (const { tag, type, count, bytes } of added) {
    const alignment = ({ 3: 2, 4: 4, 5: 8 } as const)[type as 3] ?? 1
    const fill = (alignment - (at % alignment)) % alignment
    const entry = Buffer.alloc(16)
    for (const [n, value] of [tag, type, at + fill, count].entries()) entry.writeUInt32BE(value, n * 4)
    index.push(entry)
    data.push(Buffer.alloc(fill), bytes)
    at += fill + bytes.length
  }
  const lengths = Buffer.alloc(8)
  lengths.writeUInt32BE(header.index.length / 16 + added.length, 0)
  lengths.writeUInt32BE(at, 4)
  return Buffer.concat([lengths, ...index, ...data])
}

function copied(from: Header, tag: number, as: number): Added[] {
  const found = from.raw(tag)
  return found === undefined ? [] : [{ tag: as, ...found }]
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
