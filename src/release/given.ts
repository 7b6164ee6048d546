import type { Descriptor } from '../oci/descriptor.ts'

/** An input of a task: the engine gives every need, so an absent one is a bug of the caller's spelling. */
export function given(descriptor: Descriptor | undefined): Descriptor {
  if (descriptor === undefined) throw new Error('the engine gives every need')
  return descriptor
}
