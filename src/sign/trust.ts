/**
 * Trust metadata as a whole: from a root that somebody trusts to what its targets say, by the client's workflow of TUF,
 * without a network. https://theupdateframework.github.io/specification/v1.0.33/#detailed-client-workflow
 * Time comes in nowhere: whether metadata has expired is for whoever knows what it is used for.
 */
import { createHash } from 'node:crypto'
import { refused } from './refusal.ts'
import { readTargets, type TrustTargets, targetNames } from './trust-targets.ts'
import { maxMetadataBytes, type Role, type RoleFile, readRole, roles, signersOf, untrusted, verifyRole } from './tuf.ts'

/** A file's name in a TUF repository → its text. */
export type TrustFiles = ReadonlyMap<string, string>

export interface Trust {
  /** version by version, oldest first; the last one rules */
  readonly roots: readonly [RoleFile<'root'>, ...RoleFile<'root'>[]]
  readonly timestamp: RoleFile<'timestamp'>
  readonly snapshot: RoleFile<'snapshot'>
  readonly targets: RoleFile<'targets'>
  readonly says: TrustTargets
  /** what of the given files it consists of */
  readonly files: TrustFiles
}

const maxRoots = 1000

/** A client reads no other names, so nothing can lead out of a folder. */
export function isTrustFile(name: string): boolean {
  return /^(?:[1-9]\d{0,8}\.(?:root|snapshot|targets)|timestamp|snapshot|targets)\.json$|^targets\/(?:[0-9a-f]{64}\.)?(?:keys|releases)\.json$/.test(
    name,
  )
}

export function rootOf(trust: Pick<Trust, 'roots'>): RoleFile<'root'> {
  return trust.roots.at(-1) ?? trust.roots[0]
}

/** Believes the oldest root of the files, and of the rest what follows from it. Throws RFO_SIGN_TRUST. */
export function openTrust(files: TrustFiles): Trust {
  const first = Math.min(...rootVersions(files))
  if (!Number.isFinite(first)) throw untrusted('no root', '1.root.json')
  const root = readRootVersion(files, first)
  verifyRole(root, 'root', root, `${first}.root.json`)
  return assemble(follow([root], files), files)
}

/** Too few have signed a role's file yet. */
export interface Lacking {
  readonly role: Role
  /** of the file */
  readonly version: number
  readonly signed: number
  /** how many of the role's keys must sign, by the root that says so */
  readonly threshold: number
  readonly byRoot: number
}

export interface Draft {
  /** nobody vouches for it while something is lacking */
  readonly trust: Trust
  readonly lacking: readonly Lacking[]
}

/** What would be said once enough have signed: all but thresholds is judged as in what is trusted. Throws RFO_SIGN_TRUST. */
export function openDraft(files: TrustFiles): Draft {
  const lacking: Lacking[] = []
  const prove: Prove = (root, role, file, where) => {
    try {
      verifyRole(root, role, file, where)
    } catch {
      const { roles: named, version: byRoot } = root.metadata.signed
      const { version } = file.metadata.signed
      const signed = signersOf(root, role, file).length
      lacking.push({ role, version, signed, threshold: named[role]?.threshold ?? 1, byRoot })
    }
  }
  const first = Math.min(...rootVersions(files))
  if (!Number.isFinite(first)) throw untrusted('no root', '1.root.json')
  const root = readRootVersion(files, first)
  prove(root, 'root', root, `${first}.root.json`)
  return { trust: assemble(follow([root], files, prove), files, prove), lacking }
}

type Prove = typeof verifyRole

export interface Newer {
  /** `older`: it was good before what is known now */
  readonly state: 'newer' | 'same' | 'older'
  readonly trust: Trust
}

/** The files, as whoever knows `known` may take them: nothing falls back. Throws RFO_SIGN_TRUST, RFO_SIGN_ROLLBACK. */
export function newerTrust(known: Trust, files: TrustFiles): Newer {
  const last = rootOf(known).metadata.signed.version
  for (const root of known.roots) {
    const { version } = root.metadata.signed
    if (!files.has(`${version}.root.json`)) continue
    if (!readRootVersion(files, version).metadata.signed.equals(root.metadata.signed))
      throw untrusted('it is another root than the one that is trusted', `${version}.root.json`)
  }
  const highest = Math.max(...rootVersions(files))
  if (Number.isFinite(highest) && highest < last) {
    const [first, ...more] = known.roots.filter((root) => root.metadata.signed.version <= highest)
    if (first === undefined) throw rollback('root', highest, last)
    return { state: 'older', trust: assemble([first, ...more], files) }
  }
  const roots = follow(known.roots, files)
  const trust = assemble(roots, files)
  return { state: compare(known, trust), trust }
}

const lower = ['timestamp', 'snapshot', 'targets'] as const satisfies readonly Role[]

function compare(known: Trust, found: Trust): Newer['state'] {
  const grown = found.roots.length > known.roots.length
  // a root that takes the keys away from a role takes its versions away too: #fast-forward-attack-recovery
  if (grown && !stillHolds(known, found)) return 'newer'
  const steps = lower.map((role) => {
    const [before, after] = [known[role].metadata.signed, found[role].metadata.signed]
    if (after.version === before.version && !(after.equals as (other: unknown) => boolean)(before))
      throw untrusted(`it is another version ${after.version} than the one that is known`, role)
    return { role, before: before.version, after: after.version }
  })
  const fallen = steps.find(({ before, after }) => after < before)
  const risen = grown || steps.some(({ before, after }) => after > before)
  if (fallen !== undefined && risen) throw rollback(fallen.role, fallen.after, fallen.before)
  return fallen !== undefined ? 'older' : risen ? 'newer' : 'same'
}

function stillHolds(known: Trust, found: Trust): boolean {
  try {
    for (const role of ['timestamp', 'snapshot'] as const) verifyRole<Role>(rootOf(found), role, known[role], role)
    return true
  } catch {
    return false
  }
}

/** For whoever takes newer ones alone. */
export function olderTrust(known: Trust, found: Trust) {
  const role = lower.find((each) => found[each].metadata.signed.version < known[each].metadata.signed.version)
  const versionOf = (trust: Trust): number => (role === undefined ? rootOf(trust) : trust[role]).metadata.signed.version
  return rollback(role ?? 'root', versionOf(found), versionOf(known))
}

function rollback(role: Role, found: number, known: number) {
  return refused('RFO_SIGN_ROLLBACK', `${role} is version ${found}, and version ${known} is known: older metadata is never taken`)
}

/** Each next root is signed by a threshold of the one before, and by one of its own: #update-root */
function follow(known: Trust['roots'], files: TrustFiles, prove: Prove = verifyRole): Trust['roots'] {
  const [first, ...more] = known
  const roots: [RoleFile<'root'>, ...RoleFile<'root'>[]] = [first, ...more]
  for (;;) {
    const before = rootOf({ roots })
    const version = before.metadata.signed.version + 1
    const where = `${version}.root.json`
    if (!files.has(where)) break
    const next = readRootVersion(files, version)
    prove(before, 'root', next, where)
    prove(next, 'root', next, where)
    roots.push(next)
  }
  const beyond = rootVersions(files).find((version) => version > rootOf({ roots }).metadata.signed.version)
  if (beyond !== undefined) throw untrusted('the roots between are missing', `${beyond}.root.json`)
  return roots
}

function rootVersions(files: TrustFiles): number[] {
  const versions = [...files.keys()].flatMap((name) => (name.endsWith('.root.json') ? [Number.parseInt(name, 10)] : []))
  if (versions.length > maxRoots) throw untrusted(`more than ${maxRoots} roots`, 'root')
  return versions
}

function readRootVersion(files: TrustFiles, version: number): RoleFile<'root'> {
  const where = `${version}.root.json`
  const root = readRole('root', textOf(files, where), where)
  if (root.metadata.signed.version !== version) throw untrusted(`it says version ${root.metadata.signed.version}`, where)
  return root
}

/** #update-timestamp, #update-snapshot, #update-targets; the last root names the keys. */
function assemble(roots: Trust['roots'], files: TrustFiles, prove: Prove = verifyRole): Trust {
  const root = rootOf({ roots })
  const { consistentSnapshot } = root.metadata.signed
  const used = new Map<string, string>()
  const take = (name: string): string => {
    const text = textOf(files, name)
    used.set(name, text)
    return text
  }
  for (const { text, metadata } of roots) used.set(`${metadata.signed.version}.root.json`, text)
  const open = <R extends Exclude<Role, 'root'>>(role: R, name: string): RoleFile<R> => {
    const file = readRole(role, take(name), name)
    prove<Role>(root, role, file, name)
    return file
  }
  const named = (role: Role, version: number): string => (consistentSnapshot ? `${version}.${role}.json` : `${role}.json`)
  const timestamp = open('timestamp', 'timestamp.json')
  const snapshotMeta = timestamp.metadata.signed.snapshotMeta
  const snapshot = open('snapshot', named('snapshot', snapshotMeta.version))
  asNamed(snapshot, snapshotMeta, named('snapshot', snapshotMeta.version), 'timestamp')
  const targetsMeta = snapshot.metadata.signed.meta['targets.json']
  if (targetsMeta === undefined) throw untrusted('it names no targets.json', 'snapshot')
  const targets = open('targets', named('targets', targetsMeta.version))
  asNamed(targets, targetsMeta, named('targets', targetsMeta.version), 'snapshot')
  const target = (name: string): string | undefined => {
    const entry = Object.hasOwn(targets.metadata.signed.targets, name) ? targets.metadata.signed.targets[name] : undefined
    if (entry === undefined) return undefined
    const hash = entry.hashes['sha256'] ?? ''
    const where = `targets/${consistentSnapshot ? `${hash}.` : ''}${name}`
    const text = take(where)
    if (Buffer.byteLength(text) !== entry.length || createHash('sha256').update(text).digest('hex') !== hash)
      throw untrusted('it is not what targets.json signs', where)
    return text
  }
  const keys = target(targetNames.keys)
  if (keys === undefined) throw untrusted(`it names no ${targetNames.keys}`, 'targets')
  return { roots, timestamp, snapshot, targets, says: readTargets(keys, target(targetNames.releases)), files: used }
}

type Meta = Trust['timestamp']['metadata']['signed']['snapshotMeta']

/** The very file that the role above names: pieces of two states don't fit. */
function asNamed(file: RoleFile<'snapshot'> | RoleFile<'targets'>, meta: Meta, where: string, by: Role): void {
  const { version } = file.metadata.signed
  if (version !== meta.version) throw untrusted(`it is version ${version}, ${by} says ${meta.version}`, where)
  try {
    meta.verify(Buffer.from(file.text))
  } catch (cause) {
    throw untrusted(`it is not the file that ${by} names`, where, cause)
  }
}

function textOf(files: TrustFiles, name: string): string {
  const text = files.get(name)
  if (text === undefined) throw untrusted('a file is missing', name)
  if (text.length > maxMetadataBytes * 4) throw untrusted('longer than any such file', name)
  return text
}

/** The role that ends first, and when: ms since 1970. */
export function expiryOf(trust: Trust): { readonly role: Role; readonly at: number } {
  const ends = roles.map((role) => {
    const file = role === 'root' ? rootOf(trust) : trust[role]
    return { role, at: Date.parse(file.metadata.signed.expires) }
  })
  return ends.reduce((first, each) => (each.at < first.at ? each : first))
}
