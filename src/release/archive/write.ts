/** Makes a release archive out of a release folder, in one pass that verifies every byte. */
import { dirname } from 'node:path'
import type { ReleasePredicate } from '../../attest/release.ts'
import { removeLeftovers, writeFileOnce } from '../../content/atomic.ts'
import { createDigester, type Digest } from '../../oci/digest.ts'
import { blockSize, padding } from '../../oci/tar-header.ts'
import { groupArchiveAgain, groupFileOf } from '../group-archive.ts'
import { blobsOf, type ReleaseFile, type ReleaseFiles } from '../shelf.ts'
import { type ArchivedFile, type ArchiveIndex, entryHeader, indexBytes, indexName, ordered, places } from './form.ts'
import { chosenFiles, type Selection } from './selection.ts'

export interface WrittenArchive {
  readonly file: string
  readonly digest: Digest
  /** bytes */
  readonly size: number
}

/** What the archive will hold. A group archive that this machine can't make again, byte for byte, is stored as it lies. */
export async function archiveIndex(
  from: ReleaseFiles,
  predicate: ReleasePredicate,
  selection: Selection,
  signal?: AbortSignal,
): Promise<ArchiveIndex> {
  const chosen = await chosenFiles(from, predicate, selection)
  const whole = Object.keys(selection).length === 0
  const files: ArchivedFile[] = []
  for (const { path, size, digest } of chosen) {
    signal?.throwIfAborted()
    const made = groupFileOf(path)?.kind === 'tar.zst' && (await isMadeAgain({ path, size, digest }, predicate, from))
    files.push({ path, size, digest, ...(made ? { made } : {}) })
  }
  return { version: predicate.version, epoch: predicate.epoch, ...(whole ? {} : { selection }), files: ordered(files) }
}

async function isMadeAgain({ path, size, digest }: ReleaseFile, predicate: ReleasePredicate, from: ReleaseFiles): Promise<boolean> {
  const digester = createDigester()
  let total = 0
  for await (const bytes of groupArchiveAgain(path, predicate, blobsOf(from))) {
    digester.update(bytes)
    total += bytes.length
  }
  return total === size && digester.finish() === digest
}

/** There whole or not at all. The same files give the same bytes. */
export async function writeArchive(index: ArchiveIndex, from: ReleaseFiles, file: string, signal?: AbortSignal): Promise<WrittenArchive> {
  await removeLeftovers(dirname(file))
  const digester = createDigester()
  let size = 0
  const counted = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const bytes of tarBytes(index, from)) {
      signal?.throwIfAborted()
      digester.update(bytes)
      size += bytes.length
      yield bytes
    }
    if (size !== places(index).total) throw new Error('an archive is as long as its index says')
  }
  await writeFileOnce(dirname(file), counted(), () => file)
  return { file, digest: digester.finish(), size }
}

async function* tarBytes(index: ArchiveIndex, from: ReleaseFiles): AsyncGenerator<Uint8Array, void, undefined> {
  const head = indexBytes(index)
  yield entryHeader(indexName, head.length, index.epoch)
  yield head
  yield Buffer.alloc(padding(head.length))
  for (const file of index.files) {
    if (file.made === true) continue
    yield entryHeader(file.path, file.size, index.epoch)
    yield* from.open(file)
    yield Buffer.alloc(padding(file.size))
  }
  // "two 512-octet blocks filled with binary zeros" end the archive
  yield Buffer.alloc(2 * blockSize)
}
