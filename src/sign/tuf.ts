/**
 * TUF's four roles as signed JSON: read with bounds, signed by one key or several.
 * https://theupdateframework.github.io/specification/v1.0.33/#document-formats
 * @tufjs/models checks signatures and thresholds. What it lets pass is refused here: a key given twice under two ids, times in
 * another spelling, a member named twice, more than any such file has.
 */
import { createHash, createPublicKey } from 'node:crypto'
import { Metadata, MetadataKind, type Root, Signature, type Snapshot, type Targets, type Timestamp } from '@tufjs/models'
import { z } from 'zod'
import { RfoError } from '../error.ts'
import { canonicalJson, type Json, parseJson } from '../oci/json.ts'
import type { PublicKey, SigningKey } from './key.ts'
import { refused } from './refusal.ts'

export const specVersion = '1.0.31'

export const roles = ['root', 'targets', 'snapshot', 'timestamp'] as const
export type Role = (typeof roles)[number]

export interface Signed {
  readonly root: Root
  readonly targets: Targets
  readonly snapshot: Snapshot
  readonly timestamp: Timestamp
}

/** One role's file: as it lies, and as it was read. Whether anybody signed it is not said yet. */
export interface RoleFile<R extends Role> {
  readonly text: string
  readonly metadata: Metadata<Signed[R]>
}

/** bytes; four keys with their signatures take four thousand */
export const maxMetadataBytes = 256 * 1024

/** https://theupdateframework.github.io/specification/v1.0.33/#metaformat : ISO 8601, in UTC, whole seconds */
const Time = z.iso.datetime({ precision: 0 })
const Count = z.int().positive()
const Form = z.looseObject({
  signatures: z.array(z.looseObject({ keyid: z.string().max(128), sig: z.string().regex(/^[0-9a-f]{0,2048}$/) })).max(64),
  signed: z.looseObject({ _type: z.enum(roles), version: Count, expires: Time }),
})
const RootForm = z.looseObject({
  keys: z.record(z.string().max(128), z.looseObject({ keyval: z.looseObject({ public: z.string().max(16_384) }) })),
  roles: z.record(z.string(), z.looseObject({ threshold: Count, keyids: z.array(z.string()).max(64) })),
})

/** Throws RFO_SIGN_TRUST. `where` is the file's name, empty where the caller says it. */
export function readRole<R extends Role>(role: R, text: string, where: string): RoleFile<R> {
  if (text.length > maxMetadataBytes) throw untrusted(`longer than ${maxMetadataBytes} characters`, where)
  try {
    const value = Form.parse(strictJson(text, where))
    if (value.signed._type !== role) throw new TypeError(`it is ${value.signed._type}, not ${role}`)
    // the library overloads by the kind's own member, which no type parameter can choose
    const read = Metadata.fromJSON as (kind: MetadataKind, data: unknown) => unknown
    const metadata = read.call(Metadata, kinds[role], value) as Metadata<Signed[R]>
    if (role === 'root') refuseTwins(RootForm.parse(value.signed).keys)
    return { text, metadata }
  } catch (cause) {
    throw cause instanceof Error && 'exit' in cause ? cause : untrusted(reason(cause), where, cause)
  }
}

const kinds = {
  root: MetadataKind.Root,
  targets: MetadataKind.Targets,
  snapshot: MetadataKind.Snapshot,
  timestamp: MetadataKind.Timestamp,
} as const

/** JSON in which no object names a member twice: of two readers one would see the first, one the last. */
export function strictJson(text: string, where: string): unknown {
  try {
    return parseJson(text)
  } catch (cause) {
    throw untrusted(cause instanceof RfoError ? 'a member is named twice' : 'not JSON', where, cause)
  }
}

/** The library counts ids: one key under two ids would be two of a threshold. */
function refuseTwins(keys: z.infer<typeof RootForm>['keys']): void {
  const seen = new Map<string, string>()
  for (const [id, { keyval }] of Object.entries(keys)) {
    const bytes = keyval.public.startsWith('-----BEGIN') ? spkiOf(keyval.public) : keyval.public.toLowerCase()
    const before = seen.get(bytes)
    if (before !== undefined) throw new TypeError(`the keys ${before.slice(0, 8)} and ${id.slice(0, 8)} are one key`)
    seen.set(bytes, id)
  }
}

function spkiOf(pem: string): string {
  return createPublicKey(pem).export({ format: 'der', type: 'spki' }).toString('hex')
}

/** That a threshold of the role's keys in `root` signed the file. Throws RFO_SIGN_TRUST. */
export function verifyRole<R extends Role>(root: RoleFile<'root'>, role: R, file: RoleFile<R>, where: string): void {
  try {
    root.metadata.verifyDelegate(role, file.metadata)
  } catch (cause) {
    throw untrusted(`the keys that root ${root.metadata.signed.version} names for ${role} did not sign it: ${reason(cause)}`, where, cause)
  }
}

/** Ids of the role's keys whose signature on the file holds. */
export function signersOf<R extends Role>(root: RoleFile<'root'>, role: R, file: RoleFile<R>): string[] {
  const { keys, roles: named } = root.metadata.signed
  return (named[role]?.keyIDs ?? []).filter((id) => {
    try {
      keys[id]?.verifySignature(file.metadata)
      return keys[id] !== undefined
    } catch {
      return false
    }
  })
}

/** Signs with all of the keys, beside `others`; the text is canonical JSON. The library signs at once and we can't: a token answers later. */
export async function signRole<R extends Role>(
  role: R,
  signed: Signed[R],
  keys: readonly SigningKey[],
  others: readonly Signature[] = [],
): Promise<RoleFile<R>> {
  const metadata = new Metadata<Signed[R]>(signed)
  let bytes: Buffer = Buffer.alloc(0)
  metadata.sign((toSign) => {
    bytes = toSign
    return new Signature({ keyID: '', sig: '' })
  }, false)
  metadata.signatures = Object.fromEntries(others.map((each) => [each.keyID, each]))
  for (const key of keys) {
    const { signature } = await key.sign(bytes)
    const { keyID } = tufKeyOf(key.publicKey)
    metadata.sign(() => new Signature({ keyID, sig: signature.toString('hex') }), true)
  }
  // by key: the order in which people signed is nobody's business
  metadata.signatures = Object.fromEntries(Object.entries(metadata.signatures).sort(([a], [b]) => (a < b ? -1 : 1)))
  return readRole(role, canonicalJson(metadata.toJSON() as Json), role)
}

/** https://theupdateframework.github.io/specification/v1.0.33/#keytype-ecdsa */
export function tufKeyOf(key: PublicKey): {
  readonly keyID: string
  readonly body: { keytype: string; scheme: string; keyval: { public: string } }
} {
  const body = { keytype: 'ecdsa', scheme: 'ecdsa-sha2-nistp256', keyval: { public: key.pem } }
  return { keyID: createHash('sha256').update(canonicalJson(body)).digest('hex'), body }
}

/** The spelling of times in metadata. `ms` since 1970. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
}

export function untrusted(what: string, where: string, cause?: unknown) {
  const error = refused('RFO_SIGN_TRUST', `not trust metadata: ${what}`, cause)
  return where === '' ? error : error.at(where)
}

function reason(cause: unknown): string {
  if (cause instanceof z.ZodError) {
    const issue = cause.issues[0]
    return issue === undefined ? 'unknown form' : `${issue.path.join('.').slice(0, 100)}: ${issue.message}`.slice(0, 300)
  }
  return (cause instanceof Error ? cause.message : String(cause)).slice(0, 300).replace(/[^\x20-\x7e]/g, '?')
}
