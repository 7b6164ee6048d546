/** The server: Node's own http over an offer. It reads, answers GET and HEAD, and ends what is slow or not as signed. */
import http from 'node:http'
import https from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Range } from '../content/file.ts'
import { RfoError } from '../error.ts'
import { drained } from '../oci/drained.ts'
import { type Answer, problem, text } from './answer.ts'
import { type Checked, checkedReader } from './checked.ts'
import { fileAnswer } from './files.ts'
import type { Offer, OfferedFile } from './offer.ts'
import type { Gate } from './passwords.ts'
import { rangeOf } from './range.ts'
import { registryAnswer } from './registry.ts'

export interface ServeRequest {
  readonly offer: Offer
  readonly host: string
  /** 0 = any that is free */
  readonly port: number
  /** PEM */
  readonly tls?: { readonly cert: string; readonly key: string }
  readonly gate?: Gate
  /** Told of a file that is no more what was signed. */
  onRefused(path: string, thrown: unknown): void
  readonly limits?: Partial<Limits>
}

export interface Limits {
  /** sockets at once; each holds a few pieces */
  readonly connections: number
  /** milliseconds in which a client must take what has been written, and send what it asks */
  readonly patience: number
  /** milliseconds that answers under way have after `close` */
  readonly grace: number
}

const limits: Limits = { connections: 128, patience: 60_000, grace: 10_000 }

export interface Serving {
  /** `https://127.0.0.1:5000` */
  readonly url: string
  close(): Promise<void>
}

export async function serveOffer(request: ServeRequest): Promise<Serving> {
  const { offer, gate, tls, onRefused } = request
  const { connections, patience, grace } = { ...limits, ...request.limits }
  const checked = checkedReader(offer)
  const options = {
    headersTimeout: patience,
    requestTimeout: patience,
    connectionsCheckingInterval: Math.min(1000, patience),
    keepAliveTimeout: 5000,
    maxHeaderSize: 16 * 1024,
  }
  const listener = (asked: http.IncomingMessage, response: http.ServerResponse): void => {
    // a body that nobody wants is not read for longer than a request may take
    asked.resume()
    answerOf(offer, gate, asked)
      .then((answer) => deliver(answer, asked, response, checked, patience, onRefused))
      .catch(() => response.destroy())
  }
  const server = tls === undefined ? http.createServer(options, listener) : https.createServer({ ...options, ...tls }, listener)
  server.maxConnections = connections
  server.maxHeadersCount = 100
  server.timeout = patience
  // TLS: a handshake that is broken off is the client's business
  server.on('tlsClientError', (_error: Error, socket: Socket) => socket.destroy())
  await listen(server, request.host, request.port)
  const { port } = server.address() as AddressInfo
  const host = request.host.includes(':') ? `[${request.host}]` : request.host
  return {
    url: `${tls === undefined ? 'http' : 'https'}://${host}:${port}`,
    close: () =>
      new Promise((resolve) => {
        const last = setTimeout(() => server.closeAllConnections(), grace)
        server.close(() => {
          clearTimeout(last)
          resolve()
        })
        server.closeIdleConnections()
      }),
  }
}

function listen(server: http.Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) =>
      reject(
        new RfoError('RFO_SERVE_LISTEN', `can't listen: ${cause.code ?? cause.message}`, {
          exit: 'machine',
          where: `${host}:${port}`,
          cause,
          next: 'give another place: --listen <host>:<port>',
        }),
      ),
    )
    server.listen(port, host, resolve)
  })
}

async function answerOf(offer: Offer, gate: Gate | undefined, { method, url = '', headers }: http.IncomingMessage): Promise<Answer> {
  if (method !== 'GET' && method !== 'HEAD') return problem(405, 'UNSUPPORTED', { allow: 'GET, HEAD', connection: 'close' })
  const verdict = gate === undefined ? 'yes' : await gate(headers.authorization)
  if (verdict === 'busy') return problem(429, 'TOOMANYREQUESTS', { 'retry-after': '1' })
  if (verdict === 'no') return problem(401, 'UNAUTHORIZED', { 'www-authenticate': 'Basic realm="rfo"' })
  const [raw = '', query = ''] = url.split('?', 2)
  const path = decoded(raw)
  if (path === undefined) return text(400, 'not a path\n')
  return path === '/v2' || path.startsWith('/v2/') ? registryAnswer(offer, path, new URLSearchParams(query)) : fileAnswer(offer, path)
}

function decoded(path: string): string | undefined {
  try {
    return path.startsWith('/') ? decodeURIComponent(path) : undefined
  } catch {
    return undefined
  }
}

async function deliver(
  { status, headers, body }: Answer,
  request: http.IncomingMessage,
  response: http.ServerResponse,
  checked: Checked,
  patience: number,
  onRefused: ServeRequest['onRefused'],
): Promise<void> {
  // what a browser would guess a file to be is of no use here
  const safe = { 'x-content-type-options': 'nosniff', ...headers }
  if (typeof body === 'string') {
    response.writeHead(status, { ...safe, 'content-length': String(Buffer.byteLength(body)) })
    response.end(request.method === 'HEAD' ? undefined : body)
    return
  }
  const etag = `"${body.digest}"`
  const same = { ...safe, etag, 'accept-ranges': 'bytes' }
  if (request.headers['if-none-match'] === etag) {
    response.writeHead(304, { etag }).end()
    return
  }
  const { range: wanted, 'if-range': unless } = request.headers
  const range = unless === undefined || unless === etag ? rangeOf(wanted, body.size) : undefined
  if (range === 'none') {
    response.writeHead(416, { 'content-range': `bytes */${body.size}`, 'content-length': '0' }).end()
    return
  }
  const length = { 'content-length': String(range === undefined ? body.size : range.end - range.start) }
  const part = range === undefined ? {} : { 'content-range': `bytes ${range.start}-${range.end - 1}/${body.size}` }
  const head = (): unknown => response.writeHead(range === undefined ? status : 206, { ...same, ...length, ...part })
  if (request.method === 'HEAD') {
    head()
    response.end()
    return
  }
  try {
    await send(body, range, checked, response, head, patience)
  } catch (thrown) {
    // never the end of a body that is not what was signed: the client sees a broken connection
    response.destroy()
    onRefused(body.path, thrown)
  }
}

async function send(
  file: OfferedFile,
  range: Range | undefined,
  checked: Checked,
  response: http.ServerResponse,
  head: () => unknown,
  patience: number,
): Promise<void> {
  let begun = false
  for await (const bytes of checked.read(file, range)) {
    if (!begun) head()
    begun = true
    if (!response.write(bytes)) await taken(response, patience)
    if (response.destroyed) return
  }
  if (!begun) head()
  response.end()
}

/** Resolves when the client has taken what was written, or is gone. One that takes too long is cut off. */
async function taken(response: http.ServerResponse, patience: number): Promise<void> {
  const late = setTimeout(() => response.destroy(), patience)
  await drained(response)
  clearTimeout(late)
}
