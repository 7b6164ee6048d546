/** What damaged or hostile results are refused with. */
import { RfoError } from '../error.ts'

export function refused(why: string, cause?: unknown): RfoError {
  return new RfoError('RFO_CONFORMANCE_RESULTS', `not the results of a conformance run: ${why}`, {
    exit: 'untrusted',
    next: 'fetch them from the cluster again (sonobuoy retrieve)',
    ...(cause === undefined ? {} : { cause }),
  })
}
