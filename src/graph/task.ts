/** A task takes descriptors and gives one (several results = an index). Plain data plus one function. */
import type { Descriptor } from '../oci/descriptor.ts'
import type { Json } from '../oci/json.ts'

export type Lane = 'cpu' | 'network' | 'cluster'

export interface TaskRun {
  readonly signal: AbortSignal
  /** A line for the task's log file; never a secret. */
  log(line: string): void
}

export interface Task {
  /** Unique, and the name that people see: `image/hardened-coredns/linux/arm64`. */
  readonly id: string
  /** Input name → the task that gives it. */
  readonly needs: Readonly<Record<string, Task>>
  /** Everything besides needs that decides the result, tool and rule versions included. */
  readonly key: Json
  readonly lane: Lane
  /** Writes outside the store: never answered from cache. */
  readonly effect?: true
  run(inputs: Readonly<Record<string, Descriptor>>, at: TaskRun): Promise<Descriptor>
}
