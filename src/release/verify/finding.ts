/** What verifying finds: errors with a place, collected so that one run tells everything. */
import { type ErrorCode, type ExitName, RfoError } from '../../error.ts'

/** `where` is left out where the caller puts the place in front. */
export function untrusted(code: ErrorCode, message: string, where?: string): RfoError {
  const next = 'do not use this release; fetch it again and compare'
  return new RfoError(code, message, { exit: 'untrusted', next, ...(where === undefined ? {} : { where }) })
}

export function condition(code: ErrorCode, message: string, where: string, next?: string): RfoError {
  return finding('condition', code, message, where, next)
}

export function undecided(code: ErrorCode, message: string, where: string, next?: string): RfoError {
  return finding('undecided', code, message, where, next)
}

function finding(exit: ExitName, code: ErrorCode, message: string, where: string, next: string | undefined): RfoError {
  return new RfoError(code, message, { exit, where, ...(next === undefined ? {} : { next }) })
}
