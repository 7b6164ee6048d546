/**
 * Trust metadata that several sign who never meet: a draft is an export with too few signatures. Each adds his own to a copy, copies
 * are put together, and who follows the root takes it as soon as thresholds are met. Signatures are over what is said, so
 * their order does not matter: https://theupdateframework.github.io/specification/v1.0.33/#document-formats
 */
import type { Signature } from '@tufjs/models'
import { RfoError } from '../error.ts'
import type { SigningKey } from './key.ts'
import { refused } from './refusal.ts'
import { type Draft, openDraft, rootOf, type Trust, type TrustFiles } from './trust.ts'
import { type Role, type RoleFile, readRole, signRole, tufKeyOf, untrusted } from './tuf.ts'

/** The draft with the signatures of other copies of it. Throws RFO_SIGN_TRUST for another draft. */
export async function mergeDrafts(files: TrustFiles, copies: readonly TrustFiles[]): Promise<TrustFiles> {
  const names = (each: TrustFiles): string => [...each.keys()].sort().join('\n')
  const made = new Map(files)
  for (const copy of copies) {
    if (names(copy) !== names(files)) throw untrusted('it is another draft', '')
    for (const [name, text] of copy) {
      const mine = made.get(name) ?? ''
      const role = roleOf(name)
      if (text === mine) continue
      if (role === undefined) throw untrusted('it is another draft', name)
      const [ours, theirs] = [readRole<Role>(role, mine, name), readRole<Role>(role, text, name)]
      if (!(ours.metadata.signed.equals as (other: unknown) => boolean)(theirs.metadata.signed))
        throw untrusted('it is another draft', name)
      made.set(name, (await resign(role, ours, [], signaturesOf(theirs))).text)
    }
  }
  return made
}

/**
 * Signs, with each key, what a root of the draft names it for and what lacks signatures. `known` is what the signer trusts. Throws
 * RFO_SIGN_ROLLBACK, RFO_SIGN_TRUST for a draft that does not go on from there, RFO_SIGN_CHANGE for a key that it does not ask.
 */
export async function signDraft(files: TrustFiles, signers: readonly SigningKey[], known: Trust | undefined): Promise<TrustFiles> {
  const { trust, lacking } = openDraft(files)
  if (known !== undefined) refuseOther(known, trust)
  const made = new Map(files)
  const { timestamp, snapshot, targets, roots } = trust
  const root = rootOf(trust)
  // who decided before is asked for a new root, and for nothing after it
  const before = lacking.some(({ role }) => role === 'root') ? roots.at(-2) : undefined
  const named = (role: Role): readonly string[] => [root, before].flatMap((each) => each?.metadata.signed.roles[role]?.keyIDs ?? [])
  const parts: readonly (readonly [string, Role, RoleFile<Role>])[] = [
    [`${root.metadata.signed.version}.root.json`, 'root', root],
    [nameOf(files, targets), 'targets', targets],
    [nameOf(files, snapshot), 'snapshot', snapshot],
    ['timestamp.json', 'timestamp', timestamp],
  ]
  const asked = (role: Role, { publicKey }: SigningKey): boolean => named(role).includes(tufKeyOf(publicKey).keyID)
  const stranger = signers.find((key) => !parts.some(([, role]) => asked(role, key)))
  if (stranger !== undefined)
    throw new RfoError('RFO_SIGN_CHANGE', `the draft does not ask ${stranger.publicKey.fingerprint} to sign anything`, {
      exit: 'usage',
      next: 'rfo-build trust sign <file>, without a key: it shows who decides',
    })
  for (const [name, role, file] of parts) {
    const able = signers.filter((key) => asked(role, key))
    if (able.length > 0 && lacking.some((each) => each.role === role)) made.set(name, (await resign(role, file, able)).text)
  }
  return openDraft(made).trust.files
}

/** Which role's file it is; undefined = none: a target. */
function roleOf(name: string): Role | undefined {
  return /^(?:\d+\.)?(root|targets|snapshot|timestamp)\.json$/.exec(name)?.[1] as Role | undefined
}

function nameOf(files: TrustFiles, file: RoleFile<Role>): string {
  for (const [name, text] of files) if (text === file.text) return name
  throw new Error('a file of the draft')
}

function signaturesOf({ metadata }: RoleFile<Role>): Signature[] {
  return Object.values(metadata.signatures)
}

async function resign(
  role: Role,
  file: RoleFile<Role>,
  keys: readonly SigningKey[],
  more: readonly Signature[] = [],
): Promise<RoleFile<Role>> {
  const all = new Map([...more, ...signaturesOf(file)].map((each) => [each.keyID, each]))
  return await signRole<Role>(role, file.metadata.signed, keys, [...all.values()])
}

/** The roots that are known, and nothing that falls. */
function refuseOther(known: Trust, draft: Draft['trust']): void {
  for (const { metadata } of known.roots) {
    const { version } = metadata.signed
    const same = draft.roots.find((each) => each.metadata.signed.version === version)
    if (same !== undefined && !same.metadata.signed.equals(metadata.signed))
      throw untrusted('it is another root than the one that is trusted', `${version}.root.json`)
  }
  const versions = (trust: Trust): readonly number[] => [
    rootOf(trust).metadata.signed.version,
    ...(['timestamp', 'snapshot', 'targets'] as const).map((role) => trust[role].metadata.signed.version),
  ]
  const [before, after] = [versions(known), versions(draft)]
  if (before.some((version, at) => (after[at] ?? 0) < version))
    throw refused('RFO_SIGN_ROLLBACK', 'it is older than what is trusted: older metadata is never signed')
  const [last = 0] = before
  if (!draft.roots.some(({ metadata }) => metadata.signed.version === last))
    throw untrusted('the root that is trusted is missing', `${last}.root.json`)
}
