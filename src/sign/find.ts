/** Finds what is attached to an image: referrers, and cosign 2's tags. Bounded; believes nothing but bytes with the right digest. */
import { readBytes } from '../content/read.ts'
import type { ContentReader } from '../content/store.ts'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { legacyTags } from '../oci/legacy-tags.ts'
import { maxManifestBytes, parseManifest } from '../oci/manifest.ts'
import { isManifestType, mediaTypes } from '../oci/mediatype.ts'
import { refused } from './refusal.ts'

export interface AttachedManifest {
  readonly descriptor: Descriptor
  readonly bytes: Buffer
  readonly artifactType?: string
  readonly layers: readonly { readonly descriptor: Descriptor; readonly bytes: Buffer }[]
}

export interface Found {
  /** manifests whose subject is the image, sorted by digest */
  readonly referrers: readonly AttachedManifest[]
  /** the tag `sha256-<hex>.sig` */
  readonly signature?: AttachedManifest
  /** the tag `sha256-<hex>.att` */
  readonly attestation?: AttachedManifest
}

const maxReferrers = 1000
const maxLayers = 1000
/** bytes; an SBOM in base64 is the largest */
const maxLayer = 96 * 1024 * 1024
const maxTogether = 512 * 1024 * 1024

/** What is being read, and how many bytes may still come. */
interface Reading {
  readonly from: ContentReader
  readonly signal: AbortSignal | undefined
  left: number
}

/** Throws RFO_SIGN_* (exit untrusted) for what can't be an attachment, and what the store throws for damaged bytes. */
export async function findAttached(subject: Descriptor, from: ContentReader, signal?: AbortSignal): Promise<Found> {
  const reading: Reading = { from, signal, left: maxTogether }
  const descriptors = await listed(subject, from)
  if (descriptors.length > maxReferrers) throw refused('RFO_SIGN_BOUND', `more than ${maxReferrers} referrers of ${subject.digest}`)
  const referrers: AttachedManifest[] = []
  for (const descriptor of descriptors) referrers.push(await open(descriptor, reading, subject.digest))
  const tags = legacyTags(subject.digest)
  const signature = await from.resolve(tags.signature)
  const attestation = await from.resolve(tags.attestation)
  return {
    referrers,
    ...(signature === undefined ? {} : { signature: await open(signature, reading) }),
    ...(attestation === undefined ? {} : { attestation: await open(attestation, reading) }),
  }
}

/** For the signer, whom strangers' attachments must not hinder: bundles and `.sig` as far as they can be read, the rest passed over. */
export async function findReadable(subject: Descriptor, from: ContentReader): Promise<Omit<Found, 'attestation'>> {
  const reading: Reading = { from, signal: undefined, left: maxTogether }
  const referrers: AttachedManifest[] = []
  for (const descriptor of (await listed(subject, from, mediaTypes.sigstoreBundle)).slice(0, maxReferrers)) {
    const found = await readable(() => open(descriptor, reading, subject.digest))
    if (found !== undefined) referrers.push(found)
  }
  const tagged = await from.resolve(legacyTags(subject.digest).signature)
  const signature = tagged === undefined ? undefined : await readable(() => open(tagged, reading))
  return { referrers, ...(signature === undefined ? {} : { signature }) }
}

async function readable<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read()
  } catch (thrown) {
    if (thrown instanceof RfoError && thrown.exit === 'untrusted') return undefined
    throw thrown // the network, the disk: not the attachment's fault
  }
}

async function listed(subject: Descriptor, from: ContentReader, artifactType?: string): Promise<Descriptor[]> {
  const byDigest = new Map((await from.referrers(subject, artifactType)).map((referrer) => [referrer.digest, referrer]))
  return [...byDigest.values()].sort((a, b) => (a.digest < b.digest ? -1 : 1))
}

async function open(descriptor: Descriptor, reading: Reading, subject?: Digest): Promise<AttachedManifest> {
  if (!isManifestType(descriptor.mediaType)) throw refused('RFO_SIGN_FORM', `${descriptor.digest} is attached, but is no image manifest`)
  const bytes = await read(descriptor, reading, maxManifestBytes)
  const manifest = parseManifest(bytes)
  // a registry's list is a claim: the manifest itself must name the image
  if (subject !== undefined && manifest.subject?.digest !== subject) {
    throw refused('RFO_SIGN_SUBJECT', `${descriptor.digest} is listed as a referrer of ${subject}, but names another subject`)
  }
  if (manifest.layers.length > maxLayers) throw refused('RFO_SIGN_BOUND', `${descriptor.digest} has more than ${maxLayers} layers`)
  const layers: { descriptor: Descriptor; bytes: Buffer }[] = []
  for (const layer of manifest.layers) layers.push({ descriptor: layer, bytes: await read(layer, reading, maxLayer) })
  return { descriptor, bytes, layers, ...(manifest.artifactType === undefined ? {} : { artifactType: manifest.artifactType }) }
}

async function read(descriptor: Descriptor, reading: Reading, max: number): Promise<Buffer> {
  reading.left -= descriptor.size
  if (descriptor.size > max || reading.left < 0) {
    throw refused('RFO_SIGN_BOUND', `${descriptor.digest} (${descriptor.size} bytes) is more than signatures need`)
  }
  return Buffer.from(await readBytes(reading.from, descriptor, max, reading.signal))
}
