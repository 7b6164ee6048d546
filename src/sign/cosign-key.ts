/**
 * cosign's encrypted key file: PEM around base64 JSON, scrypt for the password, NaCl's secretbox around PKCS#8 in DER.
 * https://github.com/sigstore/sigstore/blob/main/pkg/cryptoutils and https://github.com/secure-systems-lab/go-securesystemslib/tree/main/encrypted
 */
import { randomBytes, scryptSync } from 'node:crypto'
import nacl from 'tweetnacl'
import { z } from 'zod'
import { RfoError } from '../error.ts'

/** `COSIGN` is what older versions wrote. */
const envelope =
  /^\s*-----BEGIN ENCRYPTED (SIGSTORE|COSIGN) PRIVATE KEY-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END ENCRYPTED \1 PRIVATE KEY-----\s*$/

const Form = z.object({
  kdf: z.object({
    name: z.literal('scrypt'),
    // the file is input: its cost is bounded to 512 MiB (128·N·r)
    params: z.object({
      N: z
        .int()
        .min(2)
        .max(1 << 20),
      r: z.int().min(1).max(32),
      p: z.int().min(1).max(16),
    }),
    salt: z.base64(),
  }),
  cipher: z.object({ name: z.literal('nacl/secretbox'), nonce: z.base64() }),
  ciphertext: z.base64(),
})

/** What cosign writes today. */
const cost = { N: 65_536, r: 8, p: 1 }

export function isCosignKey(text: string): boolean {
  return /-----BEGIN ENCRYPTED (SIGSTORE|COSIGN) PRIVATE KEY-----/.test(text)
}

/** PKCS#8 in DER; the caller wipes it. Throws RFO_SIGN_KEY or RFO_SIGN_PASSWORD (exit usage). */
export function openCosignKey(text: string, password: string): Buffer {
  const { kdf, cipher, ciphertext } = read(text)
  const { N, r, p } = kdf.params
  const nonce = Buffer.from(cipher.nonce, 'base64')
  if (128 * N * r > 512 * 1024 * 1024 || (N & (N - 1)) !== 0 || nonce.length !== nacl.secretbox.nonceLength) throw malformed()
  const key = scryptSync(password, Buffer.from(kdf.salt, 'base64'), nacl.secretbox.keyLength, { N, r, p, maxmem: 256 * N * r })
  const opened = nacl.secretbox.open(Buffer.from(ciphertext, 'base64'), nonce, key)
  if (opened === null) {
    throw new RfoError('RFO_SIGN_PASSWORD', 'the password does not open the key', { exit: 'usage', next: 'set RFO_KEY_PASSWORD' })
  }
  return Buffer.from(opened.buffer, opened.byteOffset, opened.byteLength)
}

/** The file's text for PKCS#8 bytes in DER. */
export function sealCosignKey(der: Uint8Array, password: string): string {
  const salt = randomBytes(32)
  const nonce = randomBytes(nacl.secretbox.nonceLength)
  const key = scryptSync(password, salt, nacl.secretbox.keyLength, { ...cost, maxmem: 256 * cost.N * cost.r })
  const json = JSON.stringify({
    kdf: { name: 'scrypt', params: cost, salt: salt.toString('base64') },
    cipher: { name: 'nacl/secretbox', nonce: nonce.toString('base64') },
    ciphertext: Buffer.from(nacl.secretbox(der, nonce, key)).toString('base64'),
  })
  const lines =
    Buffer.from(json)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return `-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n${lines.join('\n')}\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n`
}

function read(text: string): z.infer<typeof Form> {
  const body = envelope.exec(text)?.[2]
  if (body === undefined) throw malformed()
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(body, 'base64').toString('utf8'))
  } catch {
    throw malformed() // JSON's own message quotes the text
  }
  const parsed = Form.safeParse(value)
  if (!parsed.success) throw malformed()
  return parsed.data
}

function malformed(): RfoError {
  return new RfoError('RFO_SIGN_KEY', "can't read the key: not a cosign key file", { exit: 'usage', next: 'cosign generate-key-pair' })
}
