/**
 * Runs a graph: needs first, each task once, answered from earlier results where the fingerprint is known.
 * A task that fails does not throw here: it is in the report, and the caller decides what that means.
 */
import pLimit from 'p-limit'
import { RfoError, toRfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { Event, Listener } from './event.ts'
import { contentOf, fingerprint } from './fingerprint.ts'
import { inOrder } from './order.ts'
import type { Lane, Task } from './task.ts'

/** finish: all that does not depend on the failure still runs; stop: start nothing new; kill: abort what runs, too. */
export type FailureMode = 'finish' | 'stop' | 'kill'

export interface Results {
  /** The recorded result whose content is all there; undefined = run it. */
  get(fingerprint: Digest): Promise<Descriptor | undefined>
  /** Called after the task has put its content into the store. */
  record(fingerprint: Digest, result: Descriptor): Promise<void>
}

export interface TaskLog {
  line(text: string): void
  readonly path: string
  close(): Promise<void>
}

export interface ExecuteOptions {
  readonly results: Results
  /** Tasks at once per lane, 1 and up. */
  readonly lanes: Readonly<Record<Lane, number>>
  readonly failureMode: FailureMode
  /** Aborting starts nothing new, aborts what runs, and rejects with the reason when all of it has ended. */
  readonly signal: AbortSignal
  readonly listener: Listener
  /** Milliseconds from any fixed point. */
  readonly now: () => number
  readonly logs?: { open(taskId: string): TaskLog }
}

export interface RunReport {
  /** Task id → what it gave, for each task that was done or recalled. */
  readonly results: ReadonlyMap<string, Descriptor>
  /** In the order in which they happened: the first cause is the first. */
  readonly failures: readonly { readonly task: string; readonly error: RfoError }[]
  /** ran + cached + failures + skipped = all tasks; ran are those that ended well. */
  readonly ran: number
  readonly cached: number
  readonly skipped: number
}

/** `because`: the id of the task that failed first, or `interrupted`. */
type Outcome = { readonly kind: 'done'; readonly result: Descriptor } | { readonly kind: 'lost'; readonly because: string }

const interrupted = 'interrupted'

/** Asking for recorded results reads the store, and no lane pays for it: this many at once. */
const lookupsAtOnce = 16

/** Throws RFO_GRAPH_CYCLE and RFO_GRAPH_DUPLICATE before anything starts, and the abort reason; never for a task's failure. */
export async function execute(roots: readonly Task[], options: ExecuteOptions): Promise<RunReport> {
  const tasks = inOrder(roots)
  options.signal.throwIfAborted()
  const lanes = { cpu: pLimit(options.lanes.cpu), network: pLimit(options.lanes.network), cluster: pLimit(options.lanes.cluster) }
  const lookups = pLimit(lookupsAtOnce)
  const began = options.now()
  const results = new Map<string, Descriptor>()
  const failures: { task: string; error: RfoError }[] = []
  const count = { ran: 0, cached: 0, skipped: 0 }
  const running = new AbortController()
  const interrupt = (): void => running.abort(options.signal.reason)
  options.signal.addEventListener('abort', interrupt, { once: true })

  let deaf: { readonly thrown: unknown } | undefined
  const elapsed = (): number => Math.round(options.now() - began)
  const emit = (event: Event): void => {
    if (deaf !== undefined) return
    try {
      options.listener(event)
    } catch (thrown) {
      deaf = { thrown } // the run goes on without its listener, and says so at the end
    }
  }

  /** Why nothing may start any more. */
  const halted = (): string | undefined => {
    if (options.signal.aborted) return interrupted
    return options.failureMode === 'finish' ? undefined : failures[0]?.task
  }
  const skip = (task: Task, because: string): Outcome => {
    count.skipped++
    emit({ kind: 'task-skipped', task: task.id, because, at: elapsed() })
    return { kind: 'lost', because }
  }
  const fail = (task: Task, thrown: unknown, log?: TaskLog): Outcome => {
    if (running.signal.aborted && isFallout(thrown, running.signal.reason)) return skip(task, halted() ?? interrupted)
    const error = toRfoError(thrown).at(task.id)
    failures.push({ task: task.id, error })
    const where = log === undefined ? {} : { log: log.path }
    emit({ kind: 'task-failed', task: task.id, code: error.code, message: error.message, at: elapsed(), ...where })
    if (options.failureMode === 'kill' && !running.signal.aborted) {
      running.abort(new RfoError('RFO_GRAPH_KILLED', `ended because ${task.id} failed`, { exit: 'unfinished' }))
    }
    return { kind: 'lost', because: task.id }
  }
  const done = (task: Task, result: Descriptor, how: 'ran' | 'cached'): Outcome => {
    const content = contentOf(result)
    results.set(task.id, content)
    count[how]++
    emit({ kind: how === 'ran' ? 'task-done' : 'task-cached', task: task.id, digest: content.digest, at: elapsed() })
    return { kind: 'done', result: content }
  }

  /** Inside a slot. */
  const run = async (task: Task, inputs: Readonly<Record<string, Descriptor>>, print: Digest | undefined): Promise<Outcome> => {
    const why = halted()
    if (why !== undefined) return skip(task, why)
    const log = options.logs?.open(task.id)
    emit({ kind: 'task-started', task: task.id, at: elapsed(), ...(log === undefined ? {} : { log: log.path }) })
    try {
      const result = await task.run(inputs, {
        signal: running.signal,
        log(line) {
          log?.line(line)
          emit({ kind: 'task-line', task: task.id, line, at: elapsed() })
        },
      })
      await log?.close()
      if (print !== undefined) await options.results.record(print, contentOf(result))
      return done(task, result, 'ran')
    } catch (thrown) {
      if (log !== undefined) await closeAfter(log, thrown)
      return fail(task, thrown, log)
    }
  }

  /** Tasks with one fingerprint give one result: the second waits for the first, and asks then. */
  const twins = new Map<Digest, Promise<unknown>>()
  const recallOrRun = async (task: Task, inputs: Readonly<Record<string, Descriptor>>): Promise<Outcome> => {
    if (task.effect === true) return lanes[task.lane](() => run(task, inputs, undefined))
    const print = fingerprint(task, inputs)
    for (let twin = twins.get(print); twin !== undefined; twin = twins.get(print)) await twin
    const own = lookups(() => options.results.get(print)).then((known) =>
      known === undefined ? lanes[task.lane](() => run(task, inputs, print)) : done(task, known, 'cached'),
    )
    const ended = own.then(
      () => twins.delete(print),
      () => twins.delete(print),
    )
    twins.set(print, ended)
    return own
  }

  const outcomes = new Map<string, Promise<Outcome>>()
  /** Never rejects, so nobody has to watch it. No slot is held while it waits for its needs. */
  const settle = async (task: Task): Promise<Outcome> => {
    const inputs: Record<string, Descriptor> = {}
    const lost: string[] = []
    for (const [name, need] of Object.entries(task.needs)) {
      const outcome = await outcomes.get(need.id)
      if (outcome?.kind === 'done') inputs[name] = outcome.result
      else lost.push(outcome?.because ?? interrupted)
    }
    const why = lost.length > 0 ? firstCause(lost, failures) : halted()
    if (why !== undefined) return skip(task, why)
    try {
      return await recallOrRun(task, inputs)
    } catch (thrown) {
      return fail(task, thrown)
    }
  }

  emit({ kind: 'run-started', tasks: tasks.length, at: elapsed() })
  for (const task of tasks) emit({ kind: 'task-waiting', task: task.id, at: elapsed() })
  for (const task of tasks) outcomes.set(task.id, settle(task))
  await Promise.all(outcomes.values())
  options.signal.removeEventListener('abort', interrupt)
  emit({ kind: 'run-ended', done: count.ran, cached: count.cached, failed: failures.length, skipped: count.skipped, at: elapsed() })
  options.signal.throwIfAborted()
  if (deaf !== undefined) throw deaf.thrown
  return { results, failures, ...count }
}

/** Of several lost needs, the cause that happened first. */
function firstCause(lost: readonly string[], failures: readonly { readonly task: string }[]): string {
  return failures.find((failure) => lost.includes(failure.task))?.task ?? lost[0] ?? interrupted
}

/**
 * Whether an error is only what an abort does to a running task: the reason itself, an AbortError, something that
 * wraps one, or whatever a library throws when its streams are cut. A coded error of ours is a finding, and kept.
 */
function isFallout(thrown: unknown, reason: unknown): boolean {
  for (let error = thrown; error !== undefined && error !== null; error = error instanceof Error ? error.cause : undefined) {
    if (error === reason || (error instanceof Error && error.name === 'AbortError')) return true
  }
  return !(thrown instanceof RfoError)
}

/** The error ends the log: the file that people are sent to says what happened. */
async function closeAfter(log: TaskLog, thrown: unknown): Promise<void> {
  const error = toRfoError(thrown)
  log.line(`${error.code}: ${error.message}`)
  await log.close().catch(() => {}) // the task's own failure is the one to report
}
