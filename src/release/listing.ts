/** What the `release` task gives: the root index, and every file of the release but for signatures and keys, in one index. */
import { createHash } from 'node:crypto'
import { readBytes } from '../content/read.ts'
import type { ContentReader } from '../content/store.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, parseDigest } from '../oci/digest.ts'
import { parseIndex } from '../oci/manifest.ts'
import { annotationKeys, mediaTypes } from '../oci/mediatype.ts'
import type { FileRecord } from './predicate.ts'
import type { RootedFile } from './root.ts'
import { bundlePrefix, unsignedDigest, unsignedSize } from './titled.ts'

/** SM3 costs three SHA-256 and the files are large: it is computed once, and travels with the listing. */
export const sm3Annotation = 'io.rfolabs.sm3'

/** A file as it lies. */
export interface ListedFile extends RootedFile {
  readonly unsigned?: { readonly digest: Digest; readonly size: number }
}

/** What the `release` task lists: the root index, and every file of the release but for signatures and trust. */
export async function readListing(
  listing: Descriptor,
  from: ContentReader,
): Promise<{ readonly root: Descriptor; readonly files: readonly FileRecord[] }> {
  const [root, ...entries] = parseIndex(await readBytes(from, listing)).manifests
  if (root === undefined) throw new Error('a listing begins with its root')
  const files = entries.flatMap((entry) => {
    const other = entry.annotations?.[sm3Annotation]
    if (other === undefined) throw new Error('a listing says the SM3 of every file')
    return fileOf(entry).map((file) => ({ ...file, sm3: other }))
  })
  return { root, files }
}

export async function titledFiles(index: Descriptor, from: ContentReader): Promise<ListedFile[]> {
  return parseIndex(await readBytes(from, index)).manifests.flatMap(fileOf)
}

/** An entry that is titled is a file; a bundle's own files are no files of the release. */
function fileOf({ digest, size, annotations }: Descriptor): ListedFile[] {
  const path = annotations?.[annotationKeys.title]
  if (path === undefined || path.startsWith(bundlePrefix)) return []
  const [unsigned, bytes] = [annotations?.[unsignedDigest], annotations?.[unsignedSize]]
  return [{ path, digest, size, ...(unsigned === undefined ? {} : { unsigned: { digest: parseDigest(unsigned), size: Number(bytes) } }) }]
}

/** SM3 (GB/T 32905) of a blob, streamed. */
export async function sm3(from: ContentReader, target: { readonly digest: Digest; readonly size: number }): Promise<string> {
  const hash = createHash('sm3')
  for await (const chunk of from.fetch({ mediaType: mediaTypes.octets, digest: target.digest, size: target.size })) hash.update(chunk)
  return hash.digest('hex')
}
