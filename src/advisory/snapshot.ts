/**
 * All advisories of a day as one piece of content: canonical JSON in zstd. Its digest is that of the file as it is carried, so
 * that sha256sum says what we print. The same documents and the same day are the same bytes.
 */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { z } from 'zod'
import { RfoError } from '../error.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { severities } from '../plan/gate.ts'
import { VexStatement } from './openvex.ts'
import { type AdvisoryRecord, defects, merged } from './record.ts'

export const snapshotMediaType = 'application/vnd.rfolabs.advisories.v1+json+zstd'

/** What the sources are called. */
export const sourceKinds = ['openeuler-csaf', 'openeuler-cvrf', 'openeuler-osv', 'go', 'openvex'] as const
export type SourceKind = (typeof sourceKinds)[number]

const Text = z.string().min(1).max(1000)
const Name = z.string().min(1).max(500)
const Time = z.string().regex(/^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z)?$/)
const SeverityName = z.enum(severities)
const Count = z.int().nonnegative()

const Source = z.strictObject({
  kind: z.enum(sourceKinds),
  /** its URL; a folder's path is nobody's business */
  from: Text,
  /** documents that said something */
  documents: Count,
  /** why others did not, and how many; `bad-utf8` are among the documents */
  defects: z.partialRecord(z.enum([...defects, 'bad-utf8', 'withdrawn', 'other-ecosystem', 'csaf-vex']), Count),
})
export type SnapshotSource = z.infer<typeof Source>

const OpenEuler = z.strictObject({
  kind: z.literal('openeuler'),
  id: Name,
  published: Time,
  severity: SeverityName,
  cves: z.record(Name, SeverityName),
  affected: z.array(z.strictObject({ stream: Name, source: Name, fixed: Name })).max(10_000),
})
const Go = z.strictObject({
  kind: z.literal('go'),
  id: Name,
  published: Time,
  aliases: z.array(Name).max(1000),
  affected: z
    .array(z.strictObject({ module: Name, ranges: z.array(z.strictObject({ introduced: Name, fixed: Name.optional() })).max(10_000) }))
    .max(1000),
})

const Snapshot = z.strictObject({
  schema: z.literal('rfo-build.advisories/1'),
  /** when the sources had been read: ISO 8601 in UTC */
  taken: z.string().regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/),
  /** set when it stands in for real ones */
  standIn: Text.optional(),
  sources: z.array(Source).min(1).max(100),
  records: z.array(z.discriminatedUnion('kind', [OpenEuler, Go])).max(500_000),
  vex: z.array(VexStatement).max(500_000),
})

export interface Snapshot {
  readonly schema: 'rfo-build.advisories/1'
  readonly taken: string
  readonly standIn?: string | undefined
  readonly sources: readonly SnapshotSource[]
  readonly records: readonly AdvisoryRecord[]
  readonly vex: readonly VexStatement[]
}

/** A snapshot and what it is called. */
export interface HeldSnapshot extends Snapshot {
  readonly digest: Digest
  /** bytes, of the file */
  readonly size: number
}

/** bytes; ten years of openEuler and Go have a twentieth of it */
export const maxSnapshotBytes = 64 * 1024 * 1024
/** bytes */
const maxText = 512 * 1024 * 1024

/** One record an advisory, sorted; of several documents about one, all that any says. */
export function gathered(records: Iterable<AdvisoryRecord>): AdvisoryRecord[] {
  const found = new Map<string, AdvisoryRecord>()
  for (const record of records) {
    const key = `${record.kind}\0${record.id}`
    const other = found.get(key)
    found.set(key, other === undefined ? record : merged(other, record))
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, record]) => record)
}

export function encodeSnapshot(snapshot: Snapshot): { readonly bytes: Buffer; readonly digest: Digest } {
  const vex = new Map(snapshot.vex.map((each) => [canonicalJson(each as unknown as Json), each]))
  const ordered: Snapshot = {
    ...snapshot,
    records: gathered(snapshot.records),
    vex: [...vex].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, each]) => each),
  }
  const text = Buffer.from(canonicalJson(ordered as unknown as Json))
  const bytes = zstdCompressSync(text, { params: { [constants.ZSTD_c_compressionLevel]: 9, [constants.ZSTD_c_checksumFlag]: 1 } })
  return { bytes, digest: digestOf(bytes) }
}

/** Throws RFO_ADVISORY_SNAPSHOT (untrusted). */
export function decodeSnapshot(bytes: Uint8Array, where: string): HeldSnapshot {
  if (bytes.length > maxSnapshotBytes) throw refused(`larger than ${maxSnapshotBytes} bytes`, where)
  let value: unknown
  try {
    const text = zstdDecompressSync(bytes, { maxOutputLength: maxText })
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text))
  } catch (cause) {
    throw refused('it can not be unpacked', where, cause)
  }
  const parsed = Snapshot.safeParse(value)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw refused(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'unknown form'}`.slice(0, 300), where)
  }
  return { ...(parsed.data as unknown as Snapshot), digest: digestOf(bytes), size: bytes.length }
}

function refused(why: string, where: string, cause?: unknown): RfoError {
  return new RfoError('RFO_ADVISORY_SNAPSHOT', `not a snapshot of advisories: ${why}`, {
    exit: 'untrusted',
    where,
    next: 'get it again from where it was exported, or make one: rfo-build advisories sync',
    ...(cause === undefined ? {} : { cause }),
  })
}

/** Whole days between its making and a moment in milliseconds; negative = it is of the future. */
export function ageInDays({ taken }: Pick<Snapshot, 'taken'>, at: number): number {
  return Math.floor((at - Date.parse(taken)) / 86_400_000)
}

export function countsOf({ records }: Pick<Snapshot, 'records'>): { readonly openeuler: number; readonly go: number } {
  const openeuler = records.filter(({ kind }) => kind === 'openeuler').length
  return { openeuler, go: records.length - openeuler }
}
