/** What upstream has released: its tags, whoever tells them. */
import { RfoError } from '../error.ts'
import { parseUpstreamVersion, type Version } from '../plan/version.ts'

/** A tag as it is called, odd characters and all. */
export interface UpstreamTag {
  readonly name: string
  /** of the commit that the tag means, not of a tag object; undefined where nobody recorded it */
  readonly commit?: string
  /** ISO 8601, of that commit */
  readonly date?: string
}

export interface UpstreamState {
  /** Where this comes from, for people. */
  readonly source: string
  /** Every tag, in no order. A date is there at least where `needsDate` says so: on GitHub each costs a question. */
  tags(needsDate: (name: string) => boolean, signal?: AbortSignal): Promise<readonly UpstreamTag[]>
}

export interface OddTag {
  readonly name: string
  readonly why: string
}

export interface UpstreamVersionTag {
  readonly name: string
  readonly version: Version
  readonly commit: string
  readonly date?: string
}

/** More tags than any project has. */
export const maxTags = 50_000

/** Sorts out what is no version of RKE2. A name with anything around the version (a U+2028 at its end, say) is odd. */
export function readTags(tags: readonly UpstreamTag[]): {
  readonly versions: readonly UpstreamVersionTag[]
  readonly odd: readonly OddTag[]
} {
  const versions: UpstreamVersionTag[] = []
  const odd: OddTag[] = []
  const seen = new Set<string>()
  for (const { name, commit, date } of tags) {
    const version = versionOf(name)
    if (version === undefined) odd.push({ name, why: whyOdd(name) })
    else if (commit === undefined || !/^[0-9a-f]{40}([0-9a-f]{24})?$/.test(commit)) odd.push({ name, why: 'it names no commit' })
    else if (seen.has(name)) odd.push({ name, why: 'it is there twice' })
    else versions.push({ name, version, commit, ...(date === undefined ? {} : { date }) })
    seen.add(name)
  }
  return { versions, odd }
}

/** undefined for a name that is no version of RKE2. */
export function versionOf(name: string): Version | undefined {
  try {
    return parseUpstreamVersion(name)
  } catch (thrown) {
    if (thrown instanceof RfoError) return undefined
    throw thrown
  }
}

function whyOdd(name: string): string {
  const strange = [...name].find((character) => character < '!' || character > '~')
  if (strange !== undefined) return `U+${(strange.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')} is in it`
  return /\+rke2$/.test(name) ? 'it has no revision: +rke2' : 'not of the form vX.Y.Z[-rcN]+rke2rN'
}

/** ISO 8601 with a zone, as git and GitHub write it. */
export const dateForm = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)$/
