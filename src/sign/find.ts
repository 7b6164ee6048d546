/** Finds what is attached to an image: referrers, and cosign 2's tags. Bounded; believes nothing but bytes with the right digest. */
import { z } from 'zod'
import type { ContentReader } from '../content/store.ts'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, isDigest } from '../oci/digest.ts'
import { isManifestType } from '../oci/mediatype.ts'
import { legacyTags } from './carriers.ts'
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
/** bytes */
const maxManifest = 4 * 1024 * 1024
const maxLayer = 96 * 1024 * 1024
const maxTogether = 512 * 1024 * 1024

const DigestText = z.custom<Digest>((value) => typeof value === 'string' && isDigest(value), 'a sha256 digest')
const Blob = z.object({
  mediaType: z.string().max(256),
  digest: DigestText,
  size: z.int().nonnegative(),
  annotations: z.record(z.string(), z.string()).optional(),
})
const Manifest = z.object({
  schemaVersion: z.literal(2),
  artifactType: z.string().max(256).optional(),
  layers: z.array(Blob).max(maxLayers),
  subject: z.object({ digest: DigestText }).optional(),
})

/** Throws RFO_SIGN_* (exit untrusted) for what can't be an attachment, and what the store throws for damaged bytes. */
export async function findAttached(subject: Descriptor, from: ContentReader, signal?: AbortSignal): Promise<Found> {
  const budget = { left: maxTogether }
  const tags = legacyTags(subject.digest)
  const listed = await from.referrers(subject)
  if (listed.length > maxReferrers) throw refused('RFO_SIGN_BOUND', `more than ${maxReferrers} referrers of ${subject.digest}`)
  const referrers: AttachedManifest[] = []
  const seen = new Set<string>()
  for (const descriptor of [...listed].sort((a, b) => (a.digest < b.digest ? -1 : 1))) {
    if (seen.has(descriptor.digest)) continue
    seen.add(descriptor.digest)
    referrers.push(await open(descriptor, from, budget, subject.digest, signal))
  }
  const [signature, attestation] = [await from.resolve(tags.signature), await from.resolve(tags.attestation)]
  return {
    referrers,
    ...(signature === undefined ? {} : { signature: await open(signature, from, budget, undefined, signal) }),
    ...(attestation === undefined ? {} : { attestation: await open(attestation, from, budget, undefined, signal) }),
  }
}

async function open(
  descriptor: Descriptor,
  from: ContentReader,
  budget: { left: number },
  subject: Digest | undefined,
  signal: AbortSignal | undefined,
): Promise<AttachedManifest> {
  if (!isManifestType(descriptor.mediaType)) {
    throw refused('RFO_SIGN_FORM', `${descriptor.digest} is attached, but is no image manifest`)
  }
  const bytes = await read(descriptor, from, maxManifest, budget, signal)
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw refused('RFO_SIGN_FORM', `the manifest ${descriptor.digest} is not JSON`, cause)
  }
  const parsed = Manifest.safeParse(value)
  if (!parsed.success) throw refused('RFO_SIGN_FORM', `${descriptor.digest} is not a manifest that carries signatures`)
  const { layers, artifactType, subject: named } = parsed.data
  // a registry's list is a claim: the manifest itself must name the image
  if (subject !== undefined && named?.digest !== subject) {
    throw refused('RFO_SIGN_SUBJECT', `${descriptor.digest} is listed as a referrer of ${subject}, but names another subject`)
  }
  const opened: { descriptor: Descriptor; bytes: Buffer }[] = []
  for (const layer of layers) {
    const { annotations, ...rest } = layer
    const found: Descriptor = annotations === undefined ? rest : { ...rest, annotations }
    opened.push({ descriptor: found, bytes: await read(found, from, maxLayer, budget, signal) })
  }
  return { descriptor, bytes, layers: opened, ...(artifactType === undefined ? {} : { artifactType }) }
}

async function read(
  descriptor: Descriptor,
  from: ContentReader,
  max: number,
  budget: { left: number },
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  budget.left -= descriptor.size
  if (descriptor.size > max || budget.left < 0) {
    throw new RfoError('RFO_SIGN_BOUND', `${descriptor.digest} (${descriptor.size} bytes) is more than signatures need`, {
      exit: 'untrusted',
    })
  }
  const chunks: Uint8Array[] = []
  for await (const chunk of from.fetch(descriptor, signal)) chunks.push(chunk)
  return Buffer.concat(chunks)
}
