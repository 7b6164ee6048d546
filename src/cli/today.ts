/** The day or the moment that counts: of the clock, or the one that somebody gives who repeats something old. */
import { RfoError } from '../error.ts'
import { dayOf } from '../plan/day.ts'
import type { CliContext } from './context.ts'

/** of the year 9999: a day has eight digits */
const lastSecond = 253_402_300_799

/** UTC, `20261123`; SOURCE_DATE_EPOCH before the clock: https://reproducible-builds.org/specs/source-date-epoch/ */
export function today(context: CliContext): string {
  return dayOf(moment(context))
}

/** Milliseconds since 1970, of the same. */
export function moment({ env, now }: CliContext): number {
  const seconds = sourceDateEpoch(env)
  return seconds === undefined ? now() : seconds * 1000
}

/** Seconds since 1970; undefined = not given. Throws RFO_CLI_VALUE. */
export function sourceDateEpoch(env: CliContext['env']): number | undefined {
  const given = env.SOURCE_DATE_EPOCH
  if (given === undefined || given === '') return undefined
  const seconds = /^[0-9]{1,11}$/.test(given) ? Number(given) : Number.NaN
  if (seconds <= lastSecond) return seconds
  throw new RfoError('RFO_CLI_VALUE', `SOURCE_DATE_EPOCH is no time in seconds: ${JSON.stringify(given.slice(0, 100))}`, {
    exit: 'usage',
    next: 'unset it, or give seconds since 1970',
  })
}

/** The moment that a flag names; absent: now. A day is its first moment in UTC. */
export function timeOf(flag: string, text: string | undefined, { now }: Pick<CliContext, 'now'>): number {
  if (text === undefined) return now()
  const form = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d))?$/
  const time = form.test(text) ? Date.parse(text) : Number.NaN
  if (!Number.isNaN(time)) return time
  throw new RfoError('RFO_CLI_VALUE', `${flag} does not know ${JSON.stringify(text.slice(0, 60))}`, {
    exit: 'usage',
    next: 'give it as 2022-11-20 or 2022-11-20T08:00:00Z',
  })
}
