/**
 * Reads every document of the sources once. What has been read stands in a journal, a line each, so that an interrupted run goes
 * on where it ended and the next one asks only for what is new.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import pLimit from 'p-limit'
import { makeFolder, writeFileOnce } from '../content/atomic.ts'
import { RfoError } from '../error.ts'
import type { Place } from './fetch.ts'
import type { VexStatement } from './openvex.ts'
import type { AdvisoryRecord, Defect } from './record.ts'
import type { Snapshot, SnapshotSource, SourceKind } from './snapshot.ts'
import { sourceKinds } from './snapshot.ts'
import { type DocumentReading, type Listed, listDocuments, readDocument } from './source.ts'

export interface SyncOptions {
  readonly places: readonly Place[]
  /** where journals lie */
  readonly folder: string
  /** seconds since 1970: when it was taken */
  readonly now: number
  readonly concurrency?: number
  /** after each document */
  readonly progress?: (done: number, of: number) => void
}

export interface Synced {
  readonly snapshot: Snapshot
  /** documents that were asked for and those that were known already */
  readonly read: number
  readonly known: number
}

/** What a parser says changes with it: then everything is read again. */
const readerVersion = 1

/** A document as the journal has it. */
interface Entry {
  readonly path: string
  readonly kind: SourceKind
  readonly reading: DocumentReading
  readonly validator?: string
  readonly modified?: string
  /** what was wrong with it the last time; the reading is an earlier one's */
  readonly since?: Defect
}

/** Throws RFO_ADVISORY_OUTSIDE, RFO_ADVISORY_NOTHING. */
export async function syncAdvisories({ places, folder, now, concurrency = 8, progress }: SyncOptions): Promise<Synced> {
  await makeFolder(folder)
  const sources: SnapshotSource[] = []
  const records: AdvisoryRecord[] = []
  const vex: VexStatement[] = []
  let read = 0
  let known = 0
  for (const place of places) {
    const listed = await listDocuments(place)
    if (listed === undefined) throw nothing(place)
    const journal = await openJournal(folder, place)
    try {
      const limit = pLimit(concurrency)
      let done = 0
      const found = await Promise.all(
        listed.map((each) =>
          limit(async () => {
            const before = each.paths.map((path) => journal.entries.get(path)).find((entry) => entry !== undefined)
            const { entry, asked } = await readListed(place, each, before)
            if (asked) read += 1
            else known += 1
            if (entry !== undefined && entry !== before) await journal.append(entry)
            done += 1
            progress?.(done, listed.length)
            return entry
          }),
        ),
      ).catch((thrown) => {
        limit.clearQueue()
        throw thrown
      })
      const entries = found.flatMap((entry) => (entry === undefined ? [] : [entry]))
      if (entries.length === 0) throw nothing(place)
      await journal.finish(entries)
      sources.push(...sourcesOf(place, entries))
      for (const { reading } of entries) {
        if ('record' in reading) records.push(reading.record)
        else if ('vex' in reading) vex.push(...reading.vex)
      }
    } finally {
      await journal.close()
    }
  }
  const taken = new Date(now * 1000).toISOString().replace('.000Z', 'Z')
  return { snapshot: { schema: 'rfo-build.advisories/1', taken, sources, records, vex }, read, known }
}

async function readListed(
  place: Place,
  { kind, paths, modified }: Listed,
  before: Entry | undefined,
): Promise<{ entry?: Entry; asked: boolean }> {
  const whole = before !== undefined && !('defect' in before.reading) && before.since === undefined
  if (whole && modified !== undefined && before.modified === modified) return { entry: before, asked: false }
  const path = before?.path ?? paths[0]
  let defect: Defect = 'missing'
  for (const each of [path, ...paths.filter((other) => other !== path)]) {
    const answer = await place.read(each, whole && each === before.path ? before.validator : undefined)
    if ('unchanged' in answer) return before === undefined ? { asked: true } : { entry: before, asked: false }
    if ('defect' in answer) {
      if (answer.defect === 'missing') continue
      defect = answer.defect
      break
    }
    const found = readDocument(answer.bytes, kind)
    if (found === undefined) return { asked: true }
    if (!('defect' in found.reading)) {
      const { validator } = answer
      return {
        entry: { path: each, ...found, ...(validator === undefined ? {} : { validator }), ...(modified === undefined ? {} : { modified }) },
        asked: true,
      }
    }
    defect = found.reading.defect
    if (kind === 'any') return { entry: { path: each, ...found }, asked: true }
    break
  }
  // what was whole once is not forgotten because its server lost it
  if (before !== undefined && !('defect' in before.reading)) return { entry: { ...before, since: defect }, asked: true }
  return kind === 'any' ? { asked: true } : { entry: { path, kind, reading: { defect } }, asked: true }
}

function sourcesOf(place: Place, entries: readonly Entry[]): SnapshotSource[] {
  return sourceKinds.flatMap((kind) => {
    const own = entries.filter((entry) => entry.kind === kind)
    if (own.length === 0) return []
    const counts: Record<string, number> = {}
    const count = (why: string): void => {
      counts[why] = (counts[why] ?? 0) + 1
    }
    let documents = 0
    for (const { reading, since } of own) {
      if (since !== undefined) count(since)
      if ('defect' in reading) count(reading.defect)
      else if ('nothing' in reading) count(reading.nothing)
      else documents += 1
      if ('badUtf8' in reading) count('bad-utf8')
    }
    return [{ kind, from: place.from, documents, defects: counts }]
  })
}

interface Journal {
  readonly entries: ReadonlyMap<string, Entry>
  append(entry: Entry): Promise<void>
  /** Leaves these alone in the file. */
  finish(entries: readonly Entry[]): Promise<void>
  close(): Promise<void>
}

async function openJournal(folder: string, place: Place): Promise<Journal> {
  const name = createHash('sha256').update(`${readerVersion}\n${place.key}`).digest('hex').slice(0, 32)
  const file = join(folder, `${name}.jsonl`)
  const entries = new Map<string, Entry>()
  const old: FileHandle | undefined = await open(file, 'r').catch(() => undefined)
  if (old !== undefined) {
    for await (const line of createInterface({ input: createReadStream('', { fd: old }) })) {
      try {
        const entry = JSON.parse(line) as Entry
        entries.set(entry.path, entry)
      } catch {
        // the last line of a run that was killed
      }
    }
  }
  const handle = await open(file, 'a')
  // after half a line
  if (old !== undefined) await handle.write('\n')
  return {
    entries,
    append: async (entry) => {
      await handle.appendFile(`${JSON.stringify(entry)}\n`)
    },
    async finish(all) {
      const lines = all.map((entry) => `${JSON.stringify(entry)}\n`)
      const body = (async function* () {
        for (const line of lines) yield Buffer.from(line)
      })()
      await writeFileOnce(folder, body, () => file)
    },
    close: async () => await handle.close(),
  }
}

function nothing(place: Place): RfoError {
  return new RfoError('RFO_ADVISORY_NOTHING', 'no advisories of a kind that is known lie there', {
    exit: 'outside',
    where: place.from === 'a folder' ? place.key : place.from,
    next: 'name a folder of CSAF, CVRF, OSV or OpenVEX documents, or a server laid out like https://repo.openeuler.org/security/data/',
  })
}
