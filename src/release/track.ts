/** What upstream has released, what RFO has made of it, and what is due: joins the sources of upstream's state with the policy. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { ZodType } from 'zod'
import { RfoError } from '../error.ts'
import { UpstreamRelease } from '../plan/component.ts'
import { parseLock } from '../plan/lock-text.ts'
import { counts, type LineState, type Made, madeFrom, Released, TrackPolicy, trackLines } from '../plan/policy.ts'
import { parseYaml } from '../plan/yaml.ts'
import { type OddTag, readTags, type UpstreamState, versionOf } from '../upstream/track.ts'
import { readText, required } from './inputs.ts'

export interface Tracked {
  readonly source: string
  /** ISO 8601 in UTC: the moment that was asked about */
  readonly at: string
  readonly lines: readonly LineState[]
  readonly odd: readonly OddTag[]
  /** tags that are versions */
  readonly versions: number
}

const folder = 'pipelines/track'

/**
 * Reads pipelines/track/, pipelines/upstream/ and images.lock of `project`. `at` is in milliseconds since 1970: tags that are
 * younger are not seen, but RFO's releases are those of now. Throws RFO_RELEASE_PROJECT, RFO_RELEASE_TRACK, RFO_PLAN_*, and what the source throws.
 */
export async function trackUpstream(request: {
  readonly project: string
  readonly at: number
  readonly open: (policy: TrackPolicy) => UpstreamState | Promise<UpstreamState>
  readonly signal?: AbortSignal
}): Promise<Tracked> {
  const { project, at, open, signal } = request
  const policy = await parsed(project, `${folder}/policy.yaml`, TrackPolicy)
  const made = await madeReleases(project)
  const recorded = await recordedReleases(project)
  const state = await open(policy)
  const isOwed = counts(policy, made, at)
  const needsDate = (name: string): boolean => {
    const version = versionOf(name)
    return version !== undefined && isOwed(version)
  }
  const { versions, odd } = readTags(await state.tags(needsDate, signal))
  // a clone without its tags would say that nothing is due
  if (versions.length === 0)
    throw new RfoError('RFO_RELEASE_TRACK', 'no tag there is a version of RKE2', {
      exit: 'usage',
      where: state.source,
      next: 'fetch the tags of the clone, or correct the repository in pipelines/track/policy.yaml',
    })
  return {
    source: state.source,
    at: new Date(at).toISOString(),
    lines: trackLines({ policy, published: versions, made, recorded: (version) => recorded.get(version), at }),
    odd,
    versions: versions.length,
  }
}

/** Those of before the lock, and those in it; what the lock says of a release's upstream decides. */
async function madeReleases(project: string): Promise<readonly Made[]> {
  const { releases } = await parsed(project, `${folder}/released.yaml`, Released)
  const lock = await readText(project, 'images.lock')
  const locked = lock === undefined ? {} : parseLock(lock.text, lock.file).releases
  const made = new Map(Object.entries(releases).map(([version, upstream]) => [version, madeFrom(version, upstream)]))
  for (const [version, { upstream }] of Object.entries(locked)) made.set(version, madeFrom(version, upstream.version))
  return [...made.values()]
}

async function recordedReleases(project: string): Promise<ReadonlyMap<string, UpstreamRelease>> {
  const names = (await readdir(join(project, 'pipelines/upstream')).catch(() => [])).filter((name) => name.endsWith('.yaml')).sort()
  const all = await Promise.all(names.map((name) => parsed(project, `pipelines/upstream/${name}`, UpstreamRelease)))
  return new Map(all.map((each) => [each.version, each]))
}

async function parsed<T>(project: string, file: string, schema: ZodType<T>): Promise<T> {
  const { text } = await required(project, file)
  return parseYaml(schema, text, file)
}
