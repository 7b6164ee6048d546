/** Results of one or more runs as one tarball, laid out as sonobuoy does, so that one reader serves every driver. */
import { createReadStream, createWriteStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { gzipped } from '../content/gzip.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { blockSize, headerBlocks, padding } from '../oci/tar-header.ts'
import type { DriverResult } from './driver.ts'
import { resultsFolder } from './sonobuoy.ts'
import type { SuiteRun } from './suite.ts'

export interface RunResult extends DriverResult {
  readonly run: SuiteRun
}

export interface PackRequest {
  readonly runs: readonly RunResult[]
  /** GET /version of the API server, as it came */
  readonly serverVersion: Json
  /** of the cluster and the driver */
  readonly facts: Json
}

/** Same files, same bytes. */
export async function packResults(file: string, { runs, ...beside }: PackRequest): Promise<void> {
  await packFiles(file, beside, runFiles(runs))
}

/** What somebody counted, as one JSON file, beside what every tarball of results has. */
export async function packJson(file: string, name: string, content: Json, beside: Omit<PackRequest, 'runs'>): Promise<void> {
  await packFiles(file, beside, text(name, canonicalJson(content)))
}

/** The same of several texts, by name. */
export async function packTexts(
  file: string,
  texts: Readonly<Record<string, string | Uint8Array>>,
  beside: Omit<PackRequest, 'runs'>,
): Promise<void> {
  await packFiles(
    file,
    beside,
    Object.entries(texts).flatMap(([name, content]) => [...text(name, content)]),
  )
}

async function packFiles(
  file: string,
  beside: Omit<PackRequest, 'runs'>,
  files: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  await pipeline(gzipped(tarBytes(beside, files)), createWriteStream(file))
}

async function* tarBytes(
  { serverVersion, facts }: Omit<PackRequest, 'runs'>,
  files: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  yield* text('serverversion.json', canonicalJson(serverVersion))
  yield* text('meta/rfo.json', canonicalJson(facts))
  yield* files
  yield Buffer.alloc(2 * blockSize)
}

async function* runFiles(runs: readonly RunResult[]): AsyncGenerator<Uint8Array, void, undefined> {
  for (const { run, log, junit } of runs) {
    // a single run's files have sonobuoy's own names
    const suffix = runs.length === 1 ? '' : `-${run.name}`
    yield* copied(`${resultsFolder}e2e${suffix}.log`, log)
    for (const each of junit) yield* copied(`${resultsFolder}${basename(each).replace(/\.xml$/, `${suffix}.xml`)}`, each)
  }
}

function* text(name: string, content: string | Uint8Array): Generator<Uint8Array, void, undefined> {
  const bytes = typeof content === 'string' ? Buffer.from(content, 'utf8') : content
  yield header(name, bytes.length)
  yield bytes
  yield Buffer.alloc(padding(bytes.length))
}

async function* copied(name: string, file: string): AsyncGenerator<Uint8Array, void, undefined> {
  const { size } = await stat(file)
  yield header(name, size)
  if (size > 0) yield* createReadStream(file, { end: size - 1 })
  yield Buffer.alloc(padding(size))
}

function header(name: string, size: number): Uint8Array {
  return headerBlocks({ name, type: 'file', mode: 0o644, size, mtime: 0, link: '' })
}
