/**
 * The manifests that carry signatures beside an image. Each is a pure function of what it carries, so that a verifier
 * can build it again from what it has verified and compare the bytes: they are in no list.
 */
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { annotationKeys, mediaTypes } from '../oci/mediatype.ts'
import { envelopeText } from './bundle.ts'

export interface Carrier {
  /** of the manifest */
  readonly descriptor: Descriptor
  /** of the manifest: canonical JSON */
  readonly text: string
  /** config and layers, to be pushed before the manifest */
  readonly blobs: readonly { readonly descriptor: Descriptor; readonly bytes: Buffer }[]
}

/** The referrer manifest around one bundle; `epoch` in seconds. https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md */
export function bundleReferrer(subject: Descriptor, bundle: string, predicateType: string, epoch: number): Carrier {
  const config = blob(mediaTypes.empty, '{}')
  const layer = blob(mediaTypes.sigstoreBundle, bundle)
  const made = manifest([config, layer], {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    artifactType: mediaTypes.sigstoreBundle,
    config: plain(config.descriptor),
    layers: [plain(layer.descriptor)],
    subject: plain(subject),
    annotations: {
      'dev.sigstore.bundle.content': 'dsse-envelope',
      'dev.sigstore.bundle.predicateType': predicateType,
      [annotationKeys.created]: instant(epoch),
    },
  })
  return { ...made, descriptor: { ...made.descriptor, artifactType: mediaTypes.sigstoreBundle } }
}

/** The payload of a `.sig`; members in cosign's order, which is the sorted one. */
export function simpleSigningPayload(repository: string, digest: Digest): string {
  return canonicalJson({
    critical: {
      identity: { 'docker-reference': repository },
      image: { 'docker-manifest-digest': digest },
      type: 'cosign container image signature',
    },
    optional: null,
  })
}

/** cosign 2's `.sig`: one layer, its signature in an annotation. */
export function legacySignatureManifest(payload: string, signatureB64: string): Carrier {
  return legacyManifest([
    { ...blob(mediaTypes.simpleSigning, payload), annotations: { 'dev.cosignproject.cosign/signature': signatureB64 } },
  ])
}

export interface Attested {
  readonly payload: Uint8Array
  /** DER */
  readonly signature: Uint8Array
  readonly predicateType: string
}

/** cosign 2's `.att`: one layer per statement, with the same signatures as the bundles; sorted by type, then payload. */
export function legacyAttestationManifest(attested: readonly Attested[]): Carrier {
  const sorted = attested
    .map((one) => ({ ...one, sortKey: `${one.predicateType}\n${digestOf(one.payload)}` }))
    .sort((a, b) => (a.sortKey < b.sortKey ? -1 : a.sortKey > b.sortKey ? 1 : 0))
  return legacyManifest(
    sorted.map((one) => ({
      ...blob(mediaTypes.dsseEnvelope, envelopeText(one)),
      annotations: { 'dev.cosignproject.cosign/signature': '', predicateType: one.predicateType },
    })),
  )
}

type Layer = Blob & { readonly annotations: Readonly<Record<string, string>> }

/** cosign's own shape: an image whose layers are the signatures and whose config says the zero time, whatever the clock. */
function legacyManifest(layers: readonly Layer[]): Carrier {
  const zero = '0001-01-01T00:00:00Z'
  const config = blob(
    mediaTypes.config,
    canonicalJson({
      architecture: '',
      config: {},
      created: zero,
      history: layers.map(() => ({ created: zero })),
      os: '',
      rootfs: { type: 'layers', diff_ids: layers.map((layer) => layer.descriptor.digest) },
    }),
  )
  return manifest([config, ...layers], {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: plain(config.descriptor),
    layers: layers.map((layer) => ({ ...plain(layer.descriptor), annotations: layer.annotations })),
  })
}

interface Blob {
  readonly descriptor: Descriptor
  readonly bytes: Buffer
}

function blob(mediaType: string, text: string): Blob {
  const bytes = Buffer.from(text, 'utf8')
  return { descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length }, bytes }
}

function manifest(blobs: readonly Blob[], value: Json): Carrier {
  const text = canonicalJson(value)
  const made = blob(mediaTypes.manifest, text)
  return { descriptor: made.descriptor, text, blobs: blobs.map(({ descriptor, bytes }) => ({ descriptor, bytes })) }
}

/** Without platform and annotations: the same subject is the same text wherever its descriptor was found. */
function plain(descriptor: Descriptor): { mediaType: string; digest: Digest; size: number } {
  return { mediaType: descriptor.mediaType, digest: descriptor.digest, size: descriptor.size }
}

/** RFC 3339 in whole seconds, as cosign writes it. */
function instant(epoch: number): string {
  if (!Number.isSafeInteger(epoch) || epoch < 0 || epoch > 253_402_300_799) {
    throw new RfoError('RFO_SIGN_EPOCH', `not a time in seconds: ${epoch}`, { exit: 'bug' })
  }
  return new Date(epoch * 1000).toISOString().replace('.000Z', 'Z')
}
