/** Files by their title in an index: how tasks give several. */
import { pushBytes, readBytes } from '../content/read.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { parseIndex } from '../oci/manifest.ts'
import { annotationKeys, mediaTypes } from '../oci/mediatype.ts'
import type { ReleasePorts } from './ports.ts'

/** A file of a bundle, for packages; no file of the release. */
export const bundlePrefix = 'bundle:'
/** Annotations of an RPM and of repomd.xml: what of it no signature changes. */
export const unsignedDigest = 'io.rfolabs.rpm.unsigned.digest'
export const unsignedSize = 'io.rfolabs.rpm.unsigned.size'

export async function pushTitled(
  ports: ReleasePorts,
  files: readonly (readonly [title: string, descriptor: Descriptor])[],
): Promise<Descriptor> {
  const manifests = files.map(([title, { mediaType, digest, size, annotations }]) => ({
    mediaType,
    digest,
    size,
    annotations: { ...annotations, [annotationKeys.title]: title },
  }))
  return await pushBytes(
    ports.store,
    mediaTypes.index,
    canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: manifests as unknown as Json }),
  )
}

/** Name in the release → content. */
export async function titledIn(index: Descriptor, { store }: Pick<ReleasePorts, 'store'>): Promise<ReadonlyMap<string, Descriptor>> {
  const entries = parseIndex(await readBytes(store, index)).manifests
  return new Map(entries.map((entry) => [entry.annotations?.[annotationKeys.title] ?? '', entry]))
}
