/** The release tarball's files as contents of their own: what packages are made from is what ships. */
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { extract } from 'tar-stream'
import type { ContentStore } from '../content/store.ts'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { mediaTypes } from '../oci/mediatype.ts'

/** A file of the tarball, as whoever packed it knows it. */
export interface BundledFile {
  readonly path: string
  readonly digest: Digest
  /** bytes */
  readonly size: number
}

/**
 * Pushes each file and gives them by path. The tarball must hold exactly `files`; anything else throws RFO_RPM_BUNDLE. Constant
 * memory, and what is in the store already is not written again.
 */
export async function unpackBundle(
  tarball: Descriptor,
  files: readonly BundledFile[],
  store: ContentStore,
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, { readonly content: Descriptor }>> {
  const expected = new Map(files.map((file) => [file.path, file]))
  const found = new Map<string, { readonly content: Descriptor }>()
  const entries = extract()
  const take = async (): Promise<void> => {
    for await (const entry of entries) {
      const { name, type } = entry.header
      const file = expected.get(name)
      if (file === undefined || type !== 'file' || found.has(name)) throw wrong(tarball, `has ${JSON.stringify(name.slice(0, 200))}`)
      const content: Descriptor = { mediaType: mediaTypes.octets, digest: file.digest, size: file.size }
      await store.push(content, entry as AsyncIterable<Uint8Array>)
      found.set(name, { content })
      // a store that has it already does not read it
      entry.resume()
    }
  }
  await Promise.all([pipeline(Readable.from(store.fetch(tarball, signal)), createGunzip(), entries), take()])
  const missing = files.find((file) => !found.has(file.path))
  if (missing !== undefined) throw wrong(tarball, `has no ${missing.path}`)
  return found
}

function wrong(tarball: Descriptor, what: string): RfoError {
  return new RfoError('RFO_RPM_BUNDLE', `the release tarball ${tarball.digest} ${what}`, { exit: 'untrusted' })
}
