/**
 * Keys: P-256 with SHA-256, the one choice that cosign 2, cosign 3, openssl and sigstore all read. A signing key is a
 * `Signer` of @sigstore/sign, so a hardware token or a key service takes its place without a change elsewhere.
 * No error says anything of a key's text: not even the parser's own message, which quotes it.
 */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import type { Signer } from '@sigstore/sign'
import { RfoError } from '../error.ts'
import { isCosignKey, openCosignKey, sealCosignKey } from './cosign-key.ts'
import { canonicalSignature } from './ecdsa.ts'

export interface PublicKey {
  readonly object: KeyObject
  /** PEM, SubjectPublicKeyInfo */
  readonly pem: string
  /** base64 of the SHA-256 of the SPKI in DER: what cosign writes as a bundle's hint */
  readonly hint: string
  /** `sha256:<hex>` of the same bytes: what people compare */
  readonly fingerprint: string
}

export interface SigningKey extends Signer {
  readonly publicKey: PublicKey
}

/** A new P-256 key. The one place that needs randomness besides the signature itself. */
export function generateKey(): { readonly privatePem: string; readonly publicPem: string } {
  const pair = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  return {
    privatePem: pair.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    publicPem: pair.publicKey.export({ format: 'pem', type: 'spki' }).toString(),
  }
}

/**
 * Reads a private key: PEM PKCS#8 (plain or encrypted) or cosign's encrypted key file. Takes half a second for cosign's,
 * as scrypt intends: read it once. Throws RFO_SIGN_KEY or RFO_SIGN_PASSWORD (exit usage).
 */
export function readSigningKey(text: string, password?: string): SigningKey {
  return signingKey(readPrivateKey(text, password))
}

/** cosign's encrypted key file for the same key, as `cosign --key` reads it. */
export function writeCosignKey(privatePem: string, password: string): string {
  return sealCosignKey(readPrivateKey(privatePem).export({ format: 'der', type: 'pkcs8' }), password)
}

/** Reads a public key in PEM (SPKI). Throws RFO_SIGN_KEY (exit usage); a private key is refused: it doesn't belong there. */
export function readPublicKey(pem: string): PublicKey {
  if (!/^-----BEGIN PUBLIC KEY-----\r?\n[A-Za-z0-9+/=\r\n]+-----END PUBLIC KEY-----\s*$/.test(pem) || pem.length > 16_384) {
    throw unreadable('not a public key in PEM (SPKI)')
  }
  let object: KeyObject
  try {
    object = createPublicKey(pem)
  } catch {
    throw unreadable('not a public key in PEM (SPKI)')
  }
  return publicKey(object)
}

export function publicKeyOf(key: SigningKey): PublicKey {
  return key.publicKey
}

/** `sha256:<hex>` of the SubjectPublicKeyInfo in DER; `openssl pkey -pubin -outform DER | sha256sum` gives the same. */
export function keyFingerprint(key: PublicKey): string {
  return key.fingerprint
}

/** The fingerprint that a bundle's hint stands for, when it is one of ours or cosign's. */
export function fingerprintOfHint(hint: string): string | undefined {
  return /^[A-Za-z0-9+/]{43}=$/.test(hint) ? `sha256:${Buffer.from(hint, 'base64').toString('hex')}` : undefined
}

function readPrivateKey(text: string, password?: string): KeyObject {
  if (text.length > 65_536) throw unreadable('longer than any key')
  let object: KeyObject
  if (isCosignKey(text)) {
    const der = openCosignKey(text, password ?? '')
    try {
      object = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
    } catch {
      throw unreadable('the encrypted key file holds no PKCS#8 key')
    } finally {
      der.fill(0)
    }
  } else {
    const locked = /-----BEGIN ENCRYPTED PRIVATE KEY-----/.test(text)
    if (!locked && !/-----BEGIN (EC )?PRIVATE KEY-----/.test(text)) throw unreadable('neither a private key in PEM nor a cosign key file')
    try {
      object = createPrivateKey({ key: text, format: 'pem', ...(locked ? { passphrase: password ?? '' } : {}) })
    } catch {
      throw locked ? wrongPassword() : unreadable('not a private key in PEM (PKCS#8)')
    }
  }
  assertP256(object)
  return object
}

function signingKey(privateKey: KeyObject): SigningKey {
  const own = publicKey(createPublicKey(privateKey))
  return {
    publicKey: own,
    sign(data) {
      const signature = canonicalSignature(sign('sha256', data, privateKey))
      if (signature === undefined) return Promise.reject(new Error('the signature is not DER'))
      return Promise.resolve({ signature, key: { $case: 'publicKey', publicKey: own.pem, hint: own.hint } })
    },
  }
}

function publicKey(object: KeyObject): PublicKey {
  assertP256(object)
  const digest = createHash('sha256')
    .update(object.export({ format: 'der', type: 'spki' }))
    .digest()
  return {
    object,
    pem: object.export({ format: 'pem', type: 'spki' }).toString(),
    hint: digest.toString('base64'),
    fingerprint: `sha256:${digest.toString('hex')}`,
  }
}

function assertP256(object: KeyObject): void {
  if (object.asymmetricKeyType !== 'ec' || object.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw unreadable(
      `a key on P-256 is needed, this is ${object.asymmetricKeyDetails?.namedCurve ?? object.asymmetricKeyType ?? 'another kind'}`,
    )
  }
}

function unreadable(why: string): RfoError {
  return new RfoError('RFO_SIGN_KEY', `can't read the key: ${why}`, { exit: 'usage', next: 'rfo-build keys generate' })
}

function wrongPassword(): RfoError {
  return new RfoError('RFO_SIGN_PASSWORD', 'the password does not open the key', { exit: 'usage', next: 'set RFO_KEY_PASSWORD' })
}
