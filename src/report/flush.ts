/** Resolves when all that was written to the stream has been handed on, or the stream is broken: a reader that left is no error here. */
export function flush(stream: NodeJS.WritableStream): Promise<void> {
  return new Promise((resolve) => {
    stream.write('', () => resolve())
  })
}
