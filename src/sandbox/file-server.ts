/** One HTTP server on loopback for everything that is not an image: git repositories, source archives, charts. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { deflateSync } from 'node:zlib'
import type { GitRepository } from './sources.ts'

export interface FileServer {
  /** `http://127.0.0.1:<port>` */
  readonly url: string
  close(): Promise<void>
}

/** Bytes made when they are asked for. */
export type Served = () => Buffer

/**
 * A repository over git's dumb protocol: loose objects and a list of refs, no program behind it.
 * https://git-scm.com/docs/http-protocol#_dumb_clients . Reached with and without `.git`, as on a real host.
 */
export function serveRepository(files: Map<string, Served>, repository: GitRepository): void {
  const path = publicPath(repository.url)
  const names = [...repository.refs.keys()].sort()
  const refs = names.map((name) => `${repository.refs.get(name)}\t${name}\n`).join('')
  for (const root of [path, `${path}.git`]) {
    files.set(`${root}/HEAD`, () => Buffer.from('ref: refs/heads/main\n'))
    files.set(`${root}/info/refs`, () => Buffer.from(refs))
    files.set(`${root}/objects/info/packs`, () => Buffer.from('\n'))
    for (const [name, object] of repository.objects) {
      files.set(`${root}/objects/${name.slice(0, 2)}/${name.slice(2)}`, () => deflateSync(object))
    }
  }
}

/** `https://github.com/coredns/coredns` → `/github.com/coredns/coredns`: where the server has what lies at a public URL. */
export function publicPath(url: string): string {
  const { host, pathname } = new URL(url)
  return decodeURIComponent(`/${host}${pathname}`)
}

/** Listens on a free port of 127.0.0.1. GET and HEAD; anything unknown is 404. */
export function startFileServer(files: ReadonlyMap<string, Served>): Promise<FileServer> {
  const server = createServer((request, response) => {
    answer(files, request, response)
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      server.off('error', reject)
      const { port } = server.address() as AddressInfo
      resolve({
        url: `http://127.0.0.1:${port}`,
        close: () =>
          new Promise((closed) => {
            server.close(() => closed())
            server.closeAllConnections()
          }),
      })
    })
  })
}

function answer(files: ReadonlyMap<string, Served>, request: IncomingMessage, response: ServerResponse): void {
  request.resume()
  const path = pathOf(request.url ?? '/')
  const served = path === undefined ? undefined : files.get(path)
  if (request.method !== 'GET' && request.method !== 'HEAD') refuse(response, 405, 'only GET and HEAD')
  else if (served === undefined) refuse(response, 404, 'not in this sandbox')
  else {
    const bytes = served()
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': bytes.length })
    response.end(request.method === 'HEAD' ? undefined : bytes)
  }
}

function pathOf(target: string): string | undefined {
  try {
    return decodeURIComponent(target.split('?', 1)[0] ?? '')
  } catch {
    return undefined // a broken percent sign
  }
}

function refuse(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' })
  response.end(`${text}\n`)
}
