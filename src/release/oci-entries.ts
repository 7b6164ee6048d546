/** What `oci/index.json` of a release lists, and what an image reaches: shared by laying out and by verifying. */
import { readBytes } from '../content/read.ts'
import type { ContentReader } from '../content/store.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { parseIndex, parseManifest } from '../oci/manifest.ts'
import { annotationKeys, isIndexType, isManifestType } from '../oci/mediatype.ts'
import type { Attached } from '../sign/attach.ts'

/** cosign reads layouts whose entries say what they are: signing facts of `cosign verify --local-image`. */
export const kindAnnotation = 'kind'
export const kinds = {
  index: 'dev.cosignproject.cosign/imageIndex',
  signature: 'dev.cosignproject.cosign/sigs',
  attestation: 'dev.cosignproject.cosign/atts',
} as const

/** What signing attached to one image or manifest, as entries of a layout: referrers, and cosign 2's tags. */
export function attachedEntries(attached: Pick<Attached, 'referrers' | 'tags'>): Descriptor[] {
  return [
    ...attached.referrers,
    ...attached.tags.map(({ reference, manifest }) => ({
      ...manifest,
      annotations: {
        [annotationKeys.refName]: reference,
        [kindAnnotation]: reference.endsWith('.sig') ? kinds.signature : kinds.attestation,
      },
    })),
  ]
}

/** The descriptor itself and everything below it, each once. */
export async function reachable(root: Descriptor, from: ContentReader): Promise<Descriptor[]> {
  const seen = new Map<Digest, Descriptor>()
  const visit = async (descriptor: Descriptor): Promise<void> => {
    if (seen.has(descriptor.digest)) return
    seen.set(descriptor.digest, descriptor)
    if (isIndexType(descriptor.mediaType)) {
      for (const child of parseIndex(await readBytes(from, descriptor)).manifests) await visit(child)
    } else if (isManifestType(descriptor.mediaType)) {
      const manifest = parseManifest(await readBytes(from, descriptor))
      await visit(manifest.config)
      for (const layer of manifest.layers) await visit(layer)
    }
  }
  await visit(root)
  return [...seen.values()]
}

/** Image indexes by reference, then everything attached (oras ignores referrers that index.json does not list). */
export async function layoutEntries(
  images: readonly { readonly reference: string; readonly index: Descriptor; readonly attached: Descriptor }[],
  charts: readonly Descriptor[],
  from: ContentReader,
): Promise<Descriptor[]> {
  const entries: Descriptor[] = [...charts]
  for (const image of images) {
    entries.push(entryOfImage(image.reference, image.index))
    for (const attached of parseIndex(await readBytes(from, image.attached)).manifests) entries.push(attached as Descriptor)
  }
  return [...new Map(entries.map((entry) => [`${entry.digest} ${entry.annotations?.[annotationKeys.refName] ?? ''}`, entry])).values()]
}

/** Without a host: who publishes a chart says where it goes, as to `helm push`. */
export function entryOfChart(reference: string, { mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size, annotations: { [annotationKeys.refName]: reference } }
}

export function entryOfImage(
  reference: string,
  index: { readonly mediaType: string; readonly digest: Digest; readonly size: number },
): Descriptor {
  return {
    mediaType: index.mediaType,
    digest: index.digest,
    size: index.size,
    annotations: { [annotationKeys.refName]: reference, [kindAnnotation]: kinds.index },
  }
}
