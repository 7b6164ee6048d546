/**
 * The OIDC token that says who signs. It comes out of the environment, never out of an argument, which every process of
 * the machine can read; no error says anything of it.
 */
import { RfoError } from '../error.ts'

export interface TokenEnvironment {
  /** the token itself: https://github.com/sigstore/cosign reads it from there too */
  readonly SIGSTORE_ID_TOKEN?: string
  /** https://docs.github.com/en/actions/reference/security/oidc#methods-for-requesting-the-oidc-token */
  readonly ACTIONS_ID_TOKEN_REQUEST_URL?: string
  readonly ACTIONS_ID_TOKEN_REQUEST_TOKEN?: string
}

/** Whose token Fulcio takes. */
const audience = 'sigstore'
/** milliseconds */
const patience = 30_000
/** characters; GitHub's have 2,000 */
const maxToken = 64 * 1024

/** Throws RFO_SIGN_TOKEN (exit usage when there is none, outside when nobody gives one). */
export async function identityToken(env: TokenEnvironment, signal?: AbortSignal): Promise<string> {
  const { SIGSTORE_ID_TOKEN: token, ACTIONS_ID_TOKEN_REQUEST_URL: url, ACTIONS_ID_TOKEN_REQUEST_TOKEN: bearer } = env
  if (token !== undefined && token !== '') return checked(token.trim(), 'SIGSTORE_ID_TOKEN')
  if (!url || !bearer) {
    throw new RfoError('RFO_SIGN_TOKEN', 'no identity token to sign with', {
      exit: 'usage',
      next: 'set SIGSTORE_ID_TOKEN; a job of GitHub Actions needs `permissions: id-token: write` instead',
    })
  }
  return checked(await requested(url, bearer, signal), 'the answer of the token service')
}

async function requested(url: string, bearer: string, signal: AbortSignal | undefined): Promise<string> {
  const outside = (why: string): RfoError =>
    new RfoError('RFO_SIGN_TOKEN', `the token service gives no identity token: ${why}`, { exit: 'outside', next: 'run it again' })
  if (!URL.canParse(url)) throw outside('ACTIONS_ID_TOKEN_REQUEST_URL is no URL')
  const asked = new URL(url)
  asked.searchParams.set('audience', audience)
  const signals = [AbortSignal.timeout(patience), ...(signal === undefined ? [] : [signal])]
  const answer = await fetch(asked, {
    headers: { accept: 'application/json', authorization: `Bearer ${bearer}` },
    redirect: 'error',
    signal: AbortSignal.any(signals),
  }).catch(() => {
    throw outside('no answer')
  })
  if (!answer.ok) throw outside(`HTTP ${answer.status}`)
  const value = ((await answer.json().catch(() => undefined)) as { value?: unknown } | undefined)?.value
  if (typeof value !== 'string') throw outside('an answer without a value')
  return value
}

/** The form of a JWT. @sigstore/sign quotes a token that it can't read in its error: it never gets to see such a one. */
function checked(token: string, where: string): string {
  const parts = token.split('.')
  try {
    if (token.length > maxToken || parts.length !== 3) throw new Error()
    const claims = JSON.parse(Buffer.from(parts[1] ?? '', 'base64url').toString('utf8')) as Record<string, unknown>
    const subject = claims.email === undefined ? claims.sub : claims.email_verified === true && claims.email
    if (typeof subject !== 'string' || subject === '') throw new Error()
  } catch {
    throw new RfoError('RFO_SIGN_TOKEN', 'not an identity token (JWT) of somebody', { exit: 'usage', where, next: 'get a fresh token' })
  }
  return token
}
