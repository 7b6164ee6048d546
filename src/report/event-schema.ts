/** The published shape of a line of `--progress json`; the compiler keeps it the engine's own union. */
import { z } from 'zod'
import type { Event } from '../graph/event.ts'
import { eventSchemaName } from './json.ts'

const at = z.int().nonnegative().describe('milliseconds since the run began')
const task = z.string().describe('the id of the task')
const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/)
const log = z.string().optional().describe("path of the task's log; made with its first line")
const count = z.int().nonnegative()
const line = <Kind extends Event['kind'], Shape extends z.ZodRawShape>(kind: Kind, shape: Shape) =>
  z.strictObject({ schema: z.literal(eventSchemaName), kind: z.literal(kind), ...shape, at })

export const eventSchema = z
  .discriminatedUnion('kind', [
    line('run-started', { tasks: count }),
    line('task-waiting', { task }),
    line('task-started', { task, log }),
    line('task-line', { task, line: z.string() }),
    line('task-cached', { task, digest }),
    line('task-done', { task, digest }),
    line('task-failed', { task, code: z.string(), message: z.string(), log }),
    line('task-skipped', { task, because: z.string().describe('the task that failed first, or "interrupted"') }),
    line('note', { message: z.string() }),
    line('run-ended', { done: count, cached: count, failed: count, skipped: count }),
  ])
  .describe('One line of the NDJSON that rfo-build writes to stderr with --progress json')

export type EventLine = z.infer<typeof eventSchema>

/** docs/schema/event.schema.json: JSON Schema draft 2020-12, ending in a newline. */
export function eventJsonSchema(): string {
  return `${JSON.stringify(z.toJSONSchema(eventSchema), null, 2)}\n`
}
