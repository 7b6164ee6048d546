/** What is served: the files of one release as they lie, and its images as a registry has them. Plain data and one way to read. */
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'

export interface OfferedFile {
  /** below the server's root, with `/` */
  readonly path: string
  /** bytes */
  readonly size: number
  /** what the bytes must be */
  readonly digest: Digest
}

/** Bytes `start` to `end`, the one at `end` not among them. */
export interface Range {
  readonly start: number
  readonly end: number
}

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
