/** Documents from a URL or a folder, small and whole. Plain node:http(s): no parser of our own at a socket. */
import { constants } from 'node:fs'
import { open, readdir, realpath } from 'node:fs/promises'
import http from 'node:http'
import https from 'node:https'
import { join, relative } from 'node:path'
import { RfoError } from '../error.ts'
import { type Addresses, reachAll } from '../plan/addresses.ts'
import { maxDocumentBytes } from './text.ts'

/** `unchanged`: what `validator` named is still what lies there. */
export type Fetched =
  | { readonly bytes: Buffer; readonly validator?: string }
  | { readonly unchanged: true }
  | { readonly defect: 'missing' | 'oversized' }

export interface Place {
  /** what the snapshot calls it */
  readonly from: string
  /** for the folder of what is kept: the same place again is the same key */
  readonly key: string
  /** `path` is relative, with slashes. Throws RFO_ADVISORY_OUTSIDE after retries. */
  read(path: string, validator?: string): Promise<Fetched>
  /** All files with these ends, sorted; undefined = it can't be listed. */
  list(end: string): Promise<readonly string[] | undefined>
}

export interface WebOptions {
  readonly addresses: Addresses
  /** HTTPS_PROXY, HTTP_PROXY and NO_PROXY are honoured */
  readonly env: Readonly<Record<string, string>>
  readonly signal: AbortSignal
  /** Waits between attempts; tests give one that does not. */
  readonly sleep?: (milliseconds: number) => Promise<void>
}

const attempts = 4
const maxRedirects = 5
/** A server that sends nothing for this long is gone. */
const idleMilliseconds = 60_000

/** Whether a path of an index stays below its root: an index is a stranger's word. */
export function isSafePath(path: string): boolean {
  return (
    path.length <= 500 && /^[\w][\w.+@-]*(\/[\w][\w.+@-]*)*$/.test(path) && !path.split('/').some((part) => part === '..' || part === '.')
  )
}

export function folderPlace(folder: string): Place {
  return {
    from: 'a folder',
    key: folder,
    async read(path, validator) {
      // a link may lead to a device, and a pipe would wait for ever
      const handle = await open(join(folder, path), constants.O_RDONLY | constants.O_NONBLOCK).catch(() => undefined)
      if (handle === undefined) return { defect: 'missing' }
      try {
        const found = await handle.stat()
        const { size, mtimeMs, dev, ino } = found
        const root = await realpath(folder)
        const real = await realpath(join(folder, path)).catch(() => '')
        if (!found.isFile() || relative(root, real).startsWith('..')) return { defect: 'missing' }
        if (size > maxDocumentBytes) return { defect: 'oversized' }
        const now = `${size}-${mtimeMs}-${dev}-${ino}`
        if (now === validator) return { unchanged: true }
        return { bytes: await handle.readFile(), validator: now }
      } finally {
        await handle.close()
      }
    },
    async list(end) {
      const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => undefined)
      return entries
        ?.filter((entry) => entry.isFile() && entry.name.toLowerCase().endsWith(end))
        .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
        .filter(isSafePath)
        .sort()
    },
  }
}

/** A failure that may pass by itself: connection, 408, 429, 5xx, half a body. */
class Passing extends Error {}

/** `root` ends with a slash. */
export function webPlace(root: string, { addresses, env, signal, sleep }: WebOptions): Place {
  // proxyEnv: https://nodejs.org/api/http.html#built-in-proxy-support
  const options = { proxyEnv: env, keepAlive: true, maxSockets: 8 } as https.AgentOptions
  const agents = { 'https:': new https.Agent(options), 'http:': new http.Agent(options as http.AgentOptions) }
  const pause = sleep ?? ((milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds)))
  return {
    from: root,
    key: root,
    list: async () => undefined,
    async read(path, validator) {
      const url = root + path
      for (let attempt = 1; ; attempt += 1) {
        signal.throwIfAborted()
        let failed = ''
        for (const address of reachAll(addresses, url)) {
          try {
            return await once(address, validator)
          } catch (thrown) {
            if (signal.aborted) throw signal.reason
            if (!(thrown instanceof Passing)) throw thrown
            failed = thrown.message
          }
        }
        if (attempt === attempts) throw outside(url, `${failed}, ${attempt} times`)
        await pause(500 * 2 ** (attempt - 1))
      }
    },
  }

  async function once(url: string, validator: string | undefined): Promise<Fetched> {
    const response = await get(url, validator, 0)
    try {
      const status = response.statusCode ?? 0
      if (status === 304) return { unchanged: true }
      if (status === 404 || status === 410 || status === 403) return { defect: 'missing' }
      const chunks: Buffer[] = []
      let size = 0
      for await (const chunk of response as AsyncIterable<Buffer>) {
        size += chunk.length
        if (size > maxDocumentBytes) return { defect: 'oversized' }
        chunks.push(chunk)
      }
      const { etag, 'last-modified': modified } = response.headers
      const said = etag ?? modified
      return { bytes: Buffer.concat(chunks), ...(said === undefined || said.length > 300 ? {} : { validator: said }) }
    } catch (cause) {
      throw new Passing(`the connection broke (${(cause as Error).message})`)
    } finally {
      response.destroy()
    }
  }

  function get(url: string, validator: string | undefined, redirects: number): Promise<http.IncomingMessage> {
    return new Promise((resolve, reject) => {
      const target = URL.parse(url)
      if (target?.protocol !== 'https:' && target?.protocol !== 'http:') return reject(outside(url, 'only https and http are spoken'))
      const secure = target.protocol === 'https:'
      const conditional =
        validator === undefined ? {} : /^(W\/)?"/.test(validator) ? { 'if-none-match': validator } : { 'if-modified-since': validator }
      const headers = { 'user-agent': 'rfo-build', 'accept-encoding': 'identity', ...conditional }
      const call = (secure ? https : http).get(target, { agent: agents[target.protocol], headers, signal }, (response) => {
        const status = response.statusCode ?? 0
        const { location } = response.headers
        if ([301, 302, 303, 307, 308].includes(status) && location !== undefined) {
          response.resume()
          const next = URL.parse(location, target.href)
          if (redirects >= maxRedirects) return reject(outside(url, `more than ${maxRedirects} redirects`))
          if (next === null || (secure && next.protocol !== 'https:')) return reject(outside(url, 'a redirect to no https URL'))
          return resolve(get(next.href, validator, redirects + 1))
        }
        if (status === 200 || status === 304 || status === 403 || status === 404 || status === 410) return resolve(response)
        response.resume()
        reject(status === 408 || status === 429 || status >= 500 ? new Passing(`HTTP ${status}`) : outside(url, `HTTP ${status}`))
      })
      call.setTimeout(idleMilliseconds, () => call.destroy(new Error('nothing came for 60 s')))
      call.on('error', (cause) => reject(new Passing(cause.message)))
    })
  }
}

function outside(url: string, what: string): RfoError {
  return new RfoError('RFO_ADVISORY_OUTSIDE', `can't read ${url}: ${what}`, {
    exit: 'outside',
    next: 'run the same command again: it goes on where it ended; or give a mirror or a folder by --from',
  })
}
