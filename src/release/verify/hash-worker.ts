/** A thread that hashes the files it is given, one after the other. */
import { parentPort } from 'node:worker_threads'
import type { Extent } from '../../content/file.ts'
import { type Hashed, hashFile } from './tree.ts'

export interface HashOrder {
  /** of an absolute path */
  readonly extent: Extent
  readonly sm3: boolean
}

export type HashAnswer = Hashed | { readonly failed: string; readonly code: string | undefined }

parentPort?.on('message', ({ extent, sm3 }: HashOrder) => {
  hashFile(extent, sm3).then(
    (hashed) => parentPort?.postMessage(hashed satisfies HashAnswer),
    (cause: NodeJS.ErrnoException) => parentPort?.postMessage({ failed: cause.message, code: cause.code } satisfies HashAnswer),
  )
})
