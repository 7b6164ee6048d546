/**
 * What trust metadata says: two small files, which TUF's targets role signs. Which keys may sign releases and when, which
 * may no more, which releases are withdrawn, and which is the oldest of each line that is still good.
 */
import { z } from 'zod'
import { RfoError } from '../error.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { compareVersions, minorLine, parseVersion } from '../plan/version.ts'
import { type PublicKey, readPublicKey } from './key.ts'
import { strictJson, untrusted } from './tuf.ts'

const Time = z.iso.datetime({ precision: 0 })
const Fingerprint = z.string().regex(/^sha256:[0-9a-f]{64}$/)
/** of a key of PGP, as gpg prints it */
const PgpFingerprint = z.string().regex(/^[0-9A-F]{40}$/)
const AnyFingerprint = z.union([Fingerprint, PgpFingerprint])
const Reason = z.string().min(1).max(1000)
const Version = z.string().max(64)

const window = {
  from: Time.optional().describe('releases of before are not its own; absent: none are too old'),
  until: Time.optional().describe('releases of this time and later are not its own; absent: it is open'),
}
const OtherKey = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('sm2'), fingerprint: Fingerprint, ...window }),
  z.strictObject({ kind: z.literal('pgp'), fingerprint: PgpFingerprint, ...window }),
])
export type OtherKey = z.infer<typeof OtherKey>

export const KeysFile = z.strictObject({
  schema: z.literal('rfo-build.trust-keys/1'),
  keys: z.array(z.strictObject({ fingerprint: Fingerprint, pem: z.string().max(16_384), ...window })).max(1000),
  otherKeys: z
    .array(OtherKey)
    .max(1000)
    .optional()
    .describe('keys that sign beside; once one of a kind is named, no other of that kind counts. Absent: whatever a statement lists does'),
  revoked: z.array(z.strictObject({ fingerprint: AnyFingerprint, at: Time, reason: Reason })).max(1000),
})
export const ReleasesFile = z.strictObject({
  schema: z.literal('rfo-build.trust-releases/1'),
  withdrawn: z.array(z.strictObject({ version: Version, reason: Reason, replacedBy: Version.optional() })).max(10_000),
  lowest: z.record(z.string().regex(/^v\d+\.\d+$/), Version).describe('line → its oldest release that is still good'),
})

export interface TrustTargets {
  readonly keys: z.infer<typeof KeysFile>
  readonly releases: z.infer<typeof ReleasesFile>
}

export const targetNames = { keys: 'keys.json', releases: 'releases.json' } as const

export function targetTexts({ keys, releases }: TrustTargets): readonly (readonly [name: string, text: string])[] {
  return [
    [targetNames.keys, canonicalJson(keys as Json)],
    [targetNames.releases, canonicalJson(releases as Json)],
  ]
}

/** Signed texts in, facts out. No releases.json: nothing is said of releases. Throws RFO_SIGN_TRUST. */
export function readTargets(keysText: string, releasesText: string | undefined): TrustTargets {
  const keys = parse(KeysFile, keysText, targetNames.keys)
  const releases: TrustTargets['releases'] =
    releasesText === undefined ? nothingOfReleases : parse(ReleasesFile, releasesText, targetNames.releases)
  const seen = new Set<string>()
  for (const { fingerprint, pem } of keys.keys)
    if (keyIn(pem).fingerprint !== fingerprint) throw untrusted(`a key is called ${fingerprint} and is another`, targetNames.keys)
  for (const { fingerprint } of [...keys.keys, ...(keys.otherKeys ?? [])]) {
    if (seen.has(fingerprint)) throw untrusted(`${fingerprint} stands twice`, targetNames.keys)
    seen.add(fingerprint)
  }
  for (const version of [...releases.withdrawn.map((each) => each.version), ...Object.values(releases.lowest)]) versionIn(version)
  for (const [line, version] of Object.entries(releases.lowest))
    if (minorLine(versionIn(version)) !== line) throw untrusted(`${version} is no release of ${line}`, targetNames.releases)
  return { keys, releases }
}

const nothingOfReleases: TrustTargets['releases'] = { schema: 'rfo-build.trust-releases/1', withdrawn: [], lowest: {} }

export const nothingSaid: TrustTargets = {
  keys: { schema: 'rfo-build.trust-keys/1', keys: [], revoked: [] },
  releases: nothingOfReleases,
}

export function keyIn(pem: string): PublicKey {
  try {
    return readPublicKey(pem)
  } catch (cause) {
    throw untrusted('a release key is none', targetNames.keys, cause)
  }
}

function versionIn(text: string) {
  try {
    return parseVersion(text)
  } catch (cause) {
    throw untrusted(`no version: ${text.slice(0, 64)}`, targetNames.releases, cause)
  }
}

function parse<T>(form: z.ZodType<T>, text: string, where: string): T {
  const parsed = form.safeParse(strictJson(text, where))
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw untrusted(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'unknown form'}`.slice(0, 300), where)
}

/** A change of what is said. Each keeps what was said before. Throws RFO_SIGN_CHANGE (exit usage). */
export type Change = (targets: TrustTargets) => TrustTargets

export interface Window {
  readonly from?: string | undefined
  readonly until?: string | undefined
}

export function addKey(key: PublicKey, window: Window = {}): Change {
  return ({ keys, releases }) => {
    const { fingerprint, pem } = key
    if (keys.keys.some((each) => each.fingerprint === fingerprint)) throw unchangeable(`${fingerprint} is there already`)
    return { keys: { ...keys, keys: [...keys.keys, { fingerprint, pem, ...window }] }, releases }
  }
}

/** A key of SM2 or PGP. */
export function addOtherKey({ kind, fingerprint }: Pick<OtherKey, 'kind' | 'fingerprint'>, window: Window = {}): Change {
  return ({ keys, releases }) => {
    const before = keys.otherKeys ?? []
    if (before.some((each) => each.fingerprint === fingerprint)) throw unchangeable(`${fingerprint} is there already`)
    return { keys: { ...keys, otherKeys: [...before, { kind, fingerprint, ...window }] }, releases }
  }
}

/** Releases of `until` and later are not its own any more; earlier ones stay good. */
export function closeKey(fingerprint: string, until: string): Change {
  return ({ keys, releases }) => {
    known(keys, fingerprint)
    const close = <T extends Window & { readonly fingerprint: string }>(each: T): T =>
      each.fingerprint === fingerprint ? { ...each, until } : each
    const { otherKeys } = keys
    return { keys: { ...keys, keys: keys.keys.map(close), ...(otherKeys && { otherKeys: otherKeys.map(close) }) }, releases }
  }
}

/** Nothing that it ever signed is good: who has a key may write any time into what he signs. */
export function revokeKey(fingerprint: string, at: string, reason: string): Change {
  return ({ keys, releases }) => {
    if (!AnyFingerprint.safeParse(fingerprint).success) throw unchangeable(`${JSON.stringify(fingerprint.slice(0, 80))} is no fingerprint`)
    if (keys.revoked.some((each) => each.fingerprint === fingerprint)) throw unchangeable(`${fingerprint} is revoked already`)
    return { keys: { ...keys, revoked: [...keys.revoked, { fingerprint, at, reason }] }, releases }
  }
}

export function withdraw(version: string, reason: string, replacedBy?: string): Change {
  parseVersion(version)
  if (replacedBy !== undefined) parseVersion(replacedBy)
  return ({ keys, releases }) => {
    if (releases.withdrawn.some((each) => each.version === version)) throw unchangeable(`${version} is withdrawn already`)
    const said = { version, reason, ...(replacedBy === undefined ? {} : { replacedBy }) }
    return { keys, releases: { ...releases, withdrawn: [...releases.withdrawn, said] } }
  }
}

/** It never falls: an older release would be good again. */
export function setLowest(version: string): Change {
  const wanted = parseVersion(version)
  const line = minorLine(wanted)
  return ({ keys, releases }) => {
    const before = releases.lowest[line]
    if (before !== undefined && compareVersions(wanted, parseVersion(before)) < 0)
      throw unchangeable(`the lowest release of ${line} is ${before}, and it does not fall`)
    return { keys, releases: { ...releases, lowest: { ...releases.lowest, [line]: version } } }
  }
}

function known(keys: TrustTargets['keys'], fingerprint: string): void {
  if (![...keys.keys, ...(keys.otherKeys ?? [])].some((each) => each.fingerprint === fingerprint))
    throw unchangeable(`no release key ${fingerprint.slice(0, 80)}`)
}

function unchangeable(what: string): RfoError {
  return new RfoError('RFO_SIGN_CHANGE', what, { exit: 'usage', next: 'rfo-build trust show' })
}
