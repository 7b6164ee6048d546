/** A file by its path, and a part of one: what is read and served without knowing where it lies. */
import { createReadStream } from 'node:fs'
import { createDigester, type Digest } from '../oci/digest.ts'

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

/** Of all bytes of a file, through a link too; constant memory. What is judged is hashed by `verify`, which follows no link. */
export async function digestOfFile(path: string, signal?: AbortSignal): Promise<Digest> {
  const digester = createDigester()
  const bytes = createReadStream(path, { highWaterMark: 1 << 20, ...(signal === undefined ? {} : { signal }) })
  for await (const chunk of bytes) digester.update(chunk as Buffer)
  return digester.finish()
}
