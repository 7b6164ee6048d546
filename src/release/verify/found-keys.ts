/** The keys that a release says are its own, for a person who has none yet to compare. They prove nothing. */
import { readPublicKey } from '../../sign/key.ts'
import { readPgpPublicKey } from '../../sign/pgp.ts'
import { readSm2PublicKey } from '../../sign/sm2.ts'
import { keyPaths } from '../signed-paths.ts'
import type { ReleasePlace } from './place.ts'

const maxKeyBytes = 64 * 1024

export async function foundKeys(place: ReleasePlace): Promise<{ readonly path: string; readonly fingerprint: string }[]> {
  const read = {
    [keyPaths.release]: (bytes: Buffer) => readPublicKey(bytes.toString('utf8')),
    [keyPaths.sm2]: (bytes: Buffer) => readSm2PublicKey(bytes.toString('utf8')),
    [keyPaths.helm]: readPgpPublicKey,
  }
  const found: { path: string; fingerprint: string }[] = []
  for (const [path, parse] of Object.entries(read)) {
    try {
      const bytes = await place.small(path, maxKeyBytes)
      if (bytes !== undefined) found.push({ path, fingerprint: (await parse(bytes)).fingerprint })
    } catch {
      // what is no key has no fingerprint, and `verify` with a key says so
    }
  }
  return found
}
