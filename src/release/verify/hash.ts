/** Digests of many files: one pass over each, on all cores where that is worth their start. */
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Extent } from '../../content/file.ts'
import { RfoError } from '../../error.ts'
import type { HashAnswer, HashOrder } from './hash-worker.ts'
import { type Hashed, hashFile } from './tree.ts'

export interface ToHash {
  /** relative, with `/` */
  readonly path: string
  readonly sm3: boolean
  /** bytes, as far as known: large files come first, so that no core is left with one at the end */
  readonly size: number
}

/** bytes: below, starting a thread (30 ms of CPU) costs more than it saves */
const worthThreads = 192 * 1024 * 1024

/** In rfo-verify.cjs there is one file alone, and what lies beside it is what is verified: never a program. */
const hasWorker = /[/\\]hash\.ts$/.test(import.meta.filename ?? '')

/** Rejects with RFO_VERIFY_READ for a file that can't be read. `of`: a folder, or where the bytes of each file lie. */
export async function hashFiles(
  of: string | ((path: string) => Extent),
  files: readonly ToHash[],
  threads = availableParallelism(),
): Promise<Map<string, Hashed>> {
  const where = typeof of === 'string' ? (path: string): Extent => ({ file: join(of, path) }) : of
  const queue = [...files].sort((a, b) => b.size - a.size || (a.path < b.path ? -1 : 1))
  const total = queue.reduce((sum, { size }) => sum + size, 0)
  const found = new Map<string, Hashed>()
  const next = (): ToHash | undefined => queue.shift()
  if (!hasWorker || threads < 2 || total < worthThreads || queue.length < 2) {
    for (let file = next(); file !== undefined; file = next()) found.set(file.path, await hashFile(where(file.path), file.sm3))
    return found
  }
  await Promise.all(Array.from({ length: Math.min(threads, queue.length) }, () => inThread(where, next, found)))
  return found
}

/** One thread takes files until none is left. */
function inThread(where: (path: string) => Extent, next: () => ToHash | undefined, found: Map<string, Hashed>): Promise<void> {
  const worker = new Worker(new URL('./hash-worker.ts', import.meta.url), { env: {}, execArgv: [], stdin: false })
  return new Promise<void>((resolve, reject) => {
    let doing: ToHash | undefined
    const give = (): void => {
      doing = next()
      if (doing === undefined) {
        resolve()
        return
      }
      const order: HashOrder = { extent: where(doing.path), sm3: doing.sm3 }
      worker.postMessage(order)
    }
    worker.on('message', (answer: HashAnswer) => {
      if ('failed' in answer) {
        const { code, message, exit, where } = answer.failed
        reject(new RfoError(code, message, { exit, ...(where === undefined ? {} : { where }) }))
      } else {
        if (doing !== undefined) found.set(doing.path, answer)
        give()
      }
    })
    worker.once('error', reject)
    worker.once('exit', () => reject(new Error('a thread that hashes ended by itself')))
    give()
  }).finally(() => void worker.terminate())
}
