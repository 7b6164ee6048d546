/** The snapshot that a command judges by: a file that a person names, or the one that was synced or imported last. */
import { readFile, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { HeldSnapshot } from '../advisory/snapshot.ts'
import { predicateTypes } from '../attest/statement.ts'
import type { ContentStore } from '../content/store.ts'
import { RfoError } from '../error.ts'
import type { SnapshotTold } from '../report/scan.ts'
import type { CliContext } from './context.ts'

/** of the store */
export const snapshotTag = 'advisories'

export async function currentSnapshot(
  store: Pick<ContentStore, 'resolve' | 'fetch' | 'exists' | 'referrers'>,
): Promise<HeldSnapshot | undefined> {
  const { decodeSnapshot, maxSnapshotBytes } = await import('../advisory/snapshot.ts')
  const { readBytes } = await import('../content/read.ts')
  const found = await store.resolve(snapshotTag)
  return found === undefined ? undefined : decodeSnapshot(await readBytes(store, found, maxSnapshotBytes), snapshotTag)
}

/** The file that is named, or the one in the store. undefined = there is none. */
export async function heldSnapshot(context: CliContext, file: string | undefined): Promise<HeldSnapshot | undefined> {
  if (file !== undefined) return (await readSnapshotFile(context, file, undefined)).snapshot
  const { openDirectoryStore } = await import('../content/directory.ts')
  const here = await stat(context.storeDir).catch(() => undefined)
  return here === undefined ? undefined : await currentSnapshot(await openDirectoryStore(context.storeDir))
}

/** Throws RFO_SCAN_SNAPSHOT (undecided) when there is none. */
export async function givenSnapshot(context: CliContext, file: string | undefined): Promise<HeldSnapshot> {
  const held = await heldSnapshot(context, file)
  if (held !== undefined) return held
  throw new RfoError('RFO_SCAN_SNAPSHOT', 'no snapshot of advisories is here', {
    exit: 'undecided',
    where: context.storeDir,
    next: 'rfo-build advisories sync, or advisories import, or --advisories <file>',
  })
}

export interface SnapshotFile {
  readonly bytes: Buffer
  readonly snapshot: HeldSnapshot
  /** fingerprint of the key that signed it; absent = nobody looked, since no key was given */
  readonly signedBy?: string
}

/** With a key its signature must hold; with a digest it must have that. Throws RFO_ADVISORY_SNAPSHOT, RFO_SIGN_*, RFO_CLI_VALUE. */
export async function readSnapshotFile(context: CliContext, name: string, expected: string | undefined): Promise<SnapshotFile> {
  const { decodeSnapshot, maxSnapshotBytes } = await import('../advisory/snapshot.ts')
  const { trustedKeys } = await import('./key-files.ts')
  const file = resolve(context.cwd, name)
  const found = await stat(file).catch((cause: NodeJS.ErrnoException) => {
    throw new RfoError('RFO_CLI_VALUE', `can't read it: ${cause.code}`, { exit: 'usage', where: file, cause })
  })
  if (!found.isFile() || found.size > maxSnapshotBytes)
    throw new RfoError('RFO_ADVISORY_SNAPSHOT', 'no file, or larger than any snapshot', { exit: 'untrusted', where: file })
  const bytes = await readFile(file)
  const { digestOf, hex } = await import('../oci/digest.ts')
  const digest = digestOf(bytes)
  if (expected !== undefined && expected !== digest)
    throw new RfoError('RFO_ADVISORY_DIGEST', `the snapshot is ${digest}, expected ${expected}`, {
      exit: 'untrusted',
      where: file,
      next: 'get it again',
    })
  const { keys } = await trustedKeys(context)
  if (keys.length === 0) return { bytes, snapshot: decodeSnapshot(bytes, file) }
  const { verifyBundle } = await import('../sign/verify.ts')
  const bundle = await readFile(signaturePath(file)).catch(() => undefined)
  if (bundle === undefined)
    throw new RfoError('RFO_ADVISORY_UNSIGNED', 'no signature lies beside it', {
      exit: 'untrusted',
      where: signaturePath(file),
      next: 'carry both files',
    })
  const { statement, key } = verifyBundle(bundle, { keys, subject: { digest }, predicateType: predicateTypes.advisories })
  if (statement.subject.length !== 1 || statement.subject[0]?.digest['sha256'] !== hex(digest))
    throw new RfoError('RFO_ADVISORY_DIGEST', 'its signature is about something else', { exit: 'untrusted', where: signaturePath(file) })
  return { bytes, snapshot: decodeSnapshot(bytes, file), signedBy: key.fingerprint }
}

export function signaturePath(file: string): string {
  return `${file}.sigstore.json`
}

export async function snapshotTold(snapshot: HeldSnapshot, at: number): Promise<SnapshotTold> {
  const { ageInDays, countsOf } = await import('../advisory/snapshot.ts')
  const { digest, taken, standIn } = snapshot
  return { digest, taken, ageDays: ageInDays(snapshot, at), ...countsOf(snapshot), ...(standIn === undefined ? {} : { standIn }) }
}
