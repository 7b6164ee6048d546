/**
 * One HTTP exchange and the rule for doing it again. Node's own client over agents that keep connections; no parser of
 * our own. What may be tried again is thrown as `Again`; `retrying` waits, counts, and in the end says whose fault it was.
 */
import http from 'node:http'
import https from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import tls from 'node:tls'
import { RfoError } from '../error.ts'
import { drained } from '../oci/drained.ts'
import type { Body } from './body.ts'

export interface Retry {
  /** Tries in all. Default 5. */
  readonly attempts?: number
  /** milliseconds before the second try, doubled with each; default 250 */
  readonly first?: number
  /** milliseconds at most between two tries, `Retry-After` included; a longer one ends it. Default 60 000 */
  readonly longest?: number
  /** How waiting is done. */
  wait?(milliseconds: number, signal?: AbortSignal): Promise<void>
}

export interface Agents {
  readonly http: http.Agent
  readonly https: https.Agent
  /** Loopback is never asked for through a proxy. */
  readonly loopback: http.Agent
}

/** milliseconds without a byte in either direction */
const idle = 60_000

export function createAgents(options: {
  readonly connections: number
  readonly proxy?: Readonly<Record<string, string | undefined>>
  readonly ca?: string
}): Agents {
  const ca = options.ca === undefined ? {} : { ca: [...trustedHere(), options.ca] }
  const base = { keepAlive: true, maxSockets: options.connections, scheduling: 'lifo' as const }
  const proxied = { ...base, ...(options.proxy === undefined ? {} : { proxyEnv: { ...options.proxy } }) }
  return {
    http: new http.Agent(proxied),
    https: new https.Agent({ ...proxied, ...ca }),
    loopback: new http.Agent(base),
  }
}

/** For agents of one task: connections that are kept would outlive it. */
export function destroyAgents(agents: Agents): void {
  for (const agent of Object.values(agents)) agent.destroy()
}

/** What Node trusts without being told, `NODE_EXTRA_CA_CERTS` among it where this Node can say so (22.15). */
function trustedHere(): readonly string[] {
  return typeof tls.getCACertificates === 'function' ? tls.getCACertificates('default') : tls.rootCertificates
}

export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || hostname === '::1' || /^127(?:\.\d{1,3}){3}$/.test(hostname)
}

/** Something that another try may mend. */
export class Again extends Error {
  /** milliseconds that the server asked for */
  readonly after: number | undefined
  constructor(message: string, after?: number, cause?: unknown) {
    super(message, { cause })
    this.after = after
  }
}

export interface Exchange {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT'
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  /** Bytes, or a stream with `content-length` among the headers. A stream's own failure is thrown as it is. */
  readonly body?: Uint8Array | Body
  readonly signal?: AbortSignal | undefined
}

/** Gives the response, its body unread: read it, or `drain` it. Network failures are thrown as `Again`, or as RfoError when another try can't help. */
export async function exchange(agents: Agents, ask: Exchange): Promise<http.IncomingMessage> {
  const { url, method, headers, body, signal } = ask
  signal?.throwIfAborted()
  const secure = url.protocol === 'https:'
  const agent = secure ? agents.https : isLoopback(url.hostname) ? agents.loopback : agents.http
  const client = secure ? https : http
  let bodyFailure: { readonly thrown: unknown } | undefined
  const request = client.request(url, { method, headers, agent, timeout: idle, ...(signal === undefined ? {} : { signal }) })
  const response = new Promise<http.IncomingMessage>((resolve, reject) => {
    request.once('response', resolve)
    request.on('error', reject)
    // a client without this listener drops the connection and says neither `response` nor `error`
    request.once('upgrade', (_answer, socket) => {
      socket.destroy()
      reject(Object.assign(new Error('the server changed the protocol'), { code: 'ECONNRESET' }))
    })
    request.once('timeout', () => request.destroy(Object.assign(new Error('nothing came'), { code: 'ETIMEDOUT' })))
  })
  response.catch(() => {})
  if (body === undefined || body instanceof Uint8Array) request.end(body)
  else {
    await send(request, body, response).catch((thrown) => {
      bodyFailure = { thrown }
      request.destroy()
    })
  }
  if (bodyFailure !== undefined) throw bodyFailure.thrown
  try {
    const answer = await response
    // answered before all was sent: the connection is of no more use than the answer
    if (!request.writableEnded) answer.once('close', () => request.destroy())
    return answer
  } catch (cause) {
    signal?.throwIfAborted()
    throw network(cause, url)
  }
}

/** Writes a body, asking for the next bytes while the last ones leave. Stops early when the server answers early. */
async function send(request: http.ClientRequest, body: Body, response: Promise<unknown>): Promise<void> {
  let over = false
  const ended = response.then(
    () => {
      over = true
    },
    () => {
      over = true
    },
  )
  const iterator = body[Symbol.asyncIterator]()
  try {
    let next = iterator.next()
    for (;;) {
      const { done, value } = await next
      if (done === true || over) break
      next = iterator.next()
      next.catch(() => {})
      if (request.write(value)) continue
      // destroyed, and not yet said so: a body must not be read on until then
      await (request.destroyed ? ended : Promise.race([drained(request), ended]))
    }
    if (!over) request.end()
  } finally {
    await iterator.return?.()
  }
}

/** Reads a small response whole. */
export async function readResponse(response: http.IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let total = 0
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      total += chunk.length
      if (total > maxBytes) {
        response.destroy()
        throw new RfoError('RFO_CONTENT_SIZE', `an answer of more than ${maxBytes} bytes`, { exit: 'untrusted' })
      }
      chunks.push(chunk)
    }
  } catch (cause) {
    if (cause instanceof RfoError) throw cause
    throw new Again(`the answer broke off: ${codeOf(cause)}`, undefined, cause)
  }
  return Buffer.concat(chunks)
}

/** Lets a response go: read to its end when it is short, so that the connection can be used again. */
export function drain(response: http.IncomingMessage): void {
  response.on('error', () => {})
  const length = Number(response.headers['content-length'] ?? 0)
  // the answer to HEAD has the length of a body that never comes
  const { req: request } = response as http.IncomingMessage & { readonly req?: http.ClientRequest }
  if (length > 64 * 1024 && request?.method !== 'HEAD') response.destroy()
  else response.resume()
}

const passing = new Set([
  'ECONNRESET',
  'ECONNREFUSED',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EAI_AGAIN',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'ERR_STREAM_PREMATURE_CLOSE',
])

function codeOf(cause: unknown): string {
  return (cause as NodeJS.ErrnoException | undefined)?.code ?? 'connection lost'
}

function network(cause: unknown, url: URL): unknown {
  const code = codeOf(cause)
  // every address of a host refused: an AggregateError has no single reason, its first is as good as any
  if (passing.has(code) || code === 'connection lost') return new Again(code, undefined, cause)
  return outside(`${url.host}: ${code}`, cause)
}

export function outside(message: string, cause?: unknown): RfoError {
  return new RfoError('RFO_CONTENT_OUTSIDE', message, {
    exit: 'outside',
    next: 'run the same command again: it goes on where it stopped',
    ...(cause === undefined ? {} : { cause }),
  })
}

/** https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3: seconds, or a date, which is read against the server's own clock. Milliseconds. */
export function retryAfter(headers: http.IncomingHttpHeaders): number | undefined {
  const text = headers['retry-after']
  if (text === undefined) return undefined
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000
  const difference = Date.parse(text) - Date.parse(headers.date ?? '')
  return Number.isFinite(difference) ? Math.max(0, difference) : undefined
}

export function isPassing(status: number): boolean {
  return status === 408 || status === 429 || status === 500 || status === 502 || status === 503 || status === 504
}

/** milliseconds before try number `tries + 1`; undefined = no more of them */
export function delay(retry: Retry, tries: number, after: number | undefined): number | undefined {
  const longest = retry.longest ?? 60_000
  if (tries >= (retry.attempts ?? 5) || (after !== undefined && after > longest)) return undefined
  return Math.min(longest, Math.max(after ?? 0, (retry.first ?? 250) * 2 ** (tries - 1)))
}

/** Tries until it works or another try makes no sense. `what` is `GET host/path`: no query, no header, no secret. */
export async function retrying<T>(retry: Retry, what: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work()
    } catch (thrown) {
      if (!(thrown instanceof Again)) throw thrown
      const milliseconds = delay(retry, tries, thrown.after)
      if (milliseconds === undefined)
        throw outside(`${what}: ${thrown.message} after ${tries} ${tries === 1 ? 'try' : 'tries'}`, thrown.cause)
      await pause(retry, milliseconds, signal)
    }
  }
}

export async function pause(retry: Retry, milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  await (retry.wait ?? ((ms, stop) => sleep(ms, undefined, stop === undefined ? {} : { signal: stop })))(milliseconds, signal)
  signal?.throwIfAborted()
}
