/** Processes as /proc knows them: a number alone may be somebody else's by now, with its start time it is not. */
import { readdir, readFile } from 'node:fs/promises'

export interface ProcessMark {
  readonly pid: number
  /** clock ticks since the machine started: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html, field 22 */
  readonly start: string
}

interface Stat {
  readonly parent: number
  readonly start: string
  /** a zombie has ended; its number lives until its parent asks */
  readonly ended: boolean
}

async function statOf(pid: number): Promise<Stat | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined)
  // the name in parentheses may hold spaces and parentheses
  const fields = text?.slice(text.lastIndexOf(')') + 2).split(' ')
  const [state, parent] = fields ?? []
  const start = fields?.[19]
  if (state === undefined || parent === undefined || start === undefined) return undefined
  return { parent: Number(parent), start, ended: state === 'Z' || state === 'X' }
}

/** undefined = no such process */
export async function markOf(pid: number): Promise<ProcessMark | undefined> {
  const stat = await statOf(pid)
  return stat === undefined || stat.ended ? undefined : { pid, start: stat.start }
}

export async function isAlive(mark: ProcessMark): Promise<boolean> {
  return (await markOf(mark.pid))?.start === mark.start
}

/** The first child of a process. */
export async function childOf(pid: number): Promise<ProcessMark | undefined> {
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const stat = await statOf(Number(name))
    if (stat?.parent === pid && !stat.ended) return { pid: Number(name), start: stat.start }
  }
  return undefined
}
