/** A bounded number of places to work in; who needs one most comes first. */

export interface Slots {
  /** Waits for a place; the call that is given back leaves it (once; more calls do nothing). Higher `weight` goes first, equals in order. */
  enter(weight: number, signal?: AbortSignal): Promise<() => void>
}

interface Waiting {
  readonly weight: number
  readonly admit: () => void
}

export function createSlots(count: number): Slots {
  let free = Math.max(1, Math.floor(count))
  const waiting: Waiting[] = []
  const leave = (): void => {
    const next = waiting.shift()
    if (next === undefined) free += 1
    else next.admit()
  }
  const once = (): (() => void) => {
    let left = false
    return () => {
      if (left) return
      left = true
      leave()
    }
  }
  return {
    enter(weight, signal) {
      signal?.throwIfAborted()
      if (free > 0) {
        free -= 1
        return Promise.resolve(once())
      }
      return new Promise((resolve, reject) => {
        const abort = (): void => {
          const at = waiting.indexOf(each)
          if (at >= 0) waiting.splice(at, 1)
          reject(signal?.reason)
        }
        const each: Waiting = {
          weight,
          admit() {
            signal?.removeEventListener('abort', abort)
            resolve(once())
          },
        }
        // binary search: behind all that weigh as much
        let [low, high] = [0, waiting.length]
        while (low < high) {
          const middle = (low + high) >> 1
          if ((waiting[middle] as Waiting).weight >= weight) low = middle + 1
          else high = middle
        }
        waiting.splice(low, 0, each)
        signal?.addEventListener('abort', abort, { once: true })
      })
    },
  }
}
