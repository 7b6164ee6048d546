import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, isDigest } from '../oci/digest.ts'
import { absent, bodyOf, bytesBody, gather, mismatch, verified } from './body.ts'
import { isGraphNode, listed, parseNode } from './referrer.ts'
import type { ContentStore } from './store.ts'

/** A store that lives as long as the process; for tests and small things. */
export function memoryStore(): ContentStore {
  const blobs = new Map<Digest, { readonly bytes: Uint8Array; readonly mediaType: string }>()
  const tags = new Map<string, Descriptor>()
  const referrers = new Map<Digest, Descriptor[]>()
  const has = (target: Descriptor): boolean => blobs.get(target.digest)?.bytes.length === target.size
  return {
    fetch(target, signal) {
      return bodyOf(async function* () {
        signal?.throwIfAborted()
        const found = blobs.get(target.digest)
        if (found === undefined) throw absent(target)
        if (found.bytes.length !== target.size) throw mismatch(target, `${found.bytes.length} bytes instead of ${target.size}`)
        yield* verified(target, bytesBody(found.bytes))
      })
    },
    async exists(target) {
      return has(target)
    },
    async resolve(reference) {
      if (!isDigest(reference)) return tags.get(reference)
      const found = blobs.get(reference)
      return found === undefined ? undefined : { mediaType: found.mediaType, digest: reference, size: found.bytes.length }
    },
    async referrers(subject, artifactType) {
      return listed(referrers.get(subject.digest) ?? [], artifactType)
    },
    async push(expected, body) {
      if (has(expected)) return
      const bytes = await gather(verified(expected, body))
      if (isGraphNode(expected.mediaType)) {
        const node = parseNode(expected, bytes)
        if (node.subject !== undefined) referrers.set(node.subject.digest, [...(referrers.get(node.subject.digest) ?? []), node.listed])
      }
      blobs.set(expected.digest, { bytes, mediaType: expected.mediaType })
    },
    async tag(target, reference) {
      if (!has(target)) throw absent(target)
      tags.set(reference, target)
    },
  }
}
