/** A stream that is asked for bytes by number, as parsers want them. */
export interface Pull {
  /** At least one byte, at most `most`, not copied. */
  some(most: number): Promise<Uint8Array>
  exactly(size: number): Promise<Buffer>
  ended(): Promise<boolean>
  close(): Promise<void>
}

/** `early` makes what is thrown when the stream ends before what it is asked for. */
export function pull(source: AsyncIterable<Uint8Array>, early: () => Error): Pull {
  const chunks = source[Symbol.asyncIterator]()
  let rest: Uint8Array = Buffer.alloc(0)
  const ended = async (): Promise<boolean> => {
    while (rest.length === 0) {
      const next = await chunks.next()
      if (next.done === true) return true
      rest = next.value
    }
    return false
  }
  const some = async (most: number): Promise<Uint8Array> => {
    if (await ended()) throw early()
    const bytes = rest.subarray(0, most)
    rest = rest.subarray(bytes.length)
    return bytes
  }
  return {
    some,
    async exactly(size) {
      const parts: Uint8Array[] = []
      for (let left = size; left > 0; left -= parts.at(-1)?.length ?? 0) parts.push(await some(left))
      return Buffer.concat(parts)
    },
    ended,
    async close() {
      await chunks.return?.()
    },
  }
}
