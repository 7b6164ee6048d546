/** What is wrong in a file under pipelines/, and where. */
import { RfoError } from '../error.ts'

/** Something wrong in a file, and the path of the setting that says so. */
export interface Problem {
  readonly error: RfoError
  readonly at: readonly PropertyKey[]
}

export function problem(at: readonly PropertyKey[], message: string, where: string, next: string): Problem {
  return { error: complaint(message, where, next), at }
}

export function complaint(message: string, where: string, next: string): RfoError {
  return new RfoError('RFO_PLAN_PIPELINE', message, { exit: 'usage', where, next })
}
