/** Upstream's tags out of a recorded file: `{"schema":"rfo-build.upstream-tags/1","repository":"rancher/rke2","tags":[[name, commit, date]]}`. */
import { open } from 'node:fs/promises'
import { z } from 'zod'
import { RfoError } from '../error.ts'
import { dateForm, maxTags, type UpstreamState } from './track.ts'

const RecordedTags = z.strictObject({
  schema: z.literal('rfo-build.upstream-tags/1'),
  repository: z.string().describe('owner/name'),
  tags: z
    .array(
      z.tuple([
        z.string().min(1).describe('name of the tag'),
        z
          .string()
          .regex(/^[0-9a-f]{40}$/)
          .nullable()
          .describe('commit'),
        z.string().regex(dateForm).nullable().describe('of the commit'),
      ]),
    )
    .max(maxTags),
})

/** bytes; RKE2's 1,163 tags are 120 KiB */
const maxBytes = 16 * 1024 * 1024

/** Throws RFO_UPSTREAM_RECORDED (usage) for a file that is no recorded state. */
export function recordedState(file: string): UpstreamState {
  return {
    source: file,
    async tags(_, signal) {
      signal?.throwIfAborted()
      const { tags } = parse(await read(file), file)
      return tags.map(([name, commit, date]) => ({ name, ...(commit === null ? {} : { commit }), ...(date === null ? {} : { date }) }))
    },
  }
}

async function read(file: string): Promise<string> {
  const handle = await open(file, 'r').catch((cause: NodeJS.ErrnoException) => {
    throw complaint(file, `it can't be read: ${cause.code}`)
  })
  try {
    const buffer = Buffer.alloc(Math.min((await handle.stat()).size, maxBytes) + 1)
    let filled = 0
    for (;;) {
      const { bytesRead } = await handle.read(buffer, filled)
      filled += bytesRead
      if (bytesRead === 0 || filled === buffer.length) break
    }
    if (filled === buffer.length) throw complaint(file, `more than ${maxBytes} bytes, or it grows while it is read`)
    return buffer.toString('utf8', 0, filled)
  } finally {
    await handle.close()
  }
}

function parse(text: string, file: string): z.infer<typeof RecordedTags> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw complaint(file, 'no JSON')
  }
  const parsed = RecordedTags.safeParse(value)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw complaint(file, `${issue?.path.join('.') || 'the document'}: ${issue?.message}`)
}

function complaint(file: string, why: string): RfoError {
  return new RfoError('RFO_UPSTREAM_RECORDED', `not a recorded state of upstream: ${why}`, {
    exit: 'usage',
    where: file,
    next: 'give a file of the schema rfo-build.upstream-tags/1, or the folder of a clone',
  })
}
