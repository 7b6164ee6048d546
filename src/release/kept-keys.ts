/**
 * Keys that sign the same bytes once: what one has signed lies in the store as a tag, so a run that was killed loses no signature, and
 * a token is not asked again. What is kept must verify before it is used.
 */
import { pushBytes, readBytes } from '../content/read.ts'
import type { ContentStore } from '../content/store.ts'
import { digestOf, hex } from '../oci/digest.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import type { SigningKey } from '../sign/key.ts'
import { type Sm2Key, verifySm2 } from '../sign/sm2.ts'
import { verifyBlob } from '../sign/verify.ts'
import type { ReleaseKeys } from './signatures.ts'

export function keptKeys(keys: ReleaseKeys, store: ContentStore): ReleaseKeys {
  return {
    ...keys,
    key: keptKey(keys.key, store),
    ...(keys.sm2 === undefined ? {} : { sm2: keptSm2(keys.sm2, store) }),
  }
}

function keptKey(key: SigningKey, store: ContentStore): SigningKey {
  const { publicKey } = key
  return {
    ...key,
    async sign(data) {
      const name = nameOf(publicKey.fingerprint, data)
      const found = await kept(store, name, (signature) => void verifyBlob(data, signature, [publicKey]))
      if (found !== undefined) return { signature: found, key: { $case: 'publicKey', publicKey: publicKey.pem, hint: publicKey.hint } }
      const made = await key.sign(data)
      if (made.key.$case === 'publicKey') await keep(store, name, made.signature)
      return made
    },
  }
}

function keptSm2(key: Sm2Key, store: ContentStore): Sm2Key {
  return {
    ...key,
    async sign(bytes) {
      const name = nameOf(key.publicKey.fingerprint, bytes)
      const found = await kept(store, name, async (signature) => void (await verifySm2(bytes, signature, [key.publicKey])))
      if (found !== undefined) return found
      const made = await key.sign(bytes)
      await keep(store, name, made)
      return made
    },
  }
}

function nameOf(fingerprint: string, data: Uint8Array): string {
  return `signature-${hex(digestOf(`${fingerprint} ${digestOf(data)}`))}`
}

/** bytes; a signature has a hundred */
const maxSignature = 1024

async function kept(store: ContentStore, name: string, check: (signature: Buffer) => void | Promise<void>): Promise<Buffer | undefined> {
  try {
    const found = await store.resolve(name)
    if (found === undefined) return undefined
    const signature = Buffer.from(await readBytes(store, found, maxSignature))
    await check(signature)
    return signature
  } catch {
    return undefined // damaged, or somebody else's: it is made again
  }
}

async function keep(store: ContentStore, name: string, signature: Buffer): Promise<void> {
  await store.tag(await pushBytes(store, mediaTypes.octets, signature), name)
}
