/** The refusals of this room: what was found, never what was secret. */
import { type ErrorCode, RfoError } from '../error.ts'

/** Not what was signed: exit untrusted. */
export function refused(code: ErrorCode, what: string, cause?: unknown): RfoError {
  return new RfoError(code, what, {
    exit: 'untrusted',
    next: 'do not use it; get it again from where it was published',
    ...(cause === undefined ? {} : { cause }),
  })
}

/** No key was given: nothing can be decided. `found` is who claims to have signed. */
export function noKey(found?: string): RfoError {
  return new RfoError('RFO_SIGN_NOKEY', 'no public key was given', {
    exit: 'undecided',
    next: 'give --key with the publisher’s public key, got from another place than this file',
    details: found === undefined ? [] : [`signed, as it says itself, by ${printable(found)}`],
  })
}

/** Signed by a key that was not given. */
export function unknownKey(found?: string): RfoError {
  const by =
    found === undefined ? 'none of the given keys made the signature' : `signed by ${printable(found)}, which is none of the given keys`
  return new RfoError('RFO_SIGN_UNKNOWN', by, {
    exit: 'untrusted',
    next: 'compare the fingerprint with the one that the publisher announced',
    details: found === undefined ? [] : [printable(found)],
  })
}

/** A hint is anyone's text until a signature holds: no terminal escape, no kilobytes. */
function printable(text: string): string {
  return text.slice(0, 100).replace(/[^\x21-\x7e]/g, '?')
}
