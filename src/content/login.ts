/**
 * Logging in to a registry: Basic, or a Bearer token from the realm that the registry names
 * (https://distribution.github.io/distribution/spec/auth/token/). Tokens live as long as the session and are never in an error.
 */
import { RfoError } from '../error.ts'
import { type Challenge, parseChallenges } from './challenge.ts'
import type { Credential, CredentialSource } from './credentials.ts'
import { Again, type Agents, exchange, isLoopback, isPassing, readResponse, retryAfter } from './exchange.ts'

export interface Login {
  /** The Authorization header for these scopes, as far as the registry has asked for one. */
  header(scopes: readonly string[]): Promise<string | undefined>
  /** The registry answered 401 to a request that carried `sent`: the header to try once more with. Throws RFO_CONTENT_LOGIN when there is none. */
  challenged(header: string | undefined, scopes: readonly string[], sent: string | undefined): Promise<string>
}

const maxTokenBytes = 1024 * 1024

export function createLogin(registry: string, base: URL, agents: Agents, credentials: CredentialSource): Login {
  let challenge: Challenge | undefined
  const tokens = new Map<string, Promise<string>>()

  const authorization = async (known: Challenge, scopes: readonly string[]): Promise<string> => {
    if (known.scheme === 'basic') return basic(await credentials(registry))
    const key = [...scopes].sort().join(' ')
    const found = tokens.get(key) ?? fetchToken(known, scopes)
    tokens.set(key, found)
    found.catch(() => tokens.delete(key))
    return `Bearer ${await found}`
  }

  const basic = (credential: Credential | undefined): string => {
    if (credential?.kind !== 'password') throw refused(registry, 'it wants a user name and password')
    return `Basic ${Buffer.from(`${credential.username}:${credential.password}`).toString('base64')}`
  }

  const fetchToken = async (known: Challenge, scopes: readonly string[]): Promise<string> => {
    const realm = realmOf(known, base, registry)
    const credential = await credentials(registry)
    const parameters = new URLSearchParams()
    if (known.parameters.service !== undefined) parameters.set('service', known.parameters.service)
    for (const scope of scopes) parameters.append('scope', scope)
    const headers: Record<string, string> = { accept: 'application/json', 'user-agent': 'rfo-build' }
    let body: Uint8Array | undefined
    if (credential?.kind === 'refresh') {
      // https://distribution.github.io/distribution/spec/auth/oauth/: a form, its scopes in one parameter
      parameters.set('scope', scopes.join(' '))
      parameters.set('grant_type', 'refresh_token')
      parameters.set('client_id', 'rfo-build')
      parameters.set('refresh_token', credential.token)
      body = Buffer.from(parameters.toString())
      headers['content-type'] = 'application/x-www-form-urlencoded'
      headers['content-length'] = String(body.length)
    } else {
      for (const [name, value] of parameters) realm.searchParams.append(name, value)
      if (credential !== undefined) headers.authorization = basic(credential)
    }
    const response = await exchange(agents, {
      method: body === undefined ? 'GET' : 'POST',
      url: realm,
      headers,
      ...(body === undefined ? {} : { body }),
    })
    const status = response.statusCode ?? 0
    const bytes = await readResponse(response, maxTokenBytes)
    if (isPassing(status)) throw new Again(`HTTP ${status} from the token server ${realm.host}`, retryAfter(response.headers))
    if (status !== 200) throw refused(registry, `its token server ${realm.host} answered HTTP ${status}`)
    return tokenOf(bytes, registry)
  }

  return {
    async header(scopes) {
      return challenge === undefined ? undefined : await authorization(challenge, scopes)
    },
    async challenged(header, scopes, sent) {
      const offered = parseChallenges(header ?? '')
      const next = offered.find((each) => each.scheme === 'bearer') ?? offered.find((each) => each.scheme === 'basic')
      if (next === undefined) throw refused(registry, 'HTTP 401 without a way to log in')
      challenge = next
      if (sent?.startsWith('Bearer ')) tokens.delete([...scopes].sort().join(' ')) // it may have run out: one fresh one
      const fresh = await authorization(next, scopes)
      if (fresh === sent) throw refused(registry, 'it did not accept what we logged in with')
      return fresh
    },
  }
}

/** Credentials go to https, to loopback, or to the plain-http host that the user has named as the registry: nowhere else. */
function realmOf(challenge: Challenge, base: URL, registry: string): URL {
  let realm: URL
  try {
    realm = new URL(challenge.parameters.realm ?? '')
  } catch {
    throw refused(registry, 'the realm of its token server is no URL')
  }
  const plain =
    realm.protocol === 'http:' && (isLoopback(realm.hostname) || (base.protocol === 'http:' && realm.hostname === base.hostname))
  if (realm.protocol !== 'https:' && !plain) throw refused(registry, `its token server ${realm.host} is not reached by https`)
  realm.username = ''
  realm.password = ''
  return realm
}

function tokenOf(bytes: Buffer, registry: string): string {
  let answer: { readonly token?: unknown; readonly access_token?: unknown } | null = null
  try {
    answer = JSON.parse(bytes.toString('utf8'))
  } catch {
    // said below
  }
  const token = answer?.token ?? answer?.access_token
  if (typeof token !== 'string' || !/^[!-~]{1,65536}$/.test(token)) throw refused(registry, 'its token server gave no token')
  return token
}

export function refused(registry: string, why: string): RfoError {
  const name = registry === 'docker.io' ? '' : ` ${registry}`
  return new RfoError('RFO_CONTENT_LOGIN', `${registry} refuses: ${why}`, { exit: 'outside', next: `docker login${name}` })
}
