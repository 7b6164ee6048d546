/** What only the holder of a release's key could do: another statement, signed by that key. */
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ReleasePredicate } from '../../src/attest/release.ts'
import { releaseStatement } from '../../src/release/predicate.ts'
import { signStatement } from '../../src/sign/bundle.ts'
import type { SigningKey } from '../../src/sign/key.ts'
import { readPredicate } from './form.ts'

/** Gives the predicate as it was changed. The folder's files may be links: what they link to stays as it is. */
export async function resigned(folder: string, key: SigningKey, change: (predicate: ReleasePredicate) => void): Promise<ReleasePredicate> {
  const predicate = await readPredicate(folder)
  change(predicate)
  await signedAnew(folder, key, releaseStatement(predicate))
  return predicate
}

export async function signedAnew(folder: string, key: SigningKey, statement: Buffer): Promise<void> {
  for (const [path, bytes] of [
    ['evidence/release.json', statement],
    ['evidence/release.sigstore.json', await signStatement(statement, key)],
  ] as const) {
    await rm(join(folder, path), { force: true })
    await writeFile(join(folder, path), bytes)
  }
}
