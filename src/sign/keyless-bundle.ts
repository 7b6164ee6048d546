/**
 * Sigstore bundles v0.3 around a certificate: who signed, that a log has seen it, and when. Like bundles by a key they
 * have one spelling when they are ours: canonical JSON of what was read gives the same bytes.
 * https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto
 */
import { z } from 'zod'
import { canonicalJson } from '../oci/json.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import { decodeBase64, readForm } from './forms.ts'
import { refused } from './refusal.ts'

/** characters: the statement of a large release in base64, and its proofs */
const maxKeylessBundle = 96 * 1024 * 1024
/** a chain through a log of 2^64 entries is shorter */
const maxHashes = 64
const Base64 = z
  .string()
  .min(1)
  .max(64 * 1024)
/** protobuf's JSON writes 64 bits as text, and leaves out what is 0: https://protobuf.dev/programming-guides/json/ */
const Int64 = z.string().regex(/^(0|[1-9][0-9]{0,18})$/)

const LogEntry = z.strictObject({
  logIndex: Int64.default('0'),
  logId: z.strictObject({ keyId: Base64 }),
  kindVersion: z.strictObject({ kind: z.string().max(64), version: z.string().max(64) }),
  integratedTime: Int64.default('0'),
  inclusionPromise: z.strictObject({ signedEntryTimestamp: Base64 }).nullish(),
  inclusionProof: z.strictObject({
    logIndex: Int64.default('0'),
    rootHash: Base64,
    treeSize: Int64,
    hashes: z.array(Base64).max(maxHashes).default([]),
    checkpoint: z.strictObject({ envelope: z.string().max(64 * 1024) }),
  }),
  canonicalizedBody: z
    .string()
    .min(1)
    .max(1024 * 1024),
})
export type LogEntry = z.infer<typeof LogEntry>

const KeylessBundle = z.strictObject({
  mediaType: z.literal(mediaTypes.sigstoreBundle),
  verificationMaterial: z.strictObject({
    certificate: z.strictObject({ rawBytes: Base64 }),
    tlogEntries: z.array(LogEntry).max(4).default([]),
    timestampVerificationData: z
      .strictObject({
        rfc3161Timestamps: z
          .array(z.strictObject({ signedTimestamp: Base64 }))
          .max(4)
          .default([]),
      })
      .nullish(),
  }),
  dsseEnvelope: z.strictObject({
    payload: z.string().min(1),
    payloadType: z.literal(mediaTypes.inToto),
    signatures: z.array(z.strictObject({ sig: z.string().min(1).max(1024), keyid: z.literal('').optional() })).length(1),
  }),
})

/** What a keyless bundle says; bytes decoded, texts as they are. */
export interface KeylessParts {
  readonly payload: Buffer
  /** DER */
  readonly signature: Buffer
  /** DER */
  readonly certificate: Buffer
  readonly log: readonly LogEntry[]
  /** DER, RFC 3161 responses */
  readonly stamps: readonly Buffer[]
}

/** Throws RFO_SIGN_FORM, RFO_SIGN_BYTES (exit untrusted). */
export function readKeylessBundle(text: string): KeylessParts {
  const { verificationMaterial: material, dsseEnvelope } = readForm(
    KeylessBundle,
    text,
    'a DSSE bundle v0.3 with a certificate',
    maxKeylessBundle,
  )
  for (const entry of material.tlogEntries) checkProof(entry)
  return {
    payload: decodeBase64(dsseEnvelope.payload, 'payload'),
    signature: decodeBase64(dsseEnvelope.signatures[0]?.sig ?? '', 'signature'),
    certificate: decodeBase64(material.certificate.rawBytes, 'certificate'),
    log: material.tlogEntries,
    stamps: (material.timestampVerificationData?.rfc3161Timestamps ?? []).map((each) => decodeBase64(each.signedTimestamp, 'time stamp')),
  }
}

/** Whether text is a bundle around a certificate; what it is worth is not asked. */
export function isKeylessBundle(text: string): boolean {
  try {
    return (
      (JSON.parse(text) as { verificationMaterial?: { certificate?: unknown } } | null)?.verificationMaterial?.certificate !== undefined
    )
  } catch {
    return false
  }
}

/** The one spelling. */
export function keylessBundleText({ payload, signature, certificate, log, stamps }: KeylessParts): string {
  return canonicalJson({
    mediaType: mediaTypes.sigstoreBundle,
    verificationMaterial: {
      certificate: { rawBytes: certificate.toString('base64') },
      tlogEntries: log.map(({ inclusionPromise, integratedTime, ...entry }) => ({
        ...entry,
        ...(inclusionPromise == null ? {} : { inclusionPromise, integratedTime }),
      })),
      ...(stamps.length === 0
        ? {}
        : { timestampVerificationData: { rfc3161Timestamps: stamps.map((each) => ({ signedTimestamp: each.toString('base64') })) } }),
    },
    dsseEnvelope: {
      payload: payload.toString('base64'),
      payloadType: mediaTypes.inToto,
      signatures: [{ sig: signature.toString('base64') }],
    },
  })
}

/**
 * Size and hash of the tree stand in the proof and in the checkpoint, and only the checkpoint is signed: the library
 * looks at no other. https://github.com/transparency-dev/formats/blob/main/log/README.md#checkpoint-body
 */
function checkProof({ inclusionPromise, integratedTime, inclusionProof: proof }: LogEntry): void {
  const [, size, root] = proof.checkpoint.envelope.split('\n')
  if (size !== proof.treeSize || root !== proof.rootHash)
    throw refused('RFO_SIGN_LOG', 'the proof of inclusion is about another tree than its checkpoint')
  // without a promise nobody has signed the time
  if (inclusionPromise == null && integratedTime !== '0') throw refused('RFO_SIGN_LOG', 'a time of entry that nobody signed')
}

/**
 * A checkpoint with the log's own signature alone: others', witnesses', are nothing that we verify, and so anybody could
 * change them. https://github.com/C2SP/C2SP/blob/main/signed-note.md
 */
export function ownCheckpoint(envelope: string, keyId: Buffer): string {
  const [note, signatures = ''] = splitNote(envelope)
  const own = signatures.split('\n').filter((line) =>
    Buffer.from(line.split(' ')[2] ?? '', 'base64')
      .subarray(0, 4)
      .equals(keyId.subarray(0, 4)),
  )
  return `${note}\n\n${own.slice(0, 1).join('')}\n`
}

/** One line of signature, by whom the note's first line names, in canonical base64. */
export function isCanonicalCheckpoint(envelope: string): boolean {
  const [note, signatures = ''] = splitNote(envelope)
  const found = /^\u2014 (\S+) ([A-Za-z0-9+/]+={0,2})\n$/.exec(signatures)
  if (found === null) return false
  const [, name = '', bytes = ''] = found
  return note.split('\n')[0]?.split(' ')[0] === name && Buffer.from(bytes, 'base64').toString('base64') === bytes
}

function splitNote(envelope: string): [note: string, signatures: string] {
  const at = envelope.indexOf('\n\n')
  return at < 0 ? [envelope, ''] : [envelope.slice(0, at), envelope.slice(at + 2)]
}
