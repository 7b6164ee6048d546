/**
 * One tar stream as clean entries: paths are split and checked, the body of every file must be read to its end.
 * tar-stream knows pax (https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_03) and GNU's
 * long names and bounds both at 4 MiB; what it does not know (sparse files) is refused here.
 */
import { extract } from 'tar-stream'
import { RfoError } from '../error.ts'
import { feedTar } from '../oci/tar-feed.ts'

export interface TarEntry {
  /** Components below the root, none of them empty, `.` or `..`; [] is the root itself. */
  readonly path: readonly string[]
  readonly kind: 'file' | 'directory' | 'symlink' | 'hardlink' | 'special'
  /** bytes */
  readonly size: number
  readonly mode: number
  /** A symlink's target as it stands there, a hard link's as it stands there; else ''. */
  readonly target: string
  readonly body: AsyncIterable<Uint8Array>
}

/** PATH_MAX of Linux, bytes. */
const longestPath = 4096
/** Components; deeper than any real image, shallow enough for a stack. */
const deepest = 256

const kinds: Readonly<Record<string, TarEntry['kind']>> = {
  file: 'file',
  'contiguous-file': 'file',
  directory: 'directory',
  symlink: 'symlink',
  link: 'hardlink',
  'character-device': 'special',
  'block-device': 'special',
  fifo: 'special',
}

/** Throws RFO_INSPECT_TAR for what is no tar, RFO_INSPECT_PATH for a name that leaves the root or can't be told apart. */
export async function* readTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry, void, undefined> {
  // its types lack an option that its code has: tars from before POSIX have no magic
  const options: object = { allowUnknownFormat: true }
  const parser = extract(options)
  let failed: { readonly cause: unknown } | undefined
  // the reader of the entries sees a failure through the parser; here it is only remembered, to be thrown as it was
  feedTar(source, parser).catch((cause: unknown) => {
    failed = { cause }
    parser.destroy(cause instanceof Error ? cause : new Error(String(cause)))
  })
  const translate = (cause: unknown): unknown => {
    if (failed !== undefined) return failed.cause
    return cause instanceof RfoError ? cause : broken(cause instanceof Error ? cause.message : String(cause), cause)
  }
  try {
    for await (const entry of parser) {
      const { header } = entry
      const type: string | null = header.type
      const kind = kinds[type ?? '']
      const sparse = Object.keys(header.pax ?? {}).some((key) => key.startsWith('GNU.sparse.'))
      if (kind === undefined || sparse)
        throw broken(`an entry of a kind that is not known (${sparse ? 'sparse file' : (type ?? 'unknown')})`)
      // a size that tar-stream can't read is null there, and its parser then waits for ever
      if (!Number.isSafeInteger(header.size) || header.size < 0 || !Number.isSafeInteger(header.mode)) throw broken('a number in a header')
      // Go, and so every runtime, reads no body behind a link; tar-stream does, and a directory's it never ends
      if (kind !== 'file' && kind !== 'directory' && header.size !== 0) throw broken(`a ${kind} of ${header.size} bytes`)
      yield {
        path: splitPath(header.name),
        kind,
        size: kind === 'file' ? header.size : 0,
        mode: header.mode,
        target: kind === 'symlink' || kind === 'hardlink' ? checkedName(header.linkname ?? '') : '',
        body: kind === 'file' ? bodyOf(entry as AsyncIterable<Uint8Array>, translate) : nothing(),
      }
    }
  } catch (cause) {
    throw translate(cause)
  } finally {
    parser.destroy()
  }
}

/** A path inside an archive, relative to its root: a leading `/` or `./` means the root, `..` is never allowed. */
export function splitPath(name: string): readonly string[] {
  const parts = checkedName(name)
    .split('/')
    .filter((part) => part !== '' && part !== '.')
  if (parts.includes('..')) throw badPath(name, 'leaves the root')
  if (parts.length > deepest) throw badPath(name, `is deeper than ${deepest} directories`)
  return parts
}

function checkedName(name: string): string {
  if (name.length > longestPath) throw badPath(name, `is longer than ${longestPath} bytes`)
  if (name.includes('\0')) throw badPath(name, 'holds a NUL')
  // bytes that are no UTF-8 all become U+FFFD: two names could become one, and one file hide the other
  if (name.includes('\u{fffd}')) throw badPath(name, 'is not UTF-8')
  return name
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

async function* bodyOf(entry: AsyncIterable<Uint8Array>, translate: (cause: unknown) => unknown): AsyncGenerator<Uint8Array> {
  const chunks = entry[Symbol.asyncIterator]()
  for (;;) {
    // only what the archive did is translated; what the reader of the body throws is its own
    const next = await chunks.next().catch((cause: unknown) => Promise.reject(translate(cause)))
    if (next.done === true) return
    yield next.value
  }
}

function broken(what: string, cause?: unknown): RfoError {
  return new RfoError('RFO_INSPECT_TAR', `not a tar that can be read: ${what}`, { exit: 'untrusted', cause })
}

function badPath(name: string, what: string): RfoError {
  return new RfoError('RFO_INSPECT_PATH', `the path ${JSON.stringify(name.slice(0, 200))} ${what}`, { exit: 'untrusted' })
}
