/**
 * Bytes of a file, none of them passed on unchecked as a whole. A whole file is hashed while it passes, and its last bytes are
 * held back until its digest holds. A range can't be held against the digest of the whole: the file is read once from end to
 * end, the digest of each of its pieces is kept, and every piece of every range is held against that.
 */
import { createHash } from 'node:crypto'
import { mismatch, verified } from '../content/body.ts'
import type { Range } from '../content/file.ts'
import { pieces } from '../content/gzip.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import type { Offer, OfferedFile } from './offer.ts'

/** bytes; what a reader holds in memory, and what 32 bytes are kept of: 1.3 MB for 10 GB */
export const pieceBytes = 256 * 1024
const digestBytes = 32

export interface Checked {
  read(file: OfferedFile, range?: Range): AsyncIterable<Uint8Array>
}

export function checkedReader({ open }: Pick<Offer, 'open'>): Checked {
  /** by digest; each entry the digests of the pieces, one after another */
  const known = new Map<string, Promise<Buffer>>()
  const piecesOf = (file: OfferedFile): Promise<Buffer> => {
    const found = known.get(file.digest)
    if (found !== undefined) return found
    const made = hashPieces(verified(descriptorOf(file), open(file)), file.size)
    known.set(file.digest, made)
    made.catch(() => known.delete(file.digest))
    return made
  }
  return {
    read(file, range) {
      if (range === undefined) return verified(descriptorOf(file), open(file))
      return readRange(file, range, open, piecesOf)
    },
  }
}

async function* readRange(
  file: OfferedFile,
  { start, end }: Range,
  open: Offer['open'],
  piecesOf: (file: OfferedFile) => Promise<Buffer>,
): AsyncGenerator<Uint8Array, void, void> {
  const digests = await piecesOf(file)
  const from = start - (start % pieceBytes)
  const to = Math.min(file.size, Math.ceil(end / pieceBytes) * pieceBytes)
  let at = from
  for await (const piece of pieces(open(file, { start: from, end: to }), pieceBytes)) {
    const number = at / pieceBytes
    const wanted = digests.subarray(number * digestBytes, (number + 1) * digestBytes)
    if (!createHash('sha256').update(piece).digest().equals(wanted)) throw mismatch(descriptorOf(file), `other bytes from ${at} on`)
    yield piece.subarray(Math.max(0, start - at), Math.min(piece.length, end - at))
    at += piece.length
  }
  if (at < to) throw mismatch(descriptorOf(file), `it ends after ${at} bytes`)
}

async function hashPieces(body: AsyncIterable<Uint8Array>, size: number): Promise<Buffer> {
  const digests = Buffer.alloc(Math.ceil(size / pieceBytes) * digestBytes)
  let number = 0
  for await (const piece of pieces(body, pieceBytes))
    createHash('sha256')
      .update(piece)
      .digest()
      .copy(digests, number++ * digestBytes)
  return digests
}

function descriptorOf({ digest, size }: OfferedFile): Descriptor {
  return { mediaType: mediaTypes.octets, digest, size }
}
