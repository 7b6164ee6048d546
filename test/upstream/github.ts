/** A stand-in for GitHub's API on loopback: the routes that track asks, with pages, ETags and faults. */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Question {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly status: number
}

/** Answers a question instead of the routes; gives whether it did. */
export type Fault = (request: IncomingMessage, response: ServerResponse) => boolean

export interface Stand {
  readonly url: string
  readonly asked: Question[]
  /** Tried in order before the routes; each is used up by its first answer. */
  readonly faults: Fault[]
  readonly issues: { number: number; title: string; body: string | null; state: string; pull_request?: object }[]
  tags: readonly (readonly [name: string, commit: string, date: string])[]
  close(): Promise<void>
}

export async function standIn(perPage = 100): Promise<Stand> {
  const asked: Question[] = []
  const faults: Fault[] = []
  const issues: Stand['issues'] = []
  const stand = { url: '', asked, faults, issues, tags: [] as Stand['tags'] }

  const server = createServer((request, response) => {
    response.on('finish', () =>
      asked.push({
        method: request.method ?? '',
        path: request.url ?? '',
        headers: request.headers,
        status: response.statusCode,
      }),
    )
    const fault = faults.findIndex((each) => each(request, response))
    if (fault !== -1) return void faults.splice(fault, 1)
    const url = new URL(request.url ?? '', stand.url)
    if (request.method === 'POST' && url.pathname === '/repos/rfolabs/rfo/issues') return create(request, response)
    const commit = /^\/repos\/rancher\/rke2\/git\/commits\/([0-9a-f]{40})$/.exec(url.pathname)?.[1]
    if (url.pathname === '/repos/rancher/rke2/tags')
      return page(
        url,
        request,
        response,
        stand.tags.map(([name, sha]) => ({ name, commit: { sha } })),
      )
    if (url.pathname === '/repos/rfolabs/rfo/issues')
      return page(
        url,
        request,
        response,
        issues.map((each) => ({ html_url: `https://github.test/rfolabs/rfo/issues/${each.number}`, ...each })),
      )
    const date = stand.tags.find(([, sha]) => sha === commit)?.[2]
    if (date !== undefined) return json(request, response, { sha: commit, committer: { name: 'somebody', date } })
    response.writeHead(404, { 'content-type': 'application/json' }).end('{"message":"Not Found"}')
  })

  function page(url: URL, request: IncomingMessage, response: ServerResponse, all: readonly unknown[]): void {
    const at = Number(url.searchParams.get('page') ?? 1)
    const last = Math.max(1, Math.ceil(all.length / perPage))
    const to = (number: number): string => `${stand.url}${url.pathname}?per_page=${perPage}&page=${number}`
    const link = at < last ? { link: `<${to(at + 1)}>; rel="next", <${to(last)}>; rel="last"` } : {}
    json(request, response, all.slice((at - 1) * perPage, at * perPage), link)
  }

  function json(request: IncomingMessage, response: ServerResponse, value: unknown, headers: Record<string, string> = {}): void {
    const text = JSON.stringify(value)
    const etag = `W/"${createHash('sha256').update(text).digest('hex')}"`
    if (request.headers['if-none-match'] === etag) return void response.writeHead(304, { etag }).end()
    response.writeHead(200, { 'content-type': 'application/json; charset=utf-8', etag, ...headers }).end(text)
  }

  function create(request: IncomingMessage, response: ServerResponse): void {
    let text = ''
    request.on('data', (chunk) => {
      text += chunk
    })
    request.on('end', () => {
      const { title, body } = JSON.parse(text)
      const made = { number: issues.length + 1, title, body, state: 'open' }
      issues.unshift(made)
      response
        .writeHead(201, { 'content-type': 'application/json' })
        .end(JSON.stringify({ html_url: `https://github.test/rfolabs/rfo/issues/${made.number}`, ...made }))
    })
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  stand.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return Object.assign(stand, {
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  })
}

/** Answers the first question whose address matches. */
export function once(path: RegExp, status: number, headers: Record<string, string>, body: unknown): Fault {
  return (request, response) => {
    if (!path.test(request.url ?? '')) return false
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
    return true
  }
}
