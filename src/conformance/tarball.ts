/** A `.tar.gz` of results as named files, without writing any. */
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { extract } from 'tar-stream'
import { RfoError } from '../error.ts'
import { feedTar } from '../oci/tar-feed.ts'
import { refused } from './refusal.ts'

/** bytes, unpacked; logs of all pods of a cluster are in it */
const largest = 8 * 1024 * 1024 * 1024
const mostEntries = 200_000
const longestPath = 4096

/** Hands every regular file to `take`, in the order of the archive; what it does not read is read over. Throws RFO_CONFORMANCE_RESULTS. */
export async function eachFile(
  tarball: AsyncIterable<Uint8Array>,
  take: (path: string, body: AsyncIterable<Uint8Array>) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const parser = extract()
  let first: { readonly cause: unknown } | undefined
  const remember = (cause: unknown): void => {
    first ??= { cause }
    parser.destroy(cause instanceof Error ? cause : new Error(String(cause)))
  }
  const feeding = pipeline(
    Readable.from(tarball),
    createGunzip(),
    (unpacked: AsyncIterable<Uint8Array>) => feedTar(bounded(unpacked), parser),
    signal === undefined ? {} : { signal },
  ).catch(remember)
  try {
    await readEntries(parser, take)
  } catch (cause) {
    remember(cause)
  }
  await feeding
  if (first === undefined) return
  signal?.throwIfAborted()
  if (first.cause instanceof RfoError) throw first.cause
  throw refused('no whole .tar.gz', first.cause)
}

async function readEntries(
  parser: ReturnType<typeof extract>,
  take: (path: string, body: AsyncIterable<Uint8Array>) => Promise<void>,
): Promise<void> {
  let entries = 0
  for await (const entry of parser) {
    entries += 1
    if (entries > mostEntries) throw refused(`more than ${mostEntries} entries`)
    const { name, type, size } = entry.header
    const path = checkedPath(name)
    // a size that tar-stream can't read is null there, and its parser then waits for ever
    if (!Number.isSafeInteger(size) || (size ?? 0) < 0) throw refused('a size in a header can not be read')
    // nothing is written, so a link can lead nowhere; tar-stream would read a body behind one, and never end a directory's
    if (type !== 'file' && size !== 0) throw refused(`an entry of the kind ${type ?? 'unknown'} has a body`)
    if (type === 'file') await take(path, entry as AsyncIterable<Uint8Array>)
    entry.resume()
  }
}

async function* bounded(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  let size = 0
  for await (const chunk of source) {
    size += chunk.length
    if (size > largest) throw refused(`more than ${largest} bytes unpacked`)
    yield chunk
  }
}

function checkedPath(name: string): string {
  const bad = name === '' || name.length > longestPath || name.startsWith('/') || name.includes('\0') || name.split('/').includes('..')
  if (bad) throw refused(`the path ${JSON.stringify(name.slice(0, 200))}`)
  return name.replace(/^(\.\/)+/, '')
}
