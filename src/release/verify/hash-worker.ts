/** A thread that hashes the files it is given, one after the other. */
import { parentPort } from 'node:worker_threads'
import { type Hashed, hashFile } from './tree.ts'

export interface HashOrder {
  /** absolute */
  readonly file: string
  readonly sm3: boolean
}

export type HashAnswer = Hashed | { readonly failed: string; readonly code: string | undefined }

parentPort?.on('message', ({ file, sm3 }: HashOrder) => {
  hashFile(file, sm3).then(
    (hashed) => parentPort?.postMessage(hashed satisfies HashAnswer),
    (cause: NodeJS.ErrnoException) => parentPort?.postMessage({ failed: cause.message, code: cause.code } satisfies HashAnswer),
  )
})
