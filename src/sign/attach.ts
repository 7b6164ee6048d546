/**
 * Signs images and attaches what is said about them, for cosign 3 (bundle referrers) and cosign 2 (`.sig`, `.att`), both
 * by the same key: cosign looks no further than the bundles once there is one.
 */
import { parseStatement, predicateTypes, type Statement, statement, statementBytes, subjectOf } from '../attest/statement.ts'
import { pushBytes } from '../content/read.ts'
import type { ContentStore } from '../content/store.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { legacyTags } from '../oci/legacy-tags.ts'
import { parseReference } from '../oci/reference.ts'
import { bundleText, signStatement } from './bundle.ts'
import { bundleReferrer, type Carrier, legacyAttestationManifest, legacySignatureManifest, simpleSigningPayload } from './carriers.ts'
import { type Found, findReadable } from './find.ts'
import { verifyIdentityBundle } from './identity.ts'
import type { SigningKey } from './key.ts'
import type { KeylessSigner } from './keyless.ts'
import { type VerifiedStatement, verifyBlob, verifyBundle } from './verify.ts'

export { bundleReferrer, legacyAttestationManifest, legacySignatureManifest, simpleSigningPayload } from './carriers.ts'

/** What now lies beside the image, in the order it was written. */
export interface Attached {
  readonly subject: Descriptor
  readonly referrers: readonly Descriptor[]
  readonly tags: readonly { readonly reference: string; readonly manifest: Descriptor }[]
}

/**
 * Signs an index or a platform manifest. Signatures that this key already made for it are kept, so a rerun changes
 * nothing. `reference` is the image's name; its tag is left out of the payload. `epoch` in seconds.
 */
export async function signImage(
  subject: Descriptor,
  reference: string,
  key: SigningKey,
  store: ContentStore,
  epoch: number,
): Promise<Attached> {
  const found = await findReadable(subject, store)
  const made = statement([subjectOf(subject.digest)], predicateTypes.cosignSign, {})
  const referrer = await carry(subject, made, key, epoch, found)
  const { registry, repository } = parseReference(reference)
  const payload = simpleSigningPayload(`${registry}/${repository}`, subject.digest)
  const legacy = legacySignatureManifest(
    payload,
    keptSignature(found, payload, key) ?? (await key.sign(Buffer.from(payload))).signature.toString('base64'),
  )
  await push(store, referrer.carrier)
  await push(store, legacy)
  const { signature } = legacyTags(subject.digest)
  await store.tag(legacy.descriptor, signature)
  return { subject, referrers: [referrer.carrier.descriptor], tags: [{ reference: signature, manifest: legacy.descriptor }] }
}

/** Signs an artifact that nothing older than bundles reads. A signature that this key already made is kept. */
export async function signArtifact(subject: Descriptor, key: SigningKey, store: ContentStore, epoch: number): Promise<Attached> {
  const made = statement([subjectOf(subject.digest)], predicateTypes.cosignSign, {})
  const { carrier } = await carry(subject, made, key, epoch, await findReadable(subject, store))
  await push(store, carrier)
  return { subject, referrers: [carrier.descriptor], tags: [] }
}

/**
 * Attaches statements about an index or a platform manifest: all of them at once, since `.att` holds exactly these.
 * Refuses a statement about something else. Signatures that this key already made are kept.
 */
export async function attest(
  subject: Descriptor,
  statements: readonly Statement[],
  key: SigningKey,
  store: ContentStore,
  epoch: number,
): Promise<Attached> {
  const found = await findReadable(subject, store)
  const carried = []
  for (const one of statements) carried.push(await carry(subject, one, key, epoch, found))
  for (const { carrier } of carried) await push(store, carrier)
  if (carried.length === 0) return { subject, referrers: [], tags: [] }
  const legacy = legacyAttestationManifest(
    carried.map(({ verified }) => ({
      payload: verified.payload,
      signature: verified.signature,
      predicateType: verified.statement.predicateType,
    })),
  )
  await push(store, legacy)
  const { attestation } = legacyTags(subject.digest)
  await store.tag(legacy.descriptor, attestation)
  return {
    subject,
    referrers: carried.map(({ carrier }) => carrier.descriptor),
    tags: [{ reference: attestation, manifest: legacy.descriptor }],
  }
}

/**
 * The same without a key: a second bundle beside the key's. `said` is the statement; absent: the signature of an image. A
 * bundle that this identity already made for it is kept, since its certificate only had to be valid then.
 */
export async function signKeyless(
  subject: Descriptor,
  signer: KeylessSigner,
  store: ContentStore,
  epoch: number,
  said: Uint8Array = imageSignature(subject),
): Promise<Attached & { readonly text: string }> {
  const { predicateType } = parseStatement(said)
  const kept = keptKeyless(await findReadable(subject, store), subject, said, signer, epoch)
  const text = kept ?? (await signer.sign(said))
  const carrier = bundleReferrer(subject, text, predicateType, epoch)
  await push(store, carrier)
  return { subject, referrers: [carrier.descriptor], tags: [], text }
}

function imageSignature(subject: Descriptor): Buffer {
  return statementBytes(statement([subjectOf(subject.digest)], predicateTypes.cosignSign, {}))
}

function keptKeyless(
  found: Pick<Found, 'referrers'>,
  subject: Descriptor,
  payload: Uint8Array,
  { trusted }: KeylessSigner,
  epoch: number,
): string | undefined {
  for (const { bytes, layers } of found.referrers) {
    const text = layers[0]?.bytes.toString('utf8')
    if (text === undefined || layers.length !== 1) continue
    const verified = attempt(() => verifyIdentityBundle(text, trusted))
    if (verified === undefined || !verified.payload.equals(payload)) continue
    if (bytes.equals(Buffer.from(bundleReferrer(subject, text, verified.statement.predicateType, epoch).text))) return text
  }
  return undefined
}

async function carry(
  subject: Descriptor,
  made: Statement,
  key: SigningKey,
  epoch: number,
  found: Pick<Found, 'referrers'>,
): Promise<{ readonly carrier: Carrier; readonly verified: VerifiedStatement }> {
  const bytes = statementBytes(made)
  const kept = keptBundle(found, subject, bytes, key, epoch)
  const text = kept ?? (await signStatement(bytes, key))
  const verified = verifyBundle(text, { keys: [key.publicKey], subject, predicateType: made.predicateType })
  return { carrier: bundleReferrer(subject, text, made.predicateType, epoch), verified }
}

/** The bundle that this key already made for these bytes, if its referrer lies there exactly as we would write it. */
function keptBundle(
  found: Pick<Found, 'referrers'>,
  subject: Descriptor,
  payload: Buffer,
  key: SigningKey,
  epoch: number,
): string | undefined {
  for (const { bytes, layers } of found.referrers) {
    const text = layers[0]?.bytes.toString('utf8')
    if (text === undefined || layers.length !== 1) continue
    const verified = attempt(() => verifyBundle(text, { keys: [key.publicKey], subject }))
    if (verified === undefined || !verified.payload.equals(payload)) continue
    const again = bundleText({ payload, signature: verified.signature, hint: key.publicKey.hint })
    if (bytes.equals(Buffer.from(bundleReferrer(subject, again, verified.statement.predicateType, epoch).text))) return again
  }
  return undefined
}

function keptSignature(found: Pick<Found, 'signature'>, payload: string, key: SigningKey): string | undefined {
  for (const { descriptor, bytes } of found.signature?.layers ?? []) {
    const signature = descriptor.annotations?.['dev.cosignproject.cosign/signature']
    if (signature === undefined || bytes.toString('utf8') !== payload) continue
    const good = attempt(() => verifyBlob(bytes, Buffer.from(signature, 'base64'), [key.publicKey]))
    if (good !== undefined) return Buffer.from(signature, 'base64').toString('base64')
  }
  return undefined
}

/** What doesn't verify isn't ours to keep. */
function attempt<T>(verify: () => T): T | undefined {
  try {
    return verify()
  } catch {
    return undefined
  }
}

/** Blobs first: registries refuse a manifest whose blobs they don't know. */
async function push(store: ContentStore, carrier: Carrier): Promise<void> {
  for (const { descriptor, bytes } of carrier.blobs) await pushBytes(store, descriptor.mediaType, bytes)
  await pushBytes(store, carrier.descriptor.mediaType, carrier.text)
}
