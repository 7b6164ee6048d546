/**
 * Content stores: places where content-addressed bytes live (memory, working directory, OCI layout, registry).
 * A backend implements these few methods; everything else (copyGraph, reading JSON, results) is derived once.
 */
import type { Descriptor } from '../oci/descriptor.ts'

export interface ContentReader {
  /** Streams the bytes; throws RFO_CONTENT_DIGEST when size or digest differ, RFO_CONTENT_ABSENT when there is nothing. */
  fetch(target: Descriptor, signal?: AbortSignal): AsyncIterable<Uint8Array>
  exists(target: Descriptor): Promise<boolean>
  /** What a tag (or digest) names; undefined = no such reference. */
  resolve(reference: string): Promise<Descriptor | undefined>
  /** Manifests whose `subject` is this one: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers */
  referrers(subject: Descriptor, artifactType?: string): Promise<readonly Descriptor[]>
}

export interface ContentStore extends ContentReader {
  /** Takes the bytes in one pass, verifying while they stream; already there = success, and the body is not read. */
  push(expected: Descriptor, body: AsyncIterable<Uint8Array>): Promise<void>
  tag(target: Descriptor, reference: string): Promise<void>
}
