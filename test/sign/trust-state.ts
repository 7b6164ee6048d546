/** Trust metadata for tests: two of three root keys decide, one targets key speaks. */
import { generateKey, readSigningKey, type SigningKey } from '../../src/sign/key.ts'
import { openTrust, type Trust, type TrustFiles } from '../../src/sign/trust.ts'
import { type At, type Authority, changeTrust, makeTrust } from '../../src/sign/trust-edit.ts'
import { addKey, type Change, nothingSaid } from '../../src/sign/trust-targets.ts'

export const now = Date.parse('2026-11-01T00:00:00Z')
export const at: At = { now, days: 400 }

export function newKey(): SigningKey {
  return readSigningKey(generateKey().privatePem)
}

export const [a, b, c, targetsKey, releaseKey] = [newKey(), newKey(), newKey(), newKey(), newKey()]
export const authority: Authority = {
  root: { keys: [a, b, c].map((key) => key.publicKey), threshold: 2 },
  targets: { keys: [targetsKey.publicKey], threshold: 1 },
}

export async function firstTrust(): Promise<Trust> {
  return openTrust(await makeTrust(authority, addKey(releaseKey.publicKey)(nothingSaid), [a, b, targetsKey], at))
}

export async function changed(trust: Trust, change: Change, signers = [targetsKey]): Promise<Trust> {
  return openTrust(await changeTrust(trust, change, signers, at))
}

export function withFile(files: TrustFiles, name: string, change: (text: string) => string): TrustFiles {
  const text = files.get(name)
  if (text === undefined) throw new Error(`no ${name}`)
  return new Map([...files, [name, change(text)]])
}
