/** What a release may carry: the gate of pipelines/release.yaml, and what a line is judged by. Dates are days in UTC. */
import { z } from 'zod'
import { minorLine, parseVersion } from './version.ts'

/** Most severe first; `unknown` = nobody said, as Go's database never does. */
export const severities = ['critical', 'high', 'medium', 'low', 'unknown'] as const
export type Severity = (typeof severities)[number]

const Line = z.string().regex(/^v(0|[1-9]\d*)\.(0|[1-9]\d*)$/, 'a line, such as v1.24')
const Day = z.iso.date('a day, such as 2026-11-28')
const Text = z.string().min(1).max(4096)

/** `asOf`: an old line is judged by what was published by that day. `live`: by all that the snapshot holds. */
export const GateMode = z.union([z.literal('live'), z.strictObject({ asOf: Day })])
export type GateMode = z.infer<typeof GateMode>

/** Images whose contents no advisory speaks of. They are shipped because a person says so, until a day. */
const Unjudged = z.strictObject({
  images: z.array(z.string().min(1).max(200)).min(1).max(1000).describe('components, by name'),
  author: Text,
  reason: Text,
  expires: Day.describe('the first day on which it no longer holds'),
})

const rules = {
  fail: z.array(z.enum(severities)).default(['critical', 'high']).describe('severities that may not be shipped'),
  fixAvailable: z.boolean().default(true).describe('only what has been fixed fails; the rest is reported'),
  graceDays: z.int().nonnegative().max(3650).default(0).describe('days after publication before it fails'),
  maxAgeDays: z.int().positive().max(3650).default(30).describe('a live line is not judged by a snapshot older than this'),
  unjudged: z.array(Unjudged).max(1000).default([]),
  vex: z
    .array(z.strictObject({ author: Text.describe('exactly as the OpenVEX document has it'), expires: Day }))
    .max(100)
    .default([])
    .describe('whose OpenVEX statements are believed, and until when'),
}

export const GatePolicy = z.strictObject({
  lines: z.record(Line, GateMode).describe('each line that is released; one that is not here is judged live').default({}),
  ...rules,
})
export type GatePolicy = z.infer<typeof GatePolicy>

/** The gate of one release, as its plan holds it. */
export const ReleaseGate = z.strictObject({ mode: GateMode, ...rules })
export type ReleaseGate = z.infer<typeof ReleaseGate>

/** What holds where nobody says anything: critical and high that have a fix. */
export const defaultGate: ReleaseGate = ReleaseGate.parse({ mode: 'live' })

/** Throws RFO_PLAN_VERSION. */
export function gateOf({ lines, ...policy }: GatePolicy, version: string): ReleaseGate {
  return { mode: lines[minorLine(parseVersion(version))] ?? 'live', ...policy }
}

/**
 * The moment that a release is judged by, in milliseconds: the last second of an old line's day, and otherwise when the snapshot was
 * taken. No clock: the same inputs give the same verdict.
 */
export function gateTime(mode: GateMode, taken: string): number {
  return mode === 'live' ? Date.parse(taken) : timeOfDay(mode.asOf) + 86_399_000
}

/** Milliseconds since 1970 of a day's first moment. */
export function timeOfDay(day: string): number {
  return Date.parse(`${day}T00:00:00Z`)
}
