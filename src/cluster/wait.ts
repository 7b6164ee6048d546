/** Asks until the answer is yes. */
import { setTimeout as sleep } from 'node:timers/promises'
import { clusterError } from './refusal.ts'

export interface Patience {
  /** for the error: `the API server` */
  readonly what: string
  readonly seconds: number
  readonly signal: AbortSignal
}

/** `ask` throws or gives false as long as the answer is no. Throws RFO_CLUSTER_READY with what was said last. */
export async function until(patience: Patience, ask: (signal: AbortSignal) => Promise<boolean>): Promise<void> {
  const late = AbortSignal.timeout(patience.seconds * 1000)
  const signal = AbortSignal.any([patience.signal, late])
  let last: unknown
  for (;;) {
    try {
      if (await ask(signal)) return
      last = undefined
    } catch (cause) {
      if (!signal.aborted) last = cause
    }
    // whoever ended it says why
    patience.signal.throwIfAborted()
    if (late.aborted) break
    await sleep(200)
  }
  throw clusterError('READY', `${patience.what} was not ready within ${patience.seconds} seconds`, {
    ...(last === undefined ? {} : { cause: last, details: [String(last instanceof Error ? last.message : last)] }),
  })
}
