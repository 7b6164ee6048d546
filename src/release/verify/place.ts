/** Where a release lies that is judged: a folder, or what need not be unpacked. Nothing here is believed yet. */
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import type { Extent } from '../../content/file.ts'
import { openLayout } from '../../content/layout.ts'
import type { ContentReader } from '../../content/store.ts'
import { hashFiles, type ToHash } from './hash.ts'
import { type Hashed, readSmall, readTree, type Tree } from './tree.ts'

/** Paths are relative, with `/`. */
export interface ReleasePlace {
  /** for messages */
  readonly where: string
  tree(): Promise<Tree>
  /** A small file whole; undefined when it is absent. Throws RFO_VERIFY_SIZE (untrusted) for a larger one. */
  small(path: string, maxBytes: number): Promise<Buffer | undefined>
  /** What its bytes give, of each file that is there. */
  hash(files: readonly ToHash[]): Promise<Map<string, Hashed>>
  stream(path: string): AsyncIterable<Uint8Array>
  /** Where on a disk the bytes of a file lie that is neither made nor missing. */
  extent(path: string): Extent
  /** `oci/` */
  layout(): Promise<ContentReader>
}

export function folderPlace(folder: string): ReleasePlace {
  return {
    where: folder,
    tree: () => readTree(folder),
    small: (path, maxBytes) => readSmall(join(folder, path), maxBytes, path),
    hash: (files) => hashFiles(folder, files),
    stream: (path) => createReadStream(join(folder, path), { highWaterMark: 1 << 20 }),
    extent: (path) => ({ file: join(folder, path) }),
    layout: () => openLayout(join(folder, 'oci')),
  }
}

export function placeOf(release: string | ReleasePlace): ReleasePlace {
  return typeof release === 'string' ? folderPlace(release) : release
}
