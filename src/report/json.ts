/** For programs: one event a line (NDJSON), each naming its schema. docs/schema/event.schema.json describes them. */
import { flush } from './flush.ts'
import type { Renderer, RendererOptions } from './renderer.ts'

export const eventSchemaName = 'rfo-build.event/1'

export function jsonRenderer({ stderr }: Pick<RendererOptions, 'stderr'>): Renderer {
  return {
    listener: (event) => {
      stderr.write(`${JSON.stringify({ schema: eventSchemaName, ...event })}\n`)
    },
    end: () => flush(stderr),
  }
}
