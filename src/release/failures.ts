/** What a run's failures mean for who started it: one error, the decisive one, with the others in its details. */
import { exitCodes, exitFor, RfoError } from '../error.ts'

export function refuseFailures(failures: readonly { readonly task: string; readonly error: RfoError }[]): void {
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
