/** A proxy before a registry that drops, lies, throttles and resets, by a seed: the same seed, the same faults for the same requests. */
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { atEnd } from './places.ts'

export const kinds = [
  'busy', // 429, 503
  'reset', // nothing answered, nothing done
  'deaf', // done, and the answer lost
  'half a request', // cut while the body comes
  'cut', // half an answer
  'other bytes',
  'shorter', // fewer bytes, and a length that fits
  'longer', // more bytes, and a length that fits
  'other digest', // in the header
  'slow',
] as const
export type Kind = (typeof kinds)[number]
const lies: ReadonlySet<Kind> = new Set(['other bytes', 'shorter', 'longer'])

export interface Unreliable {
  /** `127.0.0.1:<port>` */
  readonly host: string
  /** how many faults of each kind there have been */
  readonly done: Map<Kind, number>
  /** From now on: faults of this seed, in `share` of all requests; 0 = none. */
  behave(seed: number, share: number): void
}

export function random(seed: number): () => number {
  let state = seed + 1
  // https://en.wikipedia.org/wiki/Xorshift: its low bits are as good as the others
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 0x1_0000_0000
  }
}

export async function unreliable(upstream: string): Promise<Unreliable> {
  const done = new Map<Kind, number>()
  let [next, share] = [random(0), 0]
  const [hostname = '', port = ''] = upstream.split(':')
  const agent = new http.Agent({ keepAlive: true })

  const respond = async (request: http.IncomingMessage, response: http.ServerResponse): Promise<void> => {
    const kind = next() < share ? kinds[Math.floor(next() * kinds.length)] : undefined
    const at = next()
    if (kind !== undefined) done.set(kind, (done.get(kind) ?? 0) + 1)
    if (kind === 'reset') return void request.socket.destroy()
    if (kind === 'busy') {
      request.resume()
      return void response.writeHead(at < 0.5 ? 429 : 503, { 'retry-after': '0' }).end()
    }
    const body: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) {
      body.push(chunk)
      if (kind === 'half a request') return void request.socket.destroy()
    }
    if (kind === 'half a request') return void request.socket.destroy()
    const { status, headers, bytes } = await ask(request, Buffer.concat(body))
    if (kind === 'deaf') return void request.socket.destroy()
    // a list of referrers has no digest: whoever lies there leaves one out, and `verify` alone can tell
    const lists = /\/referrers\//.test(request.url ?? '') && kind !== undefined && lies.has(kind)
    const [changed, said] = answered(lists ? undefined : kind, at, bytes, headers, request.method === 'HEAD')
    response.writeHead(status, said)
    if (request.method === 'HEAD') return void response.end()
    if (kind === 'cut') {
      response.write(changed.subarray(0, Math.floor(at * changed.length)))
      await sleep(2)
      return void request.socket.destroy()
    }
    if (kind === 'slow')
      for (let from = 0; from < changed.length; from += 1 + (changed.length >> 2)) {
        response.write(changed.subarray(from, from + 1 + (changed.length >> 2)))
        await sleep(1)
      }
    response.end(kind === 'slow' ? undefined : changed)
  }

  const ask = (request: http.IncomingMessage, body: Buffer) =>
    new Promise<{ status: number; headers: http.IncomingHttpHeaders; bytes: Buffer }>((resolve, reject) => {
      const { method, url: path } = request
      const headers = { ...request.headers, host: upstream, 'content-length': String(body.length) }
      const through = http.request({ hostname, port, agent, method, path, headers }, (answer) => {
        const parts: Buffer[] = []
        answer.on('data', (part: Buffer) => parts.push(part))
        answer.on('end', () => resolve({ status: answer.statusCode ?? 502, headers: answer.headers, bytes: Buffer.concat(parts) }))
        answer.on('error', reject)
      })
      through.on('error', reject).end(body)
    })

  const server = http.createServer((request, response) => {
    request.on('error', () => {})
    respond(request, response).catch(() => request.socket.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atEnd(() => {
    agent.destroy()
    server.closeAllConnections()
    server.close()
  })
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    done,
    behave(seed, faults) {
      ;[next, share] = [random(seed), faults]
    },
  }
}

function answered(
  kind: Kind | undefined,
  at: number,
  bytes: Buffer,
  headers: http.IncomingHttpHeaders,
  head: boolean,
): [Buffer, http.OutgoingHttpHeaders] {
  const { 'transfer-encoding': _, ...said } = headers
  let changed = bytes
  if (kind === 'other bytes' && bytes.length > 0) {
    changed = Buffer.from(bytes)
    const place = Math.floor(at * changed.length)
    changed[place] = (changed[place] ?? 0) ^ 0x20
  }
  if (kind === 'shorter') changed = bytes.subarray(0, Math.floor(at * bytes.length))
  if (kind === 'longer') changed = Buffer.concat([bytes, Buffer.alloc(1 + Math.floor(at * 1000))])
  if (kind === 'other digest' && said['docker-content-digest'] !== undefined)
    said['docker-content-digest'] = `sha256:${'0123456789abcdef'[Math.floor(at * 16)]?.repeat(64)}`
  return [changed, head ? said : { ...said, 'content-length': String(changed.length) }]
}
