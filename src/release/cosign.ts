/** A second person signs what the first one did: the same statement, in a bundle beside his. Nothing else of the release changes. */
import { chmod, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { RfoError } from '../error.ts'
import type { Digest } from '../oci/digest.ts'
import { signStatement } from '../sign/bundle.ts'
import type { SigningKey } from '../sign/key.ts'
import { writeWhole } from '../sign/trust-files.ts'
import { releaseStatement } from './predicate.ts'
import { cosignaturePath, isCosignature } from './verify/cosigners.ts'
import { maxStatementBytes } from './verify/files.ts'
import { readSmall } from './verify/tree.ts'
import { refuseKey } from './verify/trust.ts'
import { type VerifyRequest, verifyRelease } from './verify/verify.ts'

export interface Cosigned {
  readonly version: string
  readonly root: Digest
  /** of the bundle, in the release */
  readonly path: string
  /** true = it lay there already, and holds */
  readonly unchanged: boolean
}

/** `request` says whom the signer trusts: whatever is wrong with the release by that is thrown, and nothing is written. */
export async function cosignRelease(request: VerifyRequest & { readonly folder: string }, key: SigningKey): Promise<Cosigned> {
  const { folder, trust } = request
  const path = cosignaturePath(key.publicKey)
  const there = (await readSmall(join(folder, path), maxStatementBytes * 2, path)) !== undefined
  // his own earlier signature is one to judge, and no reason to trust a release that he alone has signed
  const report = await verifyRelease(there ? { ...request, keys: [...request.keys, key.publicKey] } : request)
  const { predicate, root, fingerprint } = report
  const mine = trust === undefined ? [] : refuseKey(trust, key.publicKey, predicate.epoch, path)
  const findings = [...report.findings, ...mine]
  if (findings.length > 0) throw new AggregateError(findings)
  if (fingerprint === key.publicKey.fingerprint)
    throw new RfoError('RFO_SIGN_COSIGNER', 'this key signed the release already, as its first', {
      exit: 'usage',
      where: path,
      next: 'give --sign-key another key',
    })
  if (there) return { version: predicate.version, root, path, unchanged: true }
  // the statement that was verified is what its predicate gives, byte for byte: nothing is read twice
  await writeWhole(join(folder, path), await signStatement(releaseStatement(predicate), key))
  await chmod(join(folder, path), 0o644)
  return { version: predicate.version, root, path, unchanged: false }
}

/** Bundles of others over this very statement, in a folder that is about to be laid out anew. Who made them is for whoever verifies. */
export async function carriedCosignatures(folder: string, statement: Uint8Array): Promise<{ path: string; from: string }[]> {
  const names = await readdir(join(folder, 'evidence')).catch(() => [])
  const carried: { path: string; from: string }[] = []
  for (const path of names
    .map((name) => `evidence/${name}`)
    .filter(isCosignature)
    .sort()) {
    const text = (await readSmall(join(folder, path), maxStatementBytes * 2, path))?.toString('utf8')
    if (text?.includes(`"payload":"${Buffer.from(statement).toString('base64')}"`)) carried.push({ path, from: join(folder, path) })
  }
  return carried
}
