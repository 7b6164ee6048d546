/**
 * What is kept between requests to a registry: connections, tokens, where blobs have been seen (so that they can be
 * mounted instead of sent), which blobs are on their way. One session for many repositories makes a push of many images one push.
 */
import type http from 'node:http'
import { RfoError } from '../error.ts'
import type { Digest } from '../oci/digest.ts'
import { anonymous, type CredentialSource } from './credentials.ts'
import type { Endpoint } from './endpoint.ts'
import {
  Again,
  type Agents,
  createAgents,
  drain,
  type Exchange,
  exchange,
  isLoopback,
  isPassing,
  type Retry,
  readResponse,
  retryAfter,
} from './exchange.ts'
import { createLogin, type Login, refused } from './login.ts'

export interface SessionOptions {
  readonly credentials?: CredentialSource
  /** HTTP_PROXY, HTTPS_PROXY, NO_PROXY; none unless given. */
  readonly proxy?: Readonly<Record<string, string | undefined>>
  /** Certificates that are trusted besides, as PEM. */
  readonly ca?: string
  /** Connections per registry, at most. Default 8. */
  readonly connections?: number
}

/** What is known of one registry. */
export interface Site {
  readonly login: Login
  /** Repositories in which a blob has been seen or put. */
  readonly places: Map<Digest, Set<string>>
  /** Blobs that are being uploaded into some repository. */
  readonly uploads: Map<Digest, Promise<void>>
  /** Whether it has the referrers API; undefined = not yet asked. */
  listsReferrers: boolean | undefined
}

export interface RegistrySession {
  readonly agents: Agents
  site(at: Endpoint): Site
}

export function createRegistrySession(options: SessionOptions = {}): RegistrySession {
  const agents = createAgents({
    connections: options.connections ?? 8,
    ...(options.proxy === undefined ? {} : { proxy: options.proxy }),
    ...(options.ca === undefined ? {} : { ca: options.ca }),
  })
  const sites = new Map<string, Site>()
  return {
    agents,
    site({ base, login }) {
      const known = sites.get(base.origin)
      if (known !== undefined) return known
      const site: Site = {
        login: createLogin(login, base, agents, options.credentials ?? anonymous),
        places: new Map(),
        uploads: new Map(),
        listsReferrers: undefined,
      }
      sites.set(base.origin, site)
      return site
    },
  }
}

export interface Caller {
  readonly at: Endpoint
  readonly site: Site
  readonly agents: Agents
  readonly retry: Retry
  readonly signal?: AbortSignal | undefined
}

export interface Ask extends Omit<Exchange, 'signal' | 'headers'> {
  readonly headers?: Readonly<Record<string, string>>
  /** Statuses, besides 2xx, that the caller understands. */
  readonly allow?: readonly number[]
  readonly scopes: readonly string[]
  readonly signal?: AbortSignal | undefined
}

const maxRedirects = 5

/** One request, logged in where the registry asks for it, redirects of reads followed. Throws `Again` for what may pass. */
export async function call(caller: Caller, ask: Ask): Promise<http.IncomingMessage> {
  const { at, site, agents } = caller
  let url = ask.url
  let response: http.IncomingMessage
  let asked = false
  for (let redirects = 0; ; ) {
    // a blob store elsewhere must not see the registry's tokens
    const own = url.origin === at.base.origin
    const authorization = own ? await site.login.header(ask.scopes) : undefined
    const headers = {
      'user-agent': 'rfo-build',
      ...ask.headers,
      ...(authorization === undefined ? {} : { authorization }),
    }
    const signal = ask.signal ?? caller.signal
    response = await exchange(agents, { method: ask.method, url, headers, signal, ...(ask.body === undefined ? {} : { body: ask.body }) })
    const status = response.statusCode ?? 0
    if (status === 401 && own && !asked) {
      drain(response)
      asked = true
      await site.login.challenged(response.headers['www-authenticate'], ask.scopes, authorization)
      // a stream has been read by now: whoever gave it begins anew
      if (ask.body !== undefined && !(ask.body instanceof Uint8Array)) throw new Again('HTTP 401')
      continue
    }
    if ((status === 301 || status === 302 || status === 303 || status === 307 || status === 308) && ask.allow?.includes(status) !== true) {
      drain(response)
      if ((ask.method !== 'GET' && ask.method !== 'HEAD') || redirects >= maxRedirects) throw refusedWith(caller, ask, status, undefined)
      redirects += 1
      url = safe(response.headers.location, url)
      continue
    }
    break
  }
  const status = response.statusCode ?? 0
  if ((status >= 200 && status < 300) || ask.allow?.includes(status) === true) return response
  if (isPassing(status)) {
    drain(response)
    throw new Again(`HTTP ${status}`, retryAfter(response.headers))
  }
  if (status === 401 || status === 403) {
    drain(response)
    throw refused(at.login, `HTTP ${status} on ${describeAsk(ask)}`)
  }
  const said = await readResponse(response, 64 * 1024).catch(() => Buffer.alloc(0))
  throw refusedWith(caller, ask, status, said)
}

/** Where a Location leads: never from https to plain http, which a man in the middle could read. */
export function safe(location: string | undefined, from: URL): URL {
  let url: URL
  try {
    url = new URL(location ?? '', from)
    if (location === undefined) throw new Error('no Location')
  } catch {
    throw new RfoError('RFO_CONTENT_REFUSED', `${from.host} names no place to go on`, { exit: 'outside' })
  }
  const plain = url.protocol === 'http:' && (from.protocol === 'http:' || isLoopback(url.hostname))
  if (url.protocol !== 'https:' && !plain) {
    throw new RfoError('RFO_CONTENT_REFUSED', `${from.host} leads from https to ${url.protocol}//${url.host}`, { exit: 'outside' })
  }
  url.username = ''
  url.password = ''
  return url
}

/** `GET host/path`: a query may hold a signature. */
export function describeAsk(ask: Pick<Ask, 'method' | 'url'>): string {
  return `${ask.method} ${ask.url.host}${ask.url.pathname}`
}

function refusedWith(caller: Caller, ask: Ask, status: number, body: Buffer | undefined): RfoError {
  return new RfoError('RFO_CONTENT_REFUSED', `${caller.at.login}: HTTP ${status} on ${describeAsk(ask)}${reason(body)}`, {
    exit: 'outside',
  })
}

/** https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes: the code alone is safe to print. */
function reason(body: Buffer | undefined): string {
  try {
    const code = JSON.parse(body?.toString('utf8') ?? '')?.errors?.[0]?.code
    return typeof code === 'string' && /^[A-Z_]{1,64}$/.test(code) ? `: ${code}` : ''
  } catch {
    return ''
  }
}
