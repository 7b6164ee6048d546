/** PGP keys as people make them, for packages. */
import { generateKey } from 'openpgp'
import { generatePgpKey, type PgpKey, readPgpKey } from '../../src/sign/pgp.ts'

/** Older than the packages: a signature is never older than its key. */
const born = 1640995200

export const keyKinds = ['rsa', 'ed25519'] as const

export async function pgpKey(kind: (typeof keyKinds)[number] = 'rsa'): Promise<PgpKey> {
  if (kind === 'rsa') return await readPgpKey((await generatePgpKey('Nobody', born, 3072)).privateText)
  const { privateKey } = await generateKey({
    type: 'ecc',
    curve: 'ed25519Legacy',
    userIDs: [{ name: 'Nobody' }],
    date: new Date(born * 1000),
  })
  return await readPgpKey(privateKey)
}
