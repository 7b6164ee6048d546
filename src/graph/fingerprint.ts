/** What decides a task's result, as one digest: computed when the inputs are known, so an identical rebuild cuts off all after it. */
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import { canonicalJson } from '../oci/json.ts'
import type { Task } from './task.ts'

/** The three fields that are content. Annotations and platform are words about it, and not in a fingerprint. */
export function contentOf({ mediaType, digest, size }: Descriptor): { mediaType: string; digest: Digest; size: number } {
  return { mediaType, digest, size }
}

/** sha256 over the canonical JSON of the key and the inputs by name. The task's id is not in it: a renamed task keeps its result. */
export function fingerprint(task: Pick<Task, 'key'>, inputs: Readonly<Record<string, Descriptor>>): Digest {
  const contents = Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, contentOf(input)]))
  return digestOf(canonicalJson({ schema: 'rfo-build.task/1', key: task.key, inputs: contents }))
}
