/**
 * The one error type. `code` is stable and for scripts, `message` is what happened, `where` is the place
 * (file:line:column, task, platform, side), `next` is the command to type next. The thrower names the problem,
 * the caller adds the place with `at()`; nobody repeats a prefix.
 */

/** Exit codes of the contract: who acts next. See docs/exit-codes.md. */
export const exitCodes = {
  ok: 0,
  bug: 1,
  usage: 2,
  untrusted: 3,
  condition: 4,
  undecided: 5,
  lock: 6,
  build: 7,
  outside: 8,
  machine: 9,
  unfinished: 10,
  differs: 11,
} as const
export type ExitName = keyof typeof exitCodes

/** Several causes: the first of these that holds decides the exit code (contract). */
export const exitOrder = [
  'untrusted',
  'condition',
  'undecided',
  'lock',
  'build',
  'machine',
  'outside',
  'unfinished',
] as const satisfies readonly ExitName[]

/** `RFO_<ROOM>_<WORD>`; stable once released. */
export type ErrorCode = `RFO_${string}_${string}`

export interface RfoErrorOptions {
  readonly exit: ExitName
  readonly where?: string
  /** The command to type next, or what to do, in one phrase. */
  readonly next?: string
  readonly cause?: unknown
  /** More lines for people: output of a subprocess, a list of findings. Never a secret. */
  readonly details?: readonly string[]
}

export class RfoError extends Error {
  readonly code: ErrorCode
  readonly exit: ExitName
  readonly where: string | undefined
  readonly next: string | undefined
  readonly details: readonly string[]

  constructor(code: ErrorCode, message: string, options: RfoErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'RfoError'
    this.code = code
    this.exit = options.exit
    this.where = options.where
    this.next = options.next
    this.details = options.details ?? []
  }

  /** The same error with a place put in front: `at('build/coredns/linux/arm64')`. */
  at(place: string): RfoError {
    const where = this.where === undefined ? place : `${place}: ${this.where}`
    return new RfoError(this.code, this.message, {
      exit: this.exit,
      where,
      ...(this.next === undefined ? {} : { next: this.next }),
      cause: this.cause ?? this,
      details: this.details,
    })
  }

  /** The last line of stderr: `rfo-build: RFO_X_Y: what (where); next: command`. */
  line(): string {
    const where = this.where === undefined ? '' : ` (${this.where})`
    const next = this.next === undefined ? '' : `; next: ${this.next}`
    return `rfo-build: ${this.code}: ${this.message}${where}${next}`
  }
}

/** Anything thrown, as an RfoError: what is not ours is a bug (exit 1), except an abort. */
export function toRfoError(thrown: unknown): RfoError {
  if (thrown instanceof RfoError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new RfoError('RFO_MAIN_BUG', message, { exit: 'bug', cause: thrown, next: 'report this with the command that you ran' })
}

/** The exit code for several failures at once, by the contract's order. */
export function exitFor(errors: readonly RfoError[]): number {
  for (const name of exitOrder) {
    if (errors.some((error) => error.exit === name)) return exitCodes[name]
  }
  const first = errors[0]
  return first === undefined ? exitCodes.ok : exitCodes[first.exit]
}
