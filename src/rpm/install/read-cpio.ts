/** A payload, read as it comes: cpio in the "new ASCII" form, https://man.freebsd.org/cgi/man.cgi?query=cpio&sektion=5. */
import { RfoError } from '../../error.ts'

export interface CpioEntry {
  /** absolute: the archive's `./usr/bin/x` */
  readonly path: string
  /** type bits and permissions */
  readonly mode: number
  readonly inode: number
  readonly links: number
  /** bytes */
  readonly size: number
  /** Must be read to its end before the next entry is asked for; what is left is skipped. */
  readonly body: AsyncIterable<Uint8Array>
}

const headBytes = 110
const longestName = 4096
const pieceBytes = 1 << 16

/** Ends at the trailer. Throws RFO_RPM_PAYLOAD. */
export async function* readCpio(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<CpioEntry, void, undefined> {
  const source = bytes[Symbol.asyncIterator]()
  let held: Buffer = Buffer.alloc(0)
  /** At least one byte, at most `most`; undefined = no more. */
  const some = async (most: number): Promise<Buffer | undefined> => {
    while (held.length === 0) {
      const next = await source.next()
      if (next.done === true) return undefined
      held = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.length)
    }
    const taken = held.subarray(0, most)
    held = held.subarray(taken.length)
    return taken
  }
  const exactly = async (count: number): Promise<Buffer> => {
    const parts: Buffer[] = []
    for (let missing = count; missing > 0; ) {
      const part = await some(missing)
      if (part === undefined) throw bad('it ends inside an entry')
      parts.push(part)
      missing -= part.length
    }
    return Buffer.concat(parts)
  }
  try {
    for (;;) {
      const head = await exactly(headBytes)
      const magic = head.toString('latin1', 0, 6)
      if (magic !== '070701' && magic !== '070702') throw bad(`an entry that begins with ${JSON.stringify(magic)}`)
      const field = (n: number): number => {
        const text = head.toString('latin1', 6 + n * 8, 14 + n * 8)
        if (!/^[0-9A-Fa-f]{8}$/.test(text)) throw bad('a field that is no number')
        return Number.parseInt(text, 16)
      }
      const [inode, mode, links, size, nameBytes] = [field(0), field(1), field(4), field(6), field(11)]
      if (nameBytes === 0 || nameBytes > longestName) throw bad('a name that is empty or too long')
      const name = (await exactly(padded(headBytes + nameBytes) - headBytes)).toString('utf8', 0, nameBytes - 1)
      if (name === 'TRAILER!!!') return
      let left = size
      async function* body(): AsyncGenerator<Uint8Array, void, undefined> {
        while (left > 0) {
          const part = await some(Math.min(left, pieceBytes))
          if (part === undefined) throw bad(`${name} ends too early`)
          left -= part.length
          yield part
        }
      }
      yield { path: `/${name.replace(/^\.?\//, '')}`, mode, inode, links, size, body: body() }
      for await (const _ of body()) {
        // nobody wanted it
      }
      await exactly(padded(size) - size)
    }
  } finally {
    await source.return?.()
  }
}

function padded(size: number): number {
  return Math.ceil(size / 4) * 4
}

function bad(what: string): RfoError {
  return new RfoError('RFO_RPM_PAYLOAD', `an RPM's payload can't be read: ${what}`, { exit: 'untrusted' })
}
