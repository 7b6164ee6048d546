/** A release archive as a place to judge: each file where it lies, group archives as they are made again. Nothing is unpacked. */
import { createHash } from 'node:crypto'
import { gather } from '../../content/body.ts'
import type { Extent } from '../../content/file.ts'
import { layoutReader, maxLayoutIndexBytes } from '../../content/layout.ts'
import { RfoError } from '../../error.ts'
import { createDigester, type Digest } from '../../oci/digest.ts'
import { parseIndex } from '../../oci/manifest.ts'
import { blobDigest, blobsOf } from '../shelf.ts'
import { untrusted } from '../verify/finding.ts'
import { hashFiles, type ToHash } from '../verify/hash.ts'
import type { ReleasePlace } from '../verify/place.ts'
import type { Hashed } from '../verify/tree.ts'
import type { ArchivedFile } from './form.ts'
import type { OpenArchive } from './open.ts'

/** The archive is open for as long as the place is used. Of a part nothing can be said as a whole: RFO_ARCHIVE_PART (unfinished). */
export function archivePlace(archive: OpenArchive): ReleasePlace {
  const { where, index } = archive
  if (index.selection !== undefined)
    throw new RfoError('RFO_ARCHIVE_PART', 'a part of a release, and the statement is about all of it', {
      exit: 'unfinished',
      where,
      next: `rfo-build materialize ${where} -o <folder>, or take the whole archive`,
    })
  const files = new Map(archive.files.map((file) => [file.path, file]))
  const extents = new Map<string, Extent>()
  const wanted = (path: string): ArchivedFile => {
    const file = files.get(path)
    if (file === undefined) throw untrusted('RFO_VERIFY_MISSING', 'not in the archive', path)
    return file
  }
  const extent = (path: string): Extent => {
    const found = extents.get(path)
    if (found === undefined) throw new Error(`${path} has not been hashed`)
    return found
  }
  return {
    where,
    tree: async () => ({ files: [...files.keys()].sort(), findings: [] }),
    async small(path, maxBytes) {
      const file = files.get(path)
      if (file === undefined) return undefined
      if (file.size > maxBytes)
        throw untrusted('RFO_VERIFY_SIZE', `${file.size} bytes, more than the ${maxBytes} that such a file may have`, path)
      return await gather(archive.open(file))
    },
    async hash(asked) {
      const stored: ToHash[] = []
      const found = new Map<string, Hashed>()
      for (const each of asked) {
        const file = wanted(each.path)
        if (file.made === true) continue
        extents.set(each.path, await archive.extent(file))
        stored.push({ ...each, size: file.size })
      }
      for (const [path, hashed] of await hashFiles(extent, stored)) found.set(path, heldAgainst(wanted(path), hashed))
      for (const { path, sm3 } of asked) if (!found.has(path)) found.set(path, await hashMade(archive, wanted(path), sm3))
      return found
    },
    stream: (path) => archive.open(wanted(path)),
    extent,
    async layout() {
      const bytes = await this.small('oci/index.json', maxLayoutIndexBytes)
      const entries = bytes === undefined ? [] : parseIndex(bytes, maxLayoutIndexBytes).manifests
      const blobs = new Map(archive.files.flatMap((file) => (blobDigest(file.path) === undefined ? [] : [[file.digest, file] as const])))
      const { fetch, exists } = blobsOf(archive)
      const size = async (digest: Digest): Promise<number | undefined> => blobs.get(digest)?.size
      return layoutReader({ read: fetch, has: exists, size }, async () => entries)
    },
  }
}

/** What the index says must be so too: `serve` and `materialize` hold every byte against it. */
function heldAgainst({ digest, size }: ArchivedFile, hashed: Hashed): Hashed {
  return hashed.digest === digest && hashed.size === size ? hashed : { ...hashed, listed: digest }
}

/** Of what can't be made of damaged blobs, the bytes until then: others than were signed, and the blob is told, too. */
async function hashMade(archive: OpenArchive, file: ArchivedFile, sm3: boolean): Promise<Hashed> {
  const digester = createDigester()
  const other = sm3 ? createHash('sm3') : undefined
  let size = 0
  try {
    for await (const bytes of archive.open(file)) {
      digester.update(bytes)
      other?.update(bytes)
      size += bytes.length
    }
  } catch (thrown) {
    if (!(thrown instanceof RfoError) || thrown.exit !== 'untrusted') throw thrown
  }
  return heldAgainst(file, { digest: digester.finish(), sm3: other?.digest('hex'), size })
}
