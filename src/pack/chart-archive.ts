/**
 * A chart's .tgz (https://helm.sh/docs/topics/charts/#the-chart-file-structure) as files in memory, and back: the same
 * files are always the same bytes. What is read was written by others: it is bounded and nothing in it leaves its folder.
 */
import { gunzipSync, gzipSync } from 'node:zlib'
import { type Extract, extract } from 'tar-stream'
import { RfoError } from '../error.ts'
import { headerBlocks, padding } from '../oci/tar-header.ts'

type Entry = Extract extends AsyncIterable<infer Each> ? Each : never

/** Path below the chart's folder → content. */
export type ChartFiles = ReadonlyMap<string, Buffer>

/** RKE2's largest chart unpacks to 1.5 MB in 130 files. */
const maxTarBytes = 32 * 1024 * 1024
const maxEntries = 5000
const maxPathLength = 1024

/** Throws RFO_PACK_CHART for what is no chart of that name: helm, too, takes one top folder with plain files alone. */
export async function readChartArchive(tgz: Uint8Array, name: string): Promise<ChartFiles> {
  const parser = extract()
  parser.on('error', () => {}) // the loop below throws it; this one is for what comes after it has left
  const files = new Map<string, Buffer>()
  try {
    parser.end(gunzipSync(tgz, { maxOutputLength: maxTarBytes }))
    let entries = 0
    for await (const entry of parser) {
      if (++entries > maxEntries) throw noChart(name, `more than ${maxEntries} entries`)
      await take(entry, name, files)
    }
  } catch (cause) {
    throw cause instanceof RfoError ? cause : noChart(name, cause instanceof Error ? cause.message : String(cause), cause)
  } finally {
    parser.destroy()
  }
  for (const path of files.keys()) {
    for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1))
      if (files.has(path.slice(0, at))) throw noChart(name, `${quoted(path)} lies below a file`)
  }
  return files
}

async function take(entry: Entry, name: string, files: Map<string, Buffer>): Promise<void> {
  const { header } = entry
  const type: string | null = header.type
  const size: number | null | undefined = header.size
  // tar-stream waits for ever behind a size that it can't read, and behind a directory's
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) throw noChart(name, `${quoted(header.name)} has no size`)
  const directory = type === 'directory'
  if ((!directory && type !== 'file' && type !== 'contiguous-file') || (directory && size > 0))
    throw noChart(name, `${quoted(header.name)} is a ${type ?? 'thing of an unknown kind'} of ${size} bytes`)
  const path = pathIn(header.name, name, directory)
  if (directory) {
    entry.resume()
    return
  }
  if (files.has(path)) throw noChart(name, `${quoted(header.name)} comes twice`)
  const chunks: Uint8Array[] = []
  for await (const chunk of entry as AsyncIterable<Uint8Array>) chunks.push(chunk)
  files.set(path, Buffer.concat(chunks))
}

/** The path below the chart's folder. Backslashes too: helm turns them into slashes. */
function pathIn(path: string, name: string, directory: boolean): string {
  const parts = (directory ? path.replace(/\/+$/, '') : path).split('/')
  const odd = parts.some((part) => part === '' || part === '.' || part === '..') || /[\\\0\u{fffd}]|^[A-Za-z]:/u.test(path)
  if (odd || path.length > maxPathLength) throw noChart(name, `the path ${quoted(path)} is not one of a chart`)
  if (parts[0] !== name) throw noChart(name, `${quoted(path)} lies outside its folder ${name}/`)
  if (!directory && parts.length === 1) throw noChart(name, `${quoted(path)} is a file, not a folder`)
  return parts.slice(1).join('/')
}

/** Files in the order of their paths' code units, owner 0, `epoch` (seconds) as every time, no folders: as `helm package` does. */
export function writeChartArchive(name: string, files: ChartFiles, epoch: number): Buffer {
  const parts: Buffer[] = []
  for (const [path, body] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const header = { name: `${name}/${path}`, type: 'file', mode: 0o644, size: body.length, mtime: epoch, link: '' } as const
    parts.push(headerBlocks(header), body, Buffer.alloc(padding(body.length)))
  }
  parts.push(Buffer.alloc(1024)) // two zero blocks end the file
  const packed = gzipSync(Buffer.concat(parts), { level: 9 })
  packed[9] = 255 // RFC 1952, OS: zlib writes the system that it was compiled for
  return packed
}

export function noChart(name: string, why: string, cause?: unknown): RfoError {
  return new RfoError('RFO_PACK_CHART', `not a chart ${quoted(name)}: ${why}`, {
    exit: 'untrusted',
    ...(cause === undefined ? {} : { cause }),
    next: `look at the file that images.lock pins for ${name}`,
  })
}

export function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 200))
}
