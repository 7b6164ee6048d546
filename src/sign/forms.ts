/** The foreign forms that `verify` reads, bounded and strict: what is not known is refused, not skipped. */
import { z } from 'zod'
import { RfoError } from '../error.ts'
import { parseJson } from '../oci/json.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import { refused } from './refusal.ts'

/** characters; base64 of the largest statement, and its frame */
const maxBundleLength = 96 * 1024 * 1024
const maxPayloadLength = 64 * 1024

/** cosign and protobuf's JSON write these empty or not at all. A key signs without a log and without a time stamp. */
const Nothing = z.strictObject({ rfc3161Timestamps: z.array(z.never()).max(0).optional() }).optional()
const KeyMaterial = z.strictObject({
  publicKey: z.strictObject({ hint: z.string().min(1).max(1024) }),
  tlogEntries: z.array(z.never()).max(0).optional(),
  timestampVerificationData: Nothing,
})
const Envelope = z.strictObject({
  payload: z.string().min(1),
  payloadType: z.string(),
  signatures: z.array(z.strictObject({ sig: z.string().min(1).max(1024), keyid: z.string().max(1024).optional() })).max(100),
})
export type Envelope = z.infer<typeof Envelope>
const Bundle = z.strictObject({
  mediaType: z.literal(mediaTypes.sigstoreBundle),
  verificationMaterial: KeyMaterial,
  dsseEnvelope: Envelope,
})
const BlobBundle = z.strictObject({
  mediaType: z.literal(mediaTypes.sigstoreBundle),
  verificationMaterial: KeyMaterial,
  messageSignature: z.strictObject({
    messageDigest: z.strictObject({ algorithm: z.literal('SHA2_256'), digest: z.string().min(1).max(128) }),
    signature: z.string().min(1).max(1024),
  }),
})
const SimpleSigning = z.strictObject({
  critical: z.strictObject({
    identity: z.strictObject({ 'docker-reference': z.string().max(4096) }),
    image: z.strictObject({ 'docker-manifest-digest': z.string() }),
    type: z.literal('cosign container image signature'),
  }),
  optional: z.record(z.string(), z.unknown()).nullish(),
})

export function readBundle(text: string): z.infer<typeof Bundle> {
  return readForm(Bundle, text, 'a DSSE bundle v0.3 with a public key', maxBundleLength)
}

export function readBlobBundle(text: string): z.infer<typeof BlobBundle> {
  return readForm(BlobBundle, text, 'a message signature bundle v0.3 with a public key', maxPayloadLength)
}

export function readEnvelope(text: string): Envelope {
  return readForm(Envelope, text, 'a DSSE envelope', maxBundleLength)
}

export function readSimpleSigning(payload: Uint8Array): z.infer<typeof SimpleSigning> {
  return readForm(SimpleSigning, Buffer.from(payload).toString('utf8'), 'a simple signing payload', maxPayloadLength)
}

/** Node reads base64 with spare bits, missing padding and the URL alphabet: many texts, the same bytes. One is accepted. */
export function decodeBase64(text: string, what: string): Buffer {
  const bytes = Buffer.from(text, 'base64')
  if (bytes.toString('base64') !== text) throw refused('RFO_SIGN_BYTES', `the ${what} is not canonical base64`)
  return bytes
}

/** Reads JSON of one form. Throws RFO_SIGN_FORM. */
export function readForm<T>(form: z.ZodType<T>, text: string, what: string, max: number): T {
  if (text.length > max) throw refused('RFO_SIGN_FORM', `not ${what}: longer than ${max} characters`)
  let value: unknown
  try {
    value = parseJson(text)
  } catch (cause) {
    if (cause instanceof RfoError) throw cause
    throw refused('RFO_SIGN_FORM', `not ${what}: not JSON`, cause)
  }
  const parsed = form.safeParse(value)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw refused(
      'RFO_SIGN_FORM',
      `not ${what}: ${issue === undefined ? 'unknown form' : `${issue.path.join('.')}: ${issue.message}`}`.slice(0, 300),
    )
  }
  return parsed.data
}
