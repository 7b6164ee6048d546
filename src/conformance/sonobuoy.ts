/** What `sonobuoy retrieve` brings: https://sonobuoy.io/docs/v0.57.1/snapshot/ */
import { z } from 'zod'
import { type Junit, readJunit, type TestCase } from './junit.ts'
import { refused } from './refusal.ts'
import { eachFile } from './tarball.ts'

export interface SonobuoyRun {
  /** Every node of the suite, in the order of the report. Never empty files: at least one JUnit was there. */
  readonly cases: readonly TestCase[]
  /** Specs that focus and skip selected, as ginkgo announces it in e2e.log; null when it does not say. */
  readonly asked: number | null
  /** ginkgo's own word; null when it does not say. */
  readonly succeeded: boolean | null
  /** Such as `Interrupted by Timeout`; empty when there is none. */
  readonly reason: string
  readonly kubernetes: { readonly version: string; readonly platform: string } | null
  readonly sonobuoy: string | null
  /** As sonobuoy counts: it calls a run of zero specs `passed`. */
  readonly sonobuoyStatus: string | null
  readonly plugin: { readonly image: string; readonly focus: string; readonly skip: string } | null
}

export const resultsFolder = 'plugins/e2e/results/global/'
/** bytes */
const largestFact = 1024 * 1024
/** bytes; ginkgo announces its selection in the first lines */
const logHead = 256 * 1024
const mostReports = 64

const text = z.string().max(16_384)
const ServerVersion = z.object({ gitVersion: text, platform: text })
const Config = z.object({ Version: text })
const Definition = z.object({
  Definition: z.object({
    spec: z.object({
      image: text,
      env: z
        .array(z.object({ name: text, value: text.optional() }))
        .max(1000)
        .optional(),
    }),
  }),
})

/** Reads the archive once, in constant memory but for the cases' names. Throws RFO_CONFORMANCE_RESULTS (exit untrusted). */
export async function readSonobuoy(tarball: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<SonobuoyRun> {
  const reports: Junit[] = []
  const facts = new Map<string, string>()
  const logs: string[] = []
  const seen = new Set<string>()
  const once = (path: string): void => {
    if (seen.has(path)) throw refused(`${path} twice`)
    seen.add(path)
  }
  await eachFile(
    tarball,
    async (path, body) => {
      if (isReport(path)) {
        once(path)
        if (reports.length >= mostReports) throw refused(`more than ${mostReports} JUnit files`)
        reports.push(await readJunit(body))
      } else if (Object.hasOwn(factFiles, path)) {
        once(path)
        facts.set(path, await head(body, path, factFiles[path as keyof typeof factFiles]))
      } else if (isLog(path)) {
        once(path)
        if (logs.length >= mostReports) throw refused(`more than ${mostReports} logs`)
        logs.push(await head(body, path, 'head'))
      }
    },
    signal,
  )
  if (reports.length === 0) throw refused(`no JUnit in ${resultsFolder}`)
  return { ...together(reports), ...told(facts, logs) }
}

/** `whole` files are refused above their bound, of the others the first part is enough. */
const factFiles = {
  'serverversion.json': 'whole',
  'meta/config.json': 'whole',
  'plugins/e2e/definition.json': 'whole',
  'plugins/e2e/sonobuoy_results.yaml': 'head',
} as const

function isReport(path: string): boolean {
  return path.startsWith(resultsFolder) && /^junit[A-Za-z0-9_.-]*\.xml$/.test(path.slice(resultsFolder.length))
}

/** One a run: `e2e.log`, or `e2e-parallel.log` and `e2e-serial.log`. */
function isLog(path: string): boolean {
  return path.startsWith(resultsFolder) && /^e2e(-[a-z]+)?\.log$/.test(path.slice(resultsFolder.length))
}

async function head(body: AsyncIterable<Uint8Array>, path: string, need: 'whole' | 'head'): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  // read to the end either way: leaving the loop would end the whole archive
  for await (const chunk of body) {
    size += chunk.length
    if (need === 'whole' && size > largestFact) throw refused(`${path} is larger than ${largestFact} bytes`)
    if (need === 'whole' || size - chunk.length < logHead) chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/**
 * Several reports of one run list the same specs, each with those that it did not run as skipped. The suite has names
 * that occur more than once, so the nth of a name is the nth in every report.
 */
function together(reports: readonly Junit[]): Pick<SonobuoyRun, 'cases' | 'succeeded' | 'reason'> {
  const rank = { skipped: 0, passed: 1, failed: 2 } as const
  const merged = new Map<string, TestCase>()
  for (const { cases } of reports) {
    const nth = new Map<string, number>()
    for (const each of cases) {
      const n = (nth.get(each.name) ?? 0) + 1
      nth.set(each.name, n)
      const key = `${n} ${each.name}`
      const before = merged.get(key)
      if (before === undefined || rank[each.status] > rank[before.status]) merged.set(key, each)
    }
  }
  const words = reports.flatMap(({ succeeded }) => (succeeded === null ? [] : [succeeded]))
  return {
    cases: [...merged.values()],
    succeeded: words.length === 0 ? null : words.every(Boolean),
    reason: reports.find(({ reason }) => reason !== '')?.reason ?? '',
  }
}

function told(facts: ReadonlyMap<string, string>, logs: readonly string[]): Omit<SonobuoyRun, 'cases' | 'succeeded' | 'reason'> {
  const server = parsed(facts, 'serverversion.json', ServerVersion)
  const spec = parsed(facts, 'plugins/e2e/definition.json', Definition)?.Definition.spec
  const env = (name: string): string => spec?.env?.find((each) => each.name === name)?.value ?? ''
  const selections = logs.map((log) => /^Will run (\d{1,7}) of \d{1,7} specs$/m.exec(log.slice(0, logHead))?.[1])
  const status = /^status: ([a-z]{1,20})$/m.exec((facts.get('plugins/e2e/sonobuoy_results.yaml') ?? '').slice(0, 4096))
  return {
    asked: selections.length === 0 || selections.includes(undefined) ? null : selections.reduce((sum, each) => sum + Number(each), 0),
    kubernetes: server === null ? null : { version: server.gitVersion, platform: server.platform },
    sonobuoy: parsed(facts, 'meta/config.json', Config)?.Version ?? null,
    sonobuoyStatus: status?.[1] ?? null,
    plugin: spec === undefined ? null : { image: spec.image, focus: env('E2E_FOCUS'), skip: env('E2E_SKIP') },
  }
}

function parsed<T>(facts: ReadonlyMap<string, string>, path: string, form: z.ZodType<T>): T | null {
  const found = facts.get(path)
  if (found === undefined) return null
  let value: unknown
  try {
    value = JSON.parse(found)
  } catch (cause) {
    throw refused(`${path} is not JSON`, cause)
  }
  const result = form.safeParse(value)
  if (!result.success) throw refused(`${path} has another form`)
  return result.data
}
