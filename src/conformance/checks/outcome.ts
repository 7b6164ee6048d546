/** What came of the checks, as the results hold it and as they are counted. */
import { z } from 'zod'
import type { Json } from '../../oci/json.ts'
import { printableName } from '../printable.ts'
import { refused } from '../refusal.ts'
import type { Counted } from '../statement.ts'
import { eachFile } from '../tarball.ts'

const text = z.string().max(16_384)
/** Whatever was seen is told on, never read. */
const Value: z.ZodType<Json> = z.json()
const Outcome = z.discriminatedUnion('result', [
  z.strictObject({ result: z.literal('passed'), seen: z.record(text, Value) }),
  z.strictObject({ result: z.literal('failed'), why: text, excerpt: z.array(text).max(100) }),
  z.strictObject({ result: z.literal('not proven'), why: text }),
])
const Outcomes = z.record(z.string().regex(/^[a-z][a-z0-9-]{0,63}$/), Outcome)

export type Outcome = z.infer<typeof Outcome>
/** name of a check → what came of it */
export type Outcomes = z.infer<typeof Outcomes>

export const outcomesFile = 'checks.json'
const versionFile = 'serverversion.json'
const ServerVersion = z.object({ gitVersion: text, platform: text })
/** bytes */
const largest = 4 * 1024 * 1024

export interface CheckResults {
  readonly outcomes: Outcomes
  readonly kubernetes: { readonly version: string; readonly platform: string }
}

/** Throws RFO_CONFORMANCE_RESULTS (untrusted). */
export async function readCheckResults(tarball: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<CheckResults> {
  const found = new Map<string, unknown>()
  const take = async (path: string, body: AsyncIterable<Uint8Array>): Promise<void> => {
    if (path !== outcomesFile && path !== versionFile) return
    if (found.has(path)) throw refused(`${path} twice`)
    found.set(path, parsed(path, await whole(path, body)))
  }
  await eachFile(tarball, take, signal)
  const outcomes = Outcomes.safeParse(found.get(outcomesFile))
  const server = ServerVersion.safeParse(found.get(versionFile))
  if (!outcomes.success || !server.success) throw refused(`no ${outcomes.success ? versionFile : outcomesFile}, or of another form`)
  return { outcomes: outcomes.data, kubernetes: { version: server.data.gitVersion, platform: server.data.platform } }
}

async function whole(path: string, body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > largest) throw refused(`${path} is larger than ${largest} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parsed(path: string, json: string): unknown {
  try {
    return JSON.parse(json)
  } catch (cause) {
    throw refused(`${path} is not JSON`, cause)
  }
}

/** Checks that ran and held, that ran and did not, and that could not run there. */
export function countChecks({ outcomes, kubernetes }: CheckResults): Counted {
  const entries = Object.entries(outcomes).sort(([a], [b]) => (a < b ? -1 : 1))
  const named = (result: Outcome['result']): string[] => entries.flatMap(([name, one]) => (one.result === result ? [name] : []))
  const failed = named('failed')
  const why = entries.flatMap(([name, one]) => (one.result === 'failed' ? [`${name}: ${printableName(one.why)}`] : []))
  const notProven = entries.flatMap(([name, one]) => (one.result === 'not proven' ? [[name, printableName(one.why)] as const] : []))
  const passed = named('passed')
  return {
    kind: 'checks',
    result: failed.length === 0 ? 'PASSED' : 'FAILED',
    passed,
    warned: [],
    failed,
    notProven: Object.fromEntries(notProven),
    facts: {
      kubernetes: printableName(kubernetes.version),
      counts: { ran: passed.length + failed.length, passed: passed.length, failed: failed.length, notProven: notProven.length },
      why,
    },
  }
}
