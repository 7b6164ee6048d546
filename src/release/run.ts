/** Runs tasks through their ports: every failure is told, and what is given back has all results. */
import { results } from '../content/results.ts'
import { exitCodes, exitFor, RfoError } from '../error.ts'
import type { Listener } from '../graph/event.ts'
import { execute } from '../graph/execute.ts'
import type { Task } from '../graph/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { given } from './given.ts'
import type { ReleasePorts, ReleaseRequest } from './ports.ts'

export interface RunResults {
  /** of a task that was asked for, or that one of those needs */
  of(task: Task): Descriptor
  readonly ran: number
  readonly cached: number
}

/** Throws the first cause when a task failed, with the others in its details. `listener` hears what `ports` would. */
export async function runTasks(
  tasks: readonly Task[],
  ports: ReleasePorts,
  failureMode: ReleaseRequest['failureMode'],
  listener: Listener = ports.listener,
): Promise<RunResults> {
  const report = await execute(tasks, {
    results: results(ports.store),
    lanes: ports.lanes,
    failureMode,
    signal: ports.signal,
    listener,
    now: ports.now,
    ...(ports.logs === undefined ? {} : { logs: ports.logs }),
  })
  refuseFailures(report.failures)
  return { of: (task) => given(report.results.get(task.id)), ran: report.ran, cached: report.cached }
}

function refuseFailures(failures: readonly { readonly task: string; readonly error: RfoError }[]): void {
  const [first] = failures
  if (first === undefined) return
  const exit = exitFor(failures.map((failure) => failure.error))
  const decisive = failures.find((failure) => exitCodes[failure.error.exit] === exit) ?? first
  const placed = decisive.error
  const others = failures.filter((failure) => failure !== decisive).map((failure) => failure.error.line())
  throw new RfoError(placed.code, placed.message, {
    exit: placed.exit,
    ...(placed.where === undefined ? {} : { where: placed.where }),
    ...(placed.next === undefined ? {} : { next: placed.next }),
    cause: decisive.error,
    details: [...placed.details, ...others],
  })
}
