/**
 * GitHub's API by octokit, which throttles, retries and pages. Under it the same exchange as for registries: proxies,
 * certificates and bounds are ours. The token goes to the API's own origin and into no message.
 */
import type { IncomingMessage } from 'node:http'
import type { Octokit } from 'octokit'
import { type Agents, createAgents, drain, type Exchange, exchange, isLoopback, readResponse } from '../content/exchange.ts'
import { RfoError } from '../error.ts'
import type { AnswerCache } from './github-cache.ts'

export interface GitHubOptions {
  /** `https://api.github.com`, or `https://HOST/api/v3` of an enterprise's own; http on loopback alone */
  readonly url: string
  readonly token?: string
  /** Proxy settings are read from here: HTTPS_PROXY, NO_PROXY, ... */
  readonly env: Readonly<Record<string, string>>
  readonly userAgent: string
  readonly cache?: AnswerCache
  /** What is waited for and why, for people. */
  readonly line?: (text: string) => void
  /** milliseconds that count as one second when the server or a retry says seconds; default 1000 */
  readonly second?: number
  readonly signal?: AbortSignal
}

export interface GitHub {
  /** host of the API */
  readonly host: string
  /** Runs questions; what octokit throws comes out as RfoError. */
  ask<T>(what: string, work: (octokit: Octokit) => Promise<T>): Promise<T>
}

/** seconds; a longer wait is left to a later run */
const longestWait = 300
const maxTries = 3
/** bytes of one answer; a page of a hundred issues is below 2 MiB */
const maxAnswer = 32 * 1024 * 1024
const maxRedirects = 3

/** Asks nothing yet. Throws RFO_UPSTREAM_GITHUB (usage) for an address that must not be given a token. */
export async function connectGitHub(options: GitHubOptions): Promise<GitHub> {
  const base = baseOf(options.url)
  const second = options.second ?? 1000
  if (options.token !== undefined && !/^[!-~]+$/.test(options.token))
    throw new RfoError('RFO_UPSTREAM_GITHUB', 'a token has no space, line break or other such character', {
      exit: 'usage',
      where: 'GITHUB_TOKEN',
      next: 'set it anew',
    })
  const { Octokit } = await import('octokit')
  const wait = (kind: string) => (seconds: number, _: object, __: object, tries: number) => {
    const again = tries < maxTries && seconds <= longestWait
    options.line?.(`${base.host}: ${kind}${again ? `, waiting ${seconds} s` : `, free again in ${seconds} s`}`)
    return again
  }
  const silent = (): void => {}
  const octokit = new Octokit({
    baseUrl: base.href.replace(/\/$/, ''),
    ...(options.token === undefined ? {} : { auth: options.token }),
    userAgent: options.userAgent,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    request: { fetch: fetchWith(base, options), ...(options.signal === undefined ? {} : { signal: options.signal }) },
    throttle: { onRateLimit: wait('rate limit'), onSecondaryRateLimit: wait('secondary rate limit'), retryAfterBaseValue: second },
    retry: { retries: maxTries, retryAfterBaseValue: second },
  })
  octokit.hook.wrap('request', async (request, asked) => {
    const { url } = octokit.request.endpoint(asked)
    // the address of a next page comes from the server
    if (new URL(url).origin !== base.origin) throw elsewhere(base, new URL(url))
    const answer = await request(asked)
    if (answer.status >= 300) throw elsewhere(base, URL.parse(String(answer.headers.location ?? ''), url))
    return answer
  })
  return {
    host: base.host,
    async ask(what, work) {
      try {
        return await abortable(work(octokit), options.signal)
      } catch (thrown) {
        options.signal?.throwIfAborted()
        throw explained(thrown, `${base.host}: ${what}`, options.token)
      }
    },
  }
}

function baseOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const fits = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url.hostname))
  if (url === undefined || !fits || url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    throw new RfoError('RFO_UPSTREAM_GITHUB', 'not the address of a GitHub API', {
      exit: 'usage',
      where: 'GITHUB_API_URL',
      next: 'give it as https://HOST/api/v3; without it https://api.github.com is asked',
    })
  return url
}

/** The part of fetch that octokit uses: a text goes out, a text comes back, out of the cache when it has not changed. */
function fetchWith(base: URL, { env, signal, cache }: GitHubOptions): typeof fetch {
  const agents = createAgents({ connections: 8, proxy: env })
  return async (input, init) => {
    const address = String(input)
    const method = init?.method === 'POST' ? 'POST' : 'GET'
    const body = typeof init?.body === 'string' ? Buffer.from(init.body) : undefined
    const kept = method === 'GET' ? await cache?.read(address) : undefined
    const { answer, text } = await read(agents, base, {
      method,
      url: new URL(address),
      headers: {
        ...Object.fromEntries(new Headers(init?.headers)),
        ...(body === undefined ? {} : { 'content-length': String(body.length) }),
        ...(kept === undefined ? {} : { 'if-none-match': kept.etag }),
      },
      ...(body === undefined ? {} : { body }),
      signal,
    })
    const status = answer.statusCode ?? 0
    if (status === 304 && kept !== undefined) return new Response(kept.text, { status: 200, headers: kept.headers })
    const headers = Object.fromEntries(Object.entries(answer.headers).map(([name, value]) => [name, String(value)]))
    if (method === 'GET' && status === 200 && headers.etag !== undefined) {
      const { etag, link, 'content-type': type = 'application/json' } = headers
      await cache?.write({ url: address, etag, headers: { 'content-type': type, ...(link === undefined ? {} : { link }) }, text })
    }
    return new Response(status === 204 || status === 304 ? null : text, { status, headers })
  }
}

/** octokit tries again whatever fetch throws, except what has this name: a host that does not exist, an answer without end. */
class Final extends Error {
  override readonly name = 'AbortError'
}

async function read(agents: Agents, base: URL, ask: Exchange): Promise<{ readonly answer: IncomingMessage; readonly text: string }> {
  try {
    const answer = await followed(agents, base, ask)
    return { answer, text: (await readResponse(answer, maxAnswer)).toString('utf8') }
  } catch (thrown) {
    throw thrown instanceof RfoError ? new Final(thrown.message, { cause: thrown }) : thrown
  }
}

/** Redirects of a question are followed at the same origin alone: a repository that was renamed. */
async function followed(agents: Agents, base: URL, ask: Exchange): Promise<IncomingMessage> {
  let { url } = ask
  for (let hop = 0; ; hop += 1) {
    const answer = await exchange(agents, { ...ask, url })
    const { location } = answer.headers
    const moved = [301, 302, 307, 308].includes(answer.statusCode ?? 0) && location !== undefined && URL.canParse(location, url.href)
    if (ask.method !== 'GET' || !moved || hop >= maxRedirects) return answer
    const next = new URL(location, url)
    if (next.origin !== base.origin) return answer
    drain(answer)
    url = next
  }
}

/** Waiting inside octokit's limiter hears no signal. */
function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}

/** octokit's errors carry the request with its headers: nothing of them but status and message is passed on. */
function explained(thrown: unknown, where: string, token: string | undefined): unknown {
  const inner = thrown instanceof Error && thrown.cause instanceof RfoError ? thrown.cause : thrown
  if (inner instanceof RfoError) return inner
  const { status, message, response } = thrown as { status?: unknown; message?: unknown; response?: unknown }
  if (typeof status !== 'number') return thrown
  // a server may say what it was told
  const said = (token === undefined ? String(message) : String(message).replaceAll(token, '***')).slice(0, 300)
  const what = response === undefined ? `no answer: ${said}` : `status ${status}: ${said}`
  return new RfoError('RFO_UPSTREAM_GITHUB', what, { exit: 'outside', where, next: nextFor(status, token !== undefined) })
}

function nextFor(status: number, withToken: boolean): string {
  if (status === 401) return 'give a valid GITHUB_TOKEN, or none'
  if (status === 403 || status === 429)
    return withToken ? 'run it again later' : 'set GITHUB_TOKEN: without one GitHub answers 60 questions an hour'
  if (status === 404) return 'check the repository, and whether the token may see it'
  return 'run it again, or give a clone or a recorded file with --from'
}

function elsewhere(base: URL, url: URL | null): RfoError {
  return new RfoError('RFO_UPSTREAM_GITHUB', `${base.host} sends its client to another place: ${url?.host}`, {
    exit: 'outside',
    next: 'check GITHUB_API_URL and the proxy',
  })
}
