/** Programs of a cluster that run until it ends: what each says lies in a file, and one that ends by itself ends the cluster. */
import { createWriteStream, type WriteStream } from 'node:fs'
import { join } from 'node:path'
import { RfoError } from '../error.ts'
import type { Argv } from './config.ts'
import type { Namespaces } from './namespaces.ts'
import { clusterError, isFullDisk } from './refusal.ts'

export interface Daemons {
  start(programs: Readonly<Record<string, Argv>>): void
  /** Kills those of these names, or all, whose end is then no failure. */
  end(names?: readonly string[]): Promise<void>
  /** Aborted, with the reason, when one of them has ended by itself. */
  readonly died: AbortSignal
  close(): Promise<void>
}

/** `logs` is a folder that is there. */
export function createDaemons(namespaces: Namespaces, logs: string, env: Readonly<Record<string, string>>): Daemons {
  const died = new AbortController()
  const running = new Map<string, { readonly ending: AbortController; readonly ended: Promise<void> }>()
  const files: WriteStream[] = []
  const run = async (name: string, argv: Argv, ending: AbortController): Promise<void> => {
    const log = createWriteStream(join(logs, `${name}.log`), { flags: 'a' })
    // a full disk ends the programs that need it; a lost line of a log ends nothing
    log.on('error', () => {})
    files.push(log)
    const line = (text: string): void => {
      log.write(`${text}\n`)
    }
    const ended = await namespaces.exec(argv, { env, signal: ending.signal, line, maxBytes: Number.MAX_SAFE_INTEGER }).then(
      () => undefined,
      (cause: unknown) => cause,
    )
    if (ending.signal.aborted) return
    const details = ended instanceof RfoError ? ended.details : []
    const full = isFullDisk(details)
    died.abort(
      clusterError(full ? 'SPACE' : 'DIED', full ? `${name} ended: the disk is full` : `${name} ended`, {
        where: join(logs, `${name}.log`),
        details,
        ...(full ? { next: 'free some space' } : {}),
        ...(ended === undefined ? {} : { cause: ended }),
      }),
    )
  }
  const end: Daemons['end'] = async (names = [...running.keys()]) => {
    const these = names.flatMap((name) => running.get(name) ?? [])
    for (const { ending } of these) ending.abort()
    await Promise.all(these.map(({ ended }) => ended))
  }
  return {
    died: died.signal,
    start(programs) {
      for (const [name, argv] of Object.entries(programs)) {
        const ending = new AbortController()
        running.set(name, { ending, ended: run(name, argv, ending) })
      }
    },
    end,
    async close() {
      await end()
      await Promise.all(files.map((file) => new Promise((resolve) => file.end(resolve))))
    },
  }
}
