/**
 * New versions of trust metadata, signed. A version is one more than the last, nothing that was said is lost, and what comes
 * out has been read back as a client would.
 */
import { createHash } from 'node:crypto'
import { MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp } from '@tufjs/models'
import { RfoError } from '../error.ts'
import type { PublicKey, SigningKey } from './key.ts'
import { newerTrust, openDraft, openTrust, rootOf, type Trust, type TrustFiles } from './trust.ts'
import { type Change, type TrustTargets, targetTexts } from './trust-targets.ts'
import { type Role, type RoleFile, readRole, roles, type Signed, signRole, specVersion, timeText, tufKeyOf, verifyRole } from './tuf.ts'

export interface RoleKeys {
  readonly keys: readonly PublicKey[]
  /** how many of them must sign */
  readonly threshold: number
}

export interface Authority {
  readonly root: RoleKeys
  /** of what is said, and of snapshot and timestamp */
  readonly targets: RoleKeys
}

export interface At {
  /** ms since 1970 */
  readonly now: number
  /** days for which what is said holds */
  readonly days: number
  /** Others are still to sign: ./trust-draft.ts. No threshold need be met yet, and no file names the digest of one that they sign. */
  readonly draft?: boolean
}

const dayMs = 86_400_000
/** Roots are signed at a ceremony, and whoever carries a long-term release has no network to ask for a newer one. */
const rootDays = 5 * 365

export async function makeTrust(authority: Authority, says: TrustTargets, signers: readonly SigningKey[], at: At): Promise<TrustFiles> {
  const root = await signRoot(authority, 1, signers, at, [])
  return await withTargets(new Map([['1.root.json', root.text]]), root, says, { targets: 1, snapshot: 1, timestamp: 1 }, signers, at)
}

/** Says something else from now on. Gives all files, those of before among them. */
export async function changeTrust(trust: Trust, change: Change, signers: readonly SigningKey[], at: At): Promise<TrustFiles> {
  return await withTargets(trust.files, rootOf(trust), change(trust.says), nextVersions(trust), signers, at)
}

/** A new root: old keys vouch for it, and its own. What the targets say stays as it is. */
export async function rotateRoot(trust: Trust, to: Authority, signers: readonly SigningKey[], at: At): Promise<TrustFiles> {
  const before = rootOf(trust)
  const root = await signRoot(to, before.metadata.signed.version + 1, signers, at, [before])
  const files = new Map([...trust.files, [`${root.metadata.signed.version}.root.json`, root.text]])
  const stays = roles.every((role) => role === 'root' || sameKeys(before, root, role))
  const made = stays ? files : await withTargets(files, root, trust.says, nextVersions(trust), signers, at, [before])
  return at.draft === true ? openDraft(made).trust.files : checked(made, trust)
}

/** The files, once whoever knew the state before would take them. */
function checked(files: TrustFiles, before: Trust): TrustFiles {
  newerTrust(before, files)
  return files
}

export function authorityOf(trust: Trust, read: (pem: string) => PublicKey): Authority {
  const { keys, roles: named } = rootOf(trust).metadata.signed
  const of = (role: Role): RoleKeys => ({
    keys: (named[role]?.keyIDs ?? []).map((id) => read(keys[id]?.keyVal['public'] ?? '')),
    threshold: named[role]?.threshold ?? 1,
  })
  return { root: of('root'), targets: of('targets') }
}

async function signRoot(
  { root, targets }: Authority,
  version: number,
  signers: readonly SigningKey[],
  { now, draft }: At,
  before: readonly RoleFile<'root'>[],
): Promise<RoleFile<'root'>> {
  const named = (role: Role): RoleKeys => (role === 'root' ? root : targets)
  for (const role of roles) {
    const { keys, threshold } = named(role)
    if (!Number.isSafeInteger(threshold) || threshold < 1 || threshold > keys.length)
      throw new RfoError('RFO_SIGN_THRESHOLD', `a threshold of ${threshold} of ${keys.length} keys for ${role}`, {
        exit: 'usage',
        next: 'give each key once, and a threshold that they can reach',
      })
  }
  const all = [...root.keys, ...targets.keys].map(tufKeyOf)
  const signed = Root.fromJSON({
    _type: 'root',
    spec_version: specVersion,
    version,
    expires: timeText(now + rootDays * dayMs),
    consistent_snapshot: true,
    keys: Object.fromEntries(all.map(({ keyID, body }) => [keyID, body])),
    roles: Object.fromEntries(
      roles.map((role) => [role, { keyids: named(role).keys.map((key) => tufKeyOf(key).keyID), threshold: named(role).threshold }]),
    ),
  })
  const must = [signed, ...before.map(({ metadata }) => metadata.signed)]
  return draft === true ? await signAs('root', signed, signers, [], must) : await signAs('root', signed, signers, must)
}

/** targets, snapshot and timestamp over what is said. Their files have names of their own but for the last, which is written last. */
async function withTargets(
  files: TrustFiles,
  root: RoleFile<'root'>,
  says: TrustTargets,
  versions: Versions,
  signers: readonly SigningKey[],
  { now, days, draft }: At,
  before: readonly RoleFile<'root'>[] = [],
): Promise<TrustFiles> {
  const common = { specVersion, expires: timeText(now + days * dayMs) }
  const made = new Map(files)
  const entries: Record<string, TargetFile> = {}
  for (const [name, text] of targetTexts(says)) {
    const sha256 = createHash('sha256').update(text).digest('hex')
    entries[name] = new TargetFile({ path: name, length: Buffer.byteLength(text), hashes: { sha256 } })
    made.set(`targets/${sha256}.${name}`, text)
  }
  const named = [root.metadata.signed]
  const older = before.map(({ metadata }) => metadata.signed)
  const sign = async <R extends Role>(role: R, signed: Signed[R]) =>
    draft === true ? await signAs(role, signed, signers, [], [...named, ...older]) : await signAs(role, signed, signers, named, older)
  // a signature more changes the file and not what it says; length and hashes may be left out: #metafile
  const meta = (version: number, { text }: { readonly text: string }): MetaFile =>
    draft === true ? new MetaFile({ version }) : metaOf(version, text)
  const targets = await sign('targets', new Targets({ ...common, version: versions.targets, targets: entries }))
  made.set(`${versions.targets}.targets.json`, targets.text)
  const snapshot = await sign(
    'snapshot',
    new Snapshot({ ...common, version: versions.snapshot, meta: { 'targets.json': meta(versions.targets, targets) } }),
  )
  made.set(`${versions.snapshot}.snapshot.json`, snapshot.text)
  const timestamp = await sign(
    'timestamp',
    new Timestamp({ ...common, version: versions.timestamp, snapshotMeta: meta(versions.snapshot, snapshot) }),
  )
  made.set('timestamp.json', timestamp.text)
  return (draft === true ? openDraft(made).trust : openTrust(made)).files
}

type Versions = Readonly<Record<Exclude<Role, 'root'>, number>>

function nextVersions({ targets, snapshot, timestamp }: Trust): Versions {
  return {
    targets: targets.metadata.signed.version + 1,
    snapshot: snapshot.metadata.signed.version + 1,
    timestamp: timestamp.metadata.signed.version + 1,
  }
}

function metaOf(version: number, text: string): MetaFile {
  return new MetaFile({
    version,
    length: Buffer.byteLength(text),
    hashes: { sha256: createHash('sha256').update(text).digest('hex') },
  })
}

/** Signs with every key that a root names for the role. Each of `must` must be satisfied; `may` is as far as the keys go. */
async function signAs<R extends Role>(
  role: R,
  signed: Signed[R],
  signers: readonly SigningKey[],
  must: readonly Root[],
  may: readonly Root[] = [],
): Promise<RoleFile<R>> {
  const idOf = (key: SigningKey): string => tufKeyOf(key.publicKey).keyID
  const named = (root: Root): readonly string[] => root.roles[role]?.keyIDs ?? []
  const able = [...new Map(signers.map((key) => [idOf(key), key])).values()]
  for (const root of must) {
    const threshold = root.roles[role]?.threshold ?? 1
    const here = able.filter((key) => named(root).includes(idOf(key)))
    if (here.length < threshold)
      throw new RfoError(
        'RFO_SIGN_THRESHOLD',
        `root ${root.version} wants ${threshold} of its keys to sign ${role}, and ${here.length} are given`,
        {
          exit: 'usage',
          next: 'give --sign-key once for each key',
        },
      )
  }
  const wanted = new Set([...must, ...may].flatMap(named))
  return await signRole(
    role,
    signed,
    able.filter((key) => wanted.has(idOf(key))),
  )
}

function sameKeys(before: RoleFile<'root'>, after: RoleFile<'root'>, role: Role): boolean {
  const [a, b] = [before.metadata.signed.roles[role], after.metadata.signed.roles[role]]
  return a !== undefined && b !== undefined && a.threshold === b.threshold && [...a.keyIDs].sort().join() === [...b.keyIDs].sort().join()
}

/** Whether who has the old root alone still takes the new timestamp: then it may be written before the root. */
export function holdsUnder(before: Trust, files: TrustFiles): boolean {
  try {
    verifyRole(rootOf(before), 'timestamp', readRole('timestamp', files.get('timestamp.json') ?? '', 'timestamp.json'), 'timestamp.json')
    return true
  } catch {
    return false
  }
}
