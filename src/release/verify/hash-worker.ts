/** A thread that hashes the files it is given, one after the other. */
import { parentPort } from 'node:worker_threads'
import type { Extent } from '../../content/file.ts'
import { type RfoError, toRfoError } from '../../error.ts'
import { type Hashed, hashFile } from './tree.ts'

export interface HashOrder {
  /** of an absolute path */
  readonly extent: Extent
  readonly sm3: boolean
}

/** An error of ours, as a message between threads carries it. */
export interface HashFailure {
  readonly code: RfoError['code']
  readonly message: string
  readonly exit: RfoError['exit']
  readonly where: string | undefined
}

export type HashAnswer = Hashed | { readonly failed: HashFailure }

parentPort?.on('message', ({ extent, sm3 }: HashOrder) => {
  hashFile(extent, sm3).then(
    (hashed) => parentPort?.postMessage(hashed satisfies HashAnswer),
    (thrown: unknown) => {
      const { code, message, exit, where } = toRfoError(thrown)
      parentPort?.postMessage({ failed: { code, message, exit, where } } satisfies HashAnswer)
    },
  )
})
