/** What is served: the files of one release as they lie, and its images as a registry has them. Plain data and one way to read. */
import type { ContentFile, Range } from '../content/file.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'

/** Its path is below the server's root. */
export type OfferedFile = ContentFile

export interface Offer {
  readonly files: ReadonlyMap<string, OfferedFile>
  readonly blobs: ReadonlyMap<Digest, OfferedFile>
  /** Manifests and indexes, of whatever repository: one release is one body of content, and who may read it may read all of it. */
  readonly nodes: ReadonlyMap<Digest, Descriptor>
  /** repository → tag → manifest */
  readonly tags: ReadonlyMap<string, ReadonlyMap<string, Digest>>
  /** subject → what refers to it, as the referrers API lists it */
  readonly referrers: ReadonlyMap<Digest, readonly Descriptor[]>
  /** A range need not be checked by whoever gives it. */
  open(file: OfferedFile, range?: Range): AsyncIterable<Uint8Array>
}
