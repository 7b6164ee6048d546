/** How far a run is, read from what ginkgo 2 prints: https://github.com/onsi/ginkgo/blob/v2.1.6/reporters/default_reporter.go */
import { printableName } from './printable.ts'

export interface SpecProgress {
  /** undefined until the suite says */
  readonly total: number | undefined
  readonly done: number
  readonly failed: number
  /** the spec that was told of last; printable */
  readonly last: string
}

const failedWords = /^•!? ?\[(FAILED|PANICKED|INTERRUPTED|TIMEDOUT|ABORTED)\]/
/** A spec that says nothing is one dot in a row of others. */
const dots = /^[S•P]+$/

/** Gives the state after each line that changes it. */
export function readProgress(): (line: string) => SpecProgress | undefined {
  let state: SpecProgress = { total: undefined, done: 0, failed: 0, last: '' }
  let named = false
  return (line) => {
    const selection = /^Will run (\d{1,7}) of \d{1,7} specs$/.exec(line)
    if (selection !== null) {
      state = { ...state, total: Number(selection[1]) }
      return state
    }
    if (dots.test(line)) {
      const more = line.replaceAll(/[^•]/g, '').length
      if (more === 0) return undefined
      state = { ...state, done: state.done + more }
      return state
    }
    // `• [FAILED] [302.637 seconds]`; the next line is its name
    if (line.startsWith('•')) {
      state = { ...state, done: state.done + 1, failed: state.failed + (failedWords.test(line) ? 1 : 0) }
      named = true
      return undefined
    }
    if (!named) return undefined
    named = false
    state = { ...state, last: printableName(line) }
    return state
  }
}
