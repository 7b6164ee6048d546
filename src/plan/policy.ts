/** What RFO owes when RKE2 releases, and when: pipelines/track/policy.yaml and the decision that follows from it. Time comes in. */
import { z } from 'zod'
import { RfoError } from '../error.ts'
import type { UpstreamRelease } from './component.ts'
import { sameShipped } from './shipped.ts'
import { compareVersions, defaultUpstream, minorLine, parseUpstreamVersion, parseVersion, spell, type Version } from './version.ts'

const Line = z.string().regex(/^v(0|[1-9]\d*)\.(0|[1-9]\d*)$/, 'a line, such as v1.24')
const Day = z.iso.date('a day, such as 2023-07-28')
const Reason = z.string().min(1)

export const TrackPolicy = z.strictObject({
  repository: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9-]*\/[A-Za-z0-9._-]+$/, 'owner/name')
    .describe('RKE2’s repository'),
  from: Line.describe('the oldest line that RFO follows'),
  patchDays: z.int().positive().describe('days from a release of a line that RFO has, to RFO’s'),
  lineDays: z.int().positive().describe('days from the first release of a line that RFO has not, to RFO’s'),
  ends: z.record(Line, Day).describe('the last day of a line; nothing of it is owed afterwards'),
  withdrawn: z.record(z.string(), Reason).describe('RKE2 release → why nobody should follow it'),
  skip: z.record(z.string(), Reason).describe('RKE2 release → why it changes nothing that RFO ships, as a person judged'),
  ignoring: z
    .array(z.string())
    .describe('upstream repositories whose tag does not count when the image lists of two releases are compared: rancher/rke2-runtime'),
})
export type TrackPolicy = z.infer<typeof TrackPolicy>

/** pipelines/track/released.yaml: releases of RFO from before there was an images.lock. */
export const Released = z.strictObject({
  how: z.string(),
  releases: z.record(z.string(), z.string().nullable()).describe('RFO’s version → the RKE2 release it rebuilds; null: the same, rke2r1'),
})
export type Released = z.infer<typeof Released>

/** A tag of RKE2 that is a version. `date` (ISO 8601, of the commit) may lack where `counts` says no. */
export interface Published {
  readonly version: Version
  readonly commit: string
  readonly date?: string
}

export interface Made {
  readonly version: Version
  readonly upstream: Version
}

/** Throws RFO_PLAN_VERSION. */
export function madeFrom(version: string, upstream?: string | null): Made {
  const made = parseVersion(version)
  return { version: made, upstream: upstream == null ? defaultUpstream(made) : parseUpstreamVersion(upstream) }
}

export interface Due {
  readonly state: 'due'
  readonly line: string
  /** RFO's version that is to be made */
  readonly version: string
  readonly upstream: string
  readonly commit: string
  readonly why: 'line' | 'patch' | 'revision'
  /** RFO's newest release of the line */
  readonly made?: string
  /** ISO 8601 in UTC: the oldest upstream release that is not answered, and the last moment for RFO's */
  readonly since: string
  readonly due: string
  readonly overdue: boolean
  /** whole days after `due` */
  readonly daysLate: number
  /** all upstream releases that this one answers, oldest first */
  readonly answers: readonly string[]
}

export type LineState =
  | Due
  | { readonly state: 'current'; readonly line: string; readonly made?: string; readonly skipped: readonly Skipped[] }
  | { readonly state: 'ended'; readonly line: string; readonly made?: string; readonly ended: string }

export interface Skipped {
  readonly upstream: string
  /** `same`: the recorded lists are equal to those of `than`; else a person's reason */
  readonly because: { readonly same: string } | { readonly reason: string }
}

const day = 86_400_000

/** Whether an upstream version can be owed at `at` (milliseconds since 1970): its date is then needed. */
export function counts(policy: TrackPolicy, made: readonly Made[], at: number): (version: Version) => boolean {
  return (version) => {
    const line = minorLine(version)
    return (
      version.pre === undefined &&
      isFollowed(policy, version) &&
      !isOver(policy, line, at) &&
      policy.withdrawn[spell(version)] === undefined &&
      !made.some((each) => minorLine(each.version) === line && compareVersions(each.upstream, version) >= 0)
    )
  }
}

function isFollowed(policy: TrackPolicy, version: Version): boolean {
  const [major = 0, minor = 0] = policy.from.slice(1).split('.').map(Number)
  return version.major > major || (version.major === major && version.minor >= minor)
}

function isOver(policy: TrackPolicy, line: string, at: number): boolean {
  const last = policy.ends[line]
  return last !== undefined && at >= Date.parse(last) + day
}

export interface TrackInput {
  readonly policy: TrackPolicy
  readonly published: readonly Published[]
  readonly made: readonly Made[]
  /** What RKE2 ships at a tag, where that is recorded. */
  readonly recorded: (version: string) => UpstreamRelease | undefined
  /** milliseconds since 1970 */
  readonly at: number
}

/** One state a line, oldest line first. With time a line only moves from current to due to overdue to ended. Throws RFO_PLAN_DATE. */
export function trackLines(input: TrackInput): readonly LineState[] {
  const { policy, published, made, at } = input
  const lines = new Map<string, Version>()
  for (const { version } of [...published, ...made]) if (isFollowed(policy, version)) lines.set(minorLine(version), version)
  return [...lines]
    .toSorted(([, a], [, b]) => a.major - b.major || a.minor - b.minor)
    .flatMap(([line]) => {
      const ours = made.filter((each) => minorLine(each.version) === line).toSorted((a, b) => compareVersions(a.version, b.version))
      const open = published.filter(({ version }) => minorLine(version) === line && counts(policy, made, at)(version))
      const state = lineState(input, line, ours, open.map(dated))
      // a line of release candidates, or one that begins in the future
      return state.state === 'current' && ours.length === 0 && state.skipped.length === 0 ? [] : [state]
    })
}

interface Dated extends Published {
  readonly time: number
}

function dated(published: Published): Dated {
  const time = Date.parse(published.date ?? '')
  if (Number.isNaN(time)) {
    throw new RfoError('RFO_PLAN_DATE', `no date is known of ${spell(published.version)}`, {
      exit: 'usage',
      next: 'record the date of its commit beside the tag',
    })
  }
  return { ...published, time }
}

function lineState({ policy, recorded, at }: TrackInput, line: string, ours: readonly Made[], all: readonly Dated[]): LineState {
  const newest = ours.at(-1)
  const made = newest === undefined ? {} : { made: spell(newest.version) }
  const ended = policy.ends[line]
  if (ended !== undefined && isOver(policy, line, at)) return { state: 'ended', line, ...made, ended }
  // in the order in which they came: what comes later never changes what was said of those before it
  const open = all.filter(({ time }) => time <= at).toSorted((a, b) => a.time - b.time || compareVersions(a.version, b.version))
  const skipped: Skipped[] = []
  const owed: Dated[] = []
  let before = newest === undefined ? undefined : spell(newest.upstream)
  for (const each of open) {
    const upstream = spell(each.version)
    const reason = policy.skip[upstream]
    if (reason !== undefined) skipped.push({ upstream, because: { reason } })
    else if (before !== undefined && sameShipped(recorded(before), recorded(upstream), policy.ignoring))
      skipped.push({ upstream, because: { same: before } })
    else owed.push(each)
    before = upstream
  }
  const [oldest] = owed
  if (oldest === undefined) return { state: 'current', line, ...made, skipped }
  const target = owed.reduce((a, b) => (compareVersions(a.version, b.version) < 0 ? b : a))
  const due = oldest.time + (newest === undefined ? policy.lineDays : policy.patchDays) * day
  const answer = nextVersion(target.version, ours)
  return {
    state: 'due',
    line,
    version: spell(answer),
    upstream: spell(target.version),
    commit: target.commit,
    why: newest === undefined ? 'line' : answer.revision > 1 ? 'revision' : 'patch',
    ...made,
    since: new Date(oldest.time).toISOString(),
    due: new Date(due).toISOString(),
    overdue: at > due,
    daysLate: at > due ? Math.floor((at - due) / day) : 0,
    answers: owed.map(({ version }) => spell(version)),
  }
}

/** `v1.24.9+rke2r2` after `v1.24.9+rfor1` → `v1.24.9+rfor2`: RFO counts its own revisions. */
function nextVersion(upstream: Version, ours: readonly Made[]): Version {
  const same = ours.filter(({ version }) => version.pre === undefined && version.patch === upstream.patch)
  return { ...upstream, by: 'rfor', revision: Math.max(0, ...same.map(({ version }) => version.revision)) + 1 }
}
