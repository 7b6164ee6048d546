/**
 * Namespaces of a cluster's own: network, mounts, host name, processes, IPC. No packet leaves them, no mount is seen outside,
 * and the kernel kills all that runs in them when their first process dies, which dies with us however we end.
 */
import { readlink, realpath } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ExecOptions, type ExecResult, exec } from '../exec.ts'
import type { Argv } from './config.ts'
import { childOf, isAlive, type ProcessMark } from './process.ts'
import { clusterError } from './refusal.ts'

export interface Namespaces {
  readonly init: ProcessMark
  /** Runs a program inside to its end; its children end with it or with the namespaces. */
  exec(argv: Argv, options: ExecOptions): Promise<ExecResult>
  /** Everything inside is dead when it resolves. */
  stop(): Promise<void>
}

/**
 * `init` is a program, by its whole path, that reaps and otherwise does nothing: process 1 inherits every orphan. It is killed through a chain
 * that needs no code of ours to run: https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html for setpriv, and
 * unshare's --kill-child for what it forked.
 */
export async function openNamespaces(init: Argv, env: Readonly<Record<string, string>>): Promise<Namespaces> {
  const ending = new AbortController()
  let unshare: number | undefined
  let failure: unknown
  const running = exec(
    [
      'setpriv',
      '--pdeathsig',
      'KILL',
      'unshare',
      '--net',
      '--mount',
      '--uts',
      '--ipc',
      '--pid',
      '--fork',
      '--kill-child=KILL',
      '--propagation',
      'private',
      '--mount-proc',
      ...init,
    ],
    { env, signal: ending.signal, exit: 'machine', started: (pid) => (unshare = pid) },
  ).then(
    () => undefined,
    (cause: unknown) => {
      failure = cause
    },
  )
  const mark = await firstProcess(
    await realpath(init[0]),
    () => unshare,
    () => failure,
  )
  return {
    init: mark,
    exec(argv, options) {
      const into: Argv = ['nsenter', '--target', String(mark.pid), '--net', '--mount', '--uts', '--ipc', '--pid', '--']
      return exec([...into, ...argv], options)
    },
    async stop() {
      // the first process by its own number: TERM to unshare is not passed on
      if (await isAlive(mark)) process.kill(mark.pid, 'SIGKILL')
      ending.abort()
      await running
      for (let tries = 0; tries < 100 && (await isAlive(mark)); tries += 1) await sleep(50)
    },
  }
}

async function firstProcess(program: string, parent: () => number | undefined, failure: () => unknown): Promise<ProcessMark> {
  for (let tries = 0; tries < 200; tries += 1) {
    const cause = failure()
    if (cause !== undefined) throw cause
    const pid = parent()
    const found = pid === undefined ? undefined : await childOf(pid)
    // unshare's child mounts /proc before it becomes the program
    if (found !== undefined && (await readlink(`/proc/${found.pid}/exe`).catch(() => '')) === program) return found
    await sleep(25)
  }
  throw clusterError('READY', 'namespaces could not be made within 5 seconds')
}
