/** Documents from a URL or a folder, small and whole. */
import { constants } from 'node:fs'
import { open, readdir, realpath } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { Again, createAgents, drain, readResponse } from '../content/exchange.ts'
import { openWeb } from '../content/web.ts'
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

/** `root` ends with a slash. */
export function webPlace(root: string, { addresses, env, signal, sleep }: WebOptions): Place {
  const agents = createAgents({ connections: 8, proxy: env })
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
            if (!(thrown instanceof Again)) throw thrown
            failed = thrown.message
          }
        }
        if (attempt === attempts) throw outside(url, `${failed}, ${attempt} times`)
        await pause(500 * 2 ** (attempt - 1))
      }
    },
  }

  async function once(url: string, validator: string | undefined): Promise<Fetched> {
    const headers =
      validator === undefined ? {} : /^(W\/)?"/.test(validator) ? { 'if-none-match': validator } : { 'if-modified-since': validator }
    const opened = await openWeb(url, { agents, headers, answers: [200, 304, 403, 404, 410], signal })
    if ('failed' in opened) throw opened.passing ? new Again(opened.failed) : outside(url, opened.failed)
    const { response } = opened
    if (response.statusCode !== 200) drain(response)
    if (response.statusCode === 304) return { unchanged: true }
    if (response.statusCode !== 200) return { defect: 'missing' }
    try {
      const bytes = await readResponse(response, maxDocumentBytes)
      const { etag, 'last-modified': modified } = response.headers
      const said = etag ?? modified
      return { bytes, ...(said === undefined || said.length > 300 ? {} : { validator: said }) }
    } catch (thrown) {
      if (thrown instanceof RfoError && thrown.code === 'RFO_CONTENT_SIZE') return { defect: 'oversized' }
      throw thrown
    }
  }
}

function outside(url: string, what: string): RfoError {
  return new RfoError('RFO_ADVISORY_OUTSIDE', `can't read ${url}: ${what}`, {
    exit: 'outside',
    next: 'run the same command again: it goes on where it ended; or give a mirror or a folder by --from',
  })
}
