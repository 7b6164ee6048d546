/** What a manifest says of itself to those who list referrers, and what it reaches. Pure. */
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, hex } from '../oci/digest.ts'
import { parseIndex, parseManifest } from '../oci/manifest.ts'
import { isIndexType, isManifestType } from '../oci/mediatype.ts'

export function isGraphNode(mediaType: string): boolean {
  return isManifestType(mediaType) || isIndexType(mediaType)
}

export interface Node {
  /** config and layers, or manifests; not the subject */
  readonly children: readonly Descriptor[]
  readonly subject?: Descriptor
  /** As https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers wants it listed. */
  readonly listed: Descriptor
}

/** Layers that only their vendor may hand out: no registry holds them. https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#non-distributable-layers */
const elsewhere = /nondistributable|rootfs\.foreign/

/** Parses the bytes of a manifest or index by the media type of its descriptor. */
export function parseNode(target: Descriptor, bytes: Uint8Array): Node {
  const index = isIndexType(target.mediaType)
  const node = index ? parseIndex(bytes) : parseManifest(bytes)
  const children = 'manifests' in node ? node.manifests : [node.config, ...node.layers.filter((layer) => !elsewhere.test(layer.mediaType))]
  const artifactType = node.artifactType ?? ('config' in node ? node.config.mediaType : undefined)
  return {
    children,
    ...(node.subject === undefined ? {} : { subject: node.subject }),
    listed: {
      mediaType: target.mediaType,
      digest: target.digest,
      size: target.size,
      ...(artifactType === undefined ? {} : { artifactType }),
      ...(node.annotations === undefined ? {} : { annotations: node.annotations }),
    },
  }
}

/** Each digest once, by artifact type when one is asked for, in the order of the digests. */
export function listed(all: Iterable<Descriptor>, artifactType?: string): readonly Descriptor[] {
  const byDigest = new Map<Digest, Descriptor>()
  for (const each of all) if (artifactType === undefined || each.artifactType === artifactType) byDigest.set(each.digest, each)
  return [...byDigest.values()].sort((a, b) => (hex(a.digest) < hex(b.digest) ? -1 : 1))
}
