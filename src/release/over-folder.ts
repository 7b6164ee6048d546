/** A working store that also knows the files of a folder, by digest: they are read where they lie, and linked from there. */
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { verified } from '../content/read.ts'
import type { Digest } from '../oci/digest.ts'
import type { WorkingStore } from './ports.ts'

export function overFolder(files: ReadonlyMap<Digest, string>, store: WorkingStore): WorkingStore {
  return {
    ...store,
    fetch(target, signal) {
      const path = files.get(target.digest)
      if (path === undefined) return store.fetch(target, signal)
      return verified(target, createReadStream(path, { highWaterMark: 1 << 20, ...(signal === undefined ? {} : { signal }) }))
    },
    async exists(target) {
      const path = files.get(target.digest)
      return path === undefined ? await store.exists(target) : (await stat(path)).size === target.size
    },
    blobPath: (digest) => files.get(digest) ?? store.blobPath(digest),
  }
}
