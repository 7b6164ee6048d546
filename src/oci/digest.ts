/** Digests: https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#digests. SHA-256 is the only algorithm we write. */
import { createHash, type Hash } from 'node:crypto'
import { RfoError } from '../error.ts'

declare const digestBrand: unique symbol
/** `sha256:<64 lower-case hex>`; only parseDigest and digestOf make one. */
export type Digest = `sha256:${string}` & { readonly [digestBrand]: true }

const form = /^sha256:[0-9a-f]{64}$/

export function isDigest(text: string): text is Digest {
  return form.test(text)
}

export function parseDigest(text: string): Digest {
  if (!isDigest(text)) {
    throw new RfoError('RFO_OCI_DIGEST', `not a sha256 digest: ${JSON.stringify(text.slice(0, 100))}`, { exit: 'untrusted' })
  }
  return text
}

/** The 64 hex characters behind `sha256:`. */
export function hex(digest: Digest): string {
  return digest.slice(7)
}

export function digestOf(bytes: Uint8Array | string): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest
}

/** A running SHA-256; `finish` gives the digest. */
export interface Digester {
  update(bytes: Uint8Array): void
  finish(): Digest
}

export function createDigester(): Digester {
  const hash: Hash = createHash('sha256')
  return {
    update(bytes) {
      hash.update(bytes)
    },
    finish() {
      return `sha256:${hash.digest('hex')}` as Digest
    },
  }
}
