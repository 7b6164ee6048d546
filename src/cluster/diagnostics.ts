/** What somebody needs who was not there: the programs' logs, events, and how nodes and pods stand. */
import { cp, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ExecOptions, ExecResult } from '../exec.ts'
import type { Argv } from './config.ts'

const questions: Readonly<Record<string, Argv>> = {
  'events.txt': ['kubectl', 'get', 'events', '-A', '--sort-by=.lastTimestamp', '-o=wide'],
  'objects.txt': ['kubectl', 'get', 'all,nodes,pv,pvc,cm,sa', '-A', '-o=wide'],
  'nodes.txt': ['kubectl', 'describe', 'nodes'],
  'pods.txt': ['kubectl', 'describe', 'pods', '-A'],
  'coredns.txt': ['kubectl', '-n', 'kube-system', 'logs', 'deployment/coredns', '--tail=1000'],
}

/** Never throws: whatever can't be had says so in its file. `into` is replaced. */
export async function collectDiagnostics(request: {
  readonly logs: string
  readonly into: string
  readonly ask: (argv: Argv, options: Pick<ExecOptions, 'signal' | 'maxBytes'>) => Promise<ExecResult>
}): Promise<void> {
  const { logs, into, ask } = request
  try {
    await rm(into, { recursive: true, force: true })
    await mkdir(into, { recursive: true })
    await cp(logs, into, { recursive: true })
  } catch {
    return // the disk is full, most likely; the error that brought us here says it
  }
  await Promise.all(
    Object.entries(questions).map(async ([file, argv]) => {
      const answer = await ask(argv, { signal: AbortSignal.timeout(10_000), maxBytes: 64 * 1024 * 1024 }).then(
        ({ stdout }) => stdout,
        (cause: unknown) => `no answer: ${cause instanceof Error ? cause.message : String(cause)}\n`,
      )
      await writeFile(join(into, file), answer).catch(() => {})
    }),
  )
}
