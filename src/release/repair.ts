/**
 * Blobs of the working store share their bytes with the release folder (hard links). Whoever changed a file there
 * changed the store: such blobs are dropped before a run, and the tasks that made them run again.
 */
import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { digestOfFile } from '../content/file.ts'
import { type Digest, parseDigest } from '../oci/digest.ts'
import type { WorkingStore } from './ports.ts'

/** Gives the digests that were dropped. */
export async function dropChangedBlobs(folder: string, paths: readonly string[], store: WorkingStore): Promise<Digest[]> {
  const dropped: Digest[] = []
  for (const path of paths) {
    const name = /^oci\/blobs\/sha256\/([0-9a-f]{64})$/.exec(path)?.[1]
    if (name === undefined) continue
    const digest = parseDigest(`sha256:${name}`)
    const blob = store.blobPath(digest)
    if (!(await sameFile(join(folder, path), blob)) || (await digestOfFile(blob)) === digest) continue
    await rm(blob, { force: true })
    dropped.push(digest)
  }
  return dropped
}

async function sameFile(a: string, b: string): Promise<boolean> {
  try {
    const [x, y] = await Promise.all([stat(a), stat(b)])
    return x.ino === y.ino && x.dev === y.dev
  } catch {
    return false
  }
}
