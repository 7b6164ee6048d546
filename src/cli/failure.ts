/** Anything that was thrown, as people and scripts see it: details, then one last line; or one JSON document. */
import { exitCodes, exitFor, RfoError, toRfoError } from '../error.ts'
import { printable } from '../report/printable.ts'
import { redact } from '../report/redact.ts'
import type { Ports } from './context.ts'

/** The reason of an abort by a signal. Its exit code is the shell's: 128 + number. */
export class Interrupted extends Error {
  readonly signal: 'SIGINT' | 'SIGTERM'

  constructor(signal: 'SIGINT' | 'SIGTERM') {
    super(`ended by ${signal}`)
    this.name = 'Interrupted'
    this.signal = signal
  }
}

const signalExit = { SIGINT: 130, SIGTERM: 143 } as const

/** errno → what it means to a person; anything else that is not ours is a bug. */
const systemErrors: Readonly<
  Record<string, { readonly code: `RFO_${string}_${string}`; readonly exit: 'machine' | 'outside'; readonly next: string }>
> = {
  ENOSPC: { code: 'RFO_MAIN_SPACE', exit: 'machine', next: 'free some space and run the same command again' },
  EDQUOT: { code: 'RFO_MAIN_SPACE', exit: 'machine', next: 'free some space and run the same command again' },
  EACCES: { code: 'RFO_MAIN_PERMISSION', exit: 'machine', next: 'give this user access, or choose --out and --store elsewhere' },
  EPERM: { code: 'RFO_MAIN_PERMISSION', exit: 'machine', next: 'give this user access, or choose --out and --store elsewhere' },
  EROFS: { code: 'RFO_MAIN_PERMISSION', exit: 'machine', next: 'choose --out and --store on a file system that can be written' },
  EMFILE: { code: 'RFO_MAIN_FILES', exit: 'machine', next: 'raise ulimit -n' },
  ENFILE: { code: 'RFO_MAIN_FILES', exit: 'machine', next: 'raise the system’s limit of open files' },
  ECONNREFUSED: { code: 'RFO_MAIN_NETWORK', exit: 'outside', next: 'run the same command again' },
  ECONNRESET: { code: 'RFO_MAIN_NETWORK', exit: 'outside', next: 'run the same command again' },
  ETIMEDOUT: { code: 'RFO_MAIN_NETWORK', exit: 'outside', next: 'run the same command again' },
  ENOTFOUND: { code: 'RFO_MAIN_NETWORK', exit: 'outside', next: 'run the same command again' },
}

function asRfoError(thrown: unknown): RfoError {
  if (thrown instanceof RfoError) return thrown
  const { code, path, message } = (thrown ?? {}) as NodeJS.ErrnoException
  const known = thrown instanceof Error && code !== undefined ? systemErrors[code] : undefined
  if (known === undefined) return toRfoError(thrown)
  return new RfoError(known.code, message, {
    exit: known.exit,
    cause: thrown,
    next: known.next,
    ...(path === undefined ? {} : { where: path }),
  })
}

/** Prints the failure once and gives the exit code. `verb` is undefined when the command line named none. */
export function fail(
  thrown: unknown,
  verb: string | undefined,
  json: boolean,
  ports: Pick<Ports, 'stdout' | 'stderr' | 'signal' | 'secrets'>,
): number {
  const interrupted = ports.signal.aborted && ports.signal.reason instanceof Interrupted ? ports.signal.reason : undefined
  const errors =
    interrupted !== undefined
      ? [new RfoError('RFO_MAIN_SIGNAL', interrupted.message, { exit: 'unfinished', next: 'run the same command again: it resumes' })]
      : (thrown instanceof AggregateError ? thrown.errors : [thrown]).map(asRfoError)
  const exit = interrupted === undefined ? exitFor(errors) : signalExit[interrupted.signal]
  const decisive = decisiveOf(errors) ?? toRfoError(thrown)
  const { secrets } = ports
  const say = (line: string): void => ports.stderr.write(`${printable(redact(line, secrets))}\n`)
  for (const other of errors) if (other !== decisive) say(other.line())
  for (const detail of decisive.details) say(detail)
  if (decisive.exit === 'bug' && decisive.cause instanceof Error) decisive.cause.stack?.split('\n').forEach(say)
  say(decisive.line())
  if (json) ports.stdout(`${redact(JSON.stringify(failureDocument(decisive, verb, exit)), secrets)}\n`)
  return exit
}

function failureDocument(error: RfoError, verb: string | undefined, exit: number): object {
  return { schema: `rfo-build.${verb ?? 'error'}/1`, ok: false, exit, error: errorDocument(error) }
}

/** `error` of every JSON document that is not ok. */
export function errorDocument({ code, message, where, next }: RfoError): object {
  return { code, message, where, next }
}

/** The first of those that decide the exit code. */
export function decisiveOf(errors: readonly RfoError[]): RfoError | undefined {
  const exit = exitFor(errors)
  return errors.find((error) => exitCodes[error.exit] === exit) ?? errors[0]
}
