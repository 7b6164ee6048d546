/** The day that counts: of the clock, or the one that somebody gives who repeats something old. */
import { RfoError } from '../error.ts'
import { dayOf } from '../plan/day.ts'
import type { CliContext } from './context.ts'

/** of the year 9999: a day has eight digits */
const lastSecond = 253_402_300_799

/** UTC, `20261123`; SOURCE_DATE_EPOCH before the clock: https://reproducible-builds.org/specs/source-date-epoch/ */
export function today({ env, now }: CliContext): string {
  const given = env.SOURCE_DATE_EPOCH
  if (given === undefined || given === '') return dayOf(now())
  const seconds = /^[0-9]{1,11}$/.test(given) ? Number(given) : Number.NaN
  if (seconds <= lastSecond) return dayOf(seconds * 1000)
  throw new RfoError('RFO_CLI_VALUE', `SOURCE_DATE_EPOCH is no time in seconds: ${JSON.stringify(given.slice(0, 100))}`, {
    exit: 'usage',
    next: 'unset it, or give seconds since 1970',
  })
}
