/**
 * The root of a release: an OCI index over every image index and every file that carries no signature. Its digest is
 * what two machines that made the same release agree on.
 */

import { type Digest, digestOf } from '../oci/digest.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { annotationKeys, mediaTypes } from '../oci/mediatype.ts'
import { isChecksumList, isKeyFile, isRepositoryList } from './signed-paths.ts'

export interface RootedImage {
  readonly reference: string
  readonly digest: Digest
  /** bytes of the index */
  readonly size: number
}

export interface RootedFile {
  readonly path: string
  readonly digest: Digest
  readonly size: number
  /** of a file with a signature inside: what of it no signature changes stands in the root instead */
  readonly unsigned?: { readonly digest: Digest; readonly size: number } | undefined
}

export const releaseArtifactType = 'application/vnd.rfo.release.v1'

/** https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md; images by reference, then files by path. */
export function rootIndex(version: string, images: readonly RootedImage[], files: readonly RootedFile[]): Json {
  return {
    schemaVersion: 2,
    mediaType: mediaTypes.index,
    artifactType: releaseArtifactType,
    manifests: [
      ...[...images].sort(by((image) => image.reference)).map((image) => ({
        mediaType: mediaTypes.index,
        digest: image.digest,
        size: image.size,
        annotations: { [annotationKeys.refName]: image.reference },
      })),
      ...[...files].sort(by((file) => file.path)).map((file) => ({
        mediaType: mediaTypes.octets,
        digest: file.unsigned?.digest ?? file.digest,
        size: file.unsigned?.size ?? file.size,
        annotations: { [annotationKeys.title]: file.path },
      })),
    ],
    annotations: { [annotationKeys.version]: version },
  }
}

export function rootBytes(index: Json): string {
  return canonicalJson(index)
}

export function rootDigest(index: Json): Digest {
  return digestOf(rootBytes(index))
}

/** Orders by code unit, as canonical JSON does; never by locale. */
export function by<T>(key: (value: T) => string): (a: T, b: T) => number {
  return (a, b) => {
    const x = key(a)
    const y = key(b)
    return x < y ? -1 : x > y ? 1 : 0
  }
}

/**
 * Files that the root leaves out although the statement lists them: who signed, not what was made, and what follows from other
 * files once they are signed. `verify` makes lists of checksums again, and holds a repository's lists against its repomd.xml.
 */
export function isRooted(path: string): boolean {
  return !isKeyFile(path) && !isChecksumList(path) && !isRepositoryList(path)
}
