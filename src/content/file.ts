/** A file by its path, and a part of one: what is read and served without knowing where it lies. */
import type { Digest } from '../oci/digest.ts'

export interface ContentFile {
  /** relative, with `/` */
  readonly path: string
  /** bytes */
  readonly size: number
  /** what its bytes must give */
  readonly digest: Digest
}

/** Where bytes lie on a disk: in a file from `start` to `end`, the one at `end` not among them; without these, all of it. */
export interface Extent {
  /** absolute */
  readonly file: string
  readonly start?: number
  readonly end?: number
}

/** Bytes `start` to `end`, the one at `end` not among them. */
export interface Range {
  readonly start: number
  readonly end: number
}
