/** One file over HTTP(S), verified while it streams, kept by its digest. */

import { randomUUID } from 'node:crypto'
import { mkdir, open, rename, rm, stat } from 'node:fs/promises'
import type http from 'node:http'
import { join } from 'node:path'
import { createAgents, destroyAgents } from '../content/exchange.ts'
import { digestOfFile } from '../content/file.ts'
import { openWeb } from '../content/web.ts'
import { RfoError } from '../error.ts'
import { createDigester, type Digest, hex } from '../oci/digest.ts'
import { type Addresses, reachAll } from '../plan/addresses.ts'

export interface DownloadRequest {
  /** as the lock spells it; `addresses` say where it is really reached */
  readonly url: string
  readonly addresses: Addresses
  /** HTTPS_PROXY, HTTP_PROXY and NO_PROXY are honoured */
  readonly env: Readonly<Record<string, string>>
  readonly workDir: string
  /** what must come; undefined while a lock is being made */
  readonly expected?: { readonly digest: Digest; readonly size: number }
  readonly signal?: AbortSignal
  /** Waits between attempts; tests give one that does not. Default: a timer. */
  readonly sleep?: (milliseconds: number) => Promise<void>
}

export interface Downloaded {
  readonly file: string
  readonly digest: Digest
  /** bytes */
  readonly size: number
}

const maxBytes = 4 * 1024 ** 3
const attempts = 4

/** Gives the file in `workDir/downloads`; RFO_SOURCE_SUM when the bytes are others, RFO_SOURCE_DOWNLOAD when they can't be had. */
export async function download(request: DownloadRequest): Promise<Downloaded> {
  const folder = join(request.workDir, 'downloads')
  await mkdir(folder, { recursive: true })
  const cached = request.expected === undefined ? undefined : await reuse(folder, request.expected)
  if (cached !== undefined) return cached
  const sleep = request.sleep ?? ((milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)))
  for (let attempt = 1; ; attempt += 1) {
    request.signal?.throwIfAborted()
    try {
      return await anywhere(request, folder)
    } catch (thrown) {
      if (request.signal?.aborted) throw request.signal.reason
      if (attempt === attempts || !(thrown instanceof Passing)) {
        throw thrown instanceof Passing ? outside(request.url, `${thrown.message}, ${attempt} times`) : thrown
      }
    }
    await sleep(500 * 2 ** (attempt - 1))
  }
}

/** Each mirror once. One that has other bytes ends it: it is not passed over. */
async function anywhere(request: DownloadRequest, folder: string): Promise<Downloaded> {
  let failed: unknown
  for (const address of reachAll(request.addresses, request.url)) {
    try {
      return await once(request, folder, address)
    } catch (thrown) {
      if (!mayBeElsewhere(thrown, request)) throw thrown
      // what may pass is worth another attempt
      if (!(failed instanceof Passing)) failed = thrown
    }
  }
  throw failed
}

function mayBeElsewhere(thrown: unknown, { signal }: DownloadRequest): boolean {
  return signal?.aborted !== true && (thrown instanceof Passing || (thrown instanceof RfoError && thrown.exit === 'outside'))
}

/** A failure that may pass by itself: connection, 408, 429, 5xx, half a body. */
class Passing extends Error {}

function outside(url: string, what: string): RfoError {
  return new RfoError('RFO_SOURCE_DOWNLOAD', `can't download ${url}: ${what}`, {
    exit: 'outside',
    next: 'run the same command again, or give a mirror by an address',
  })
}

/** A cached download counts only when its bytes are right. */
async function reuse(folder: string, expected: { digest: Digest; size: number }): Promise<Downloaded | undefined> {
  const file = join(folder, hex(expected.digest))
  const found = await stat(file).catch(() => undefined)
  if (found === undefined) return undefined
  if (found.size === expected.size && (await digestOfFile(file)) === expected.digest) return { file, ...expected }
  await rm(file, { force: true })
  return undefined
}

async function once(request: DownloadRequest, folder: string, address: string): Promise<Downloaded> {
  const agents = createAgents({ connections: 1, proxy: request.env })
  try {
    const opened = await openWeb(address, { agents, signal: request.signal })
    if ('response' in opened) return await keep(request, folder, opened.response)
    throw opened.passing ? new Passing(opened.failed) : outside(request.url, opened.failed)
  } finally {
    destroyAgents(agents)
  }
}

/** Verified while it streams. */
async function keep(request: DownloadRequest, folder: string, response: http.IncomingMessage): Promise<Downloaded> {
  const { expected } = request
  const temporary = join(folder, `.${randomUUID()}`)
  const handle = await open(temporary, 'wx', 0o644)
  try {
    const digester = createDigester()
    let size = 0
    const limit = expected?.size ?? maxBytes
    try {
      for await (const chunk of response) {
        size += (chunk as Buffer).length
        if (size > limit) break
        digester.update(chunk as Buffer)
        await handle.writeFile(chunk as Buffer)
      }
    } catch (thrown) {
      const system = (thrown as NodeJS.ErrnoException).syscall === 'write'
      if (system)
        throw new RfoError('RFO_SOURCE_WRITE', `can't write ${temporary}: ${(thrown as Error).message}`, {
          exit: 'machine',
          cause: thrown,
          next: 'free some space',
        })
      throw new Passing(`the connection broke after ${size} bytes (${(thrown as Error).message})`)
    } finally {
      response.destroy()
    }
    const digest = digester.finish()
    if (size > limit) throw wrong(request, `more than ${limit} bytes`)
    if (expected !== undefined && (size !== expected.size || digest !== expected.digest)) throw wrong(request, `${digest} (${size} bytes)`)
    await handle.sync()
    await handle.close()
    const file = join(folder, hex(digest))
    await rename(temporary, file)
    return { file, digest, size }
  } catch (thrown) {
    await handle.close().catch(() => {})
    await rm(temporary, { force: true })
    throw thrown
  }
}

function wrong(request: DownloadRequest, got: string): RfoError {
  const { expected } = request
  if (expected === undefined) return outside(request.url, got)
  return new RfoError(
    'RFO_SOURCE_SUM',
    `${request.url} is not what the lock pins: expected ${expected.digest} (${expected.size} bytes), got ${got}`,
    {
      exit: 'untrusted',
      next: 'find out who changed it; `rfo-build lock <version> --update <name>` accepts it',
    },
  )
}
