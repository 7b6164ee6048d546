/** Tasks that end when the test says so: order is controlled, never slept for. */
import type { Event } from '../../src/graph/event.ts'
import { type ExecuteOptions, execute, type Results } from '../../src/graph/execute.ts'
import type { Lane, Task } from '../../src/graph/task.ts'
import type { Descriptor } from '../../src/oci/descriptor.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { canonicalJson, type Json } from '../../src/oci/json.ts'

export function content(text: string): Descriptor {
  return { mediaType: 'text/plain', digest: digestOf(text), size: Buffer.byteLength(text) }
}

export interface Held extends Task {
  /** Resolves when the engine has called run. */
  readonly started: Promise<void>
  readonly runs: () => number
  end(result?: Descriptor): void
  fail(error: unknown): void
}

export interface HeldOptions {
  readonly needs?: Readonly<Record<string, Task>>
  readonly key?: Json
  readonly lane?: Lane
  readonly effect?: true
  /** Rejects with the reason when aborted, as a killed subprocess does. Default true. */
  readonly killable?: boolean
}

/** A task that runs until end() or fail() is called; they may be called before it starts. */
export function held(id: string, options: HeldOptions = {}): Held {
  const started = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<Descriptor>()
  ended.promise.catch(() => {})
  let runs = 0
  return {
    id,
    needs: options.needs ?? {},
    key: options.key ?? id,
    lane: options.lane ?? 'cpu',
    ...(options.effect === true ? { effect: true as const } : {}),
    started: started.promise,
    runs: () => runs,
    end: (result) => ended.resolve(result ?? content(id)),
    fail: (error) => ended.reject(error),
    run(_inputs, { signal }) {
      runs++
      if (options.killable !== false) signal.addEventListener('abort', () => ended.reject(signal.reason), { once: true })
      started.resolve()
      return ended.promise
    },
  }
}

/** A task that ends at once; its result says what it was made from. */
export function quick(
  id: string,
  options: HeldOptions & { readonly gives?: string; readonly log?: string[] } = {},
): Task & { readonly runs: () => number } {
  let runs = 0
  return {
    id,
    needs: options.needs ?? {},
    key: options.key ?? id,
    lane: options.lane ?? 'cpu',
    ...(options.effect === true ? { effect: true as const } : {}),
    runs: () => runs,
    async run(inputs) {
      runs++
      options.log?.push(id)
      const from = Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, input.digest]))
      return content(options.gives ?? canonicalJson({ key: options.key ?? id, from }))
    },
  }
}

export function memoryResults(): Results & { readonly known: Map<string, Descriptor> } {
  const known = new Map<string, Descriptor>()
  return {
    known,
    get: async (fingerprint) => known.get(fingerprint),
    async record(fingerprint, result) {
      known.set(fingerprint, result)
    },
  }
}

export function run(roots: readonly Task[], options: Partial<ExecuteOptions> = {}) {
  const events: Event[] = []
  let clock = 0
  const report = execute(roots, {
    results: memoryResults(),
    lanes: { cpu: 2, network: 4, cluster: 1 },
    failureMode: 'finish',
    signal: new AbortController().signal,
    listener: (event) => events.push(event),
    now: () => clock++,
    ...options,
  })
  return { events, report }
}

/** Every promise that is ready has run on: what has not happened by now waits for the test. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
