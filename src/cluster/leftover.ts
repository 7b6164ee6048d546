/**
 * What clusters of dead owners left: whoever kills rfo-build with -9 kills the namespaces with it, and everything that runs
 * in them; a folder and some empty cgroups stay. The next start takes them away.
 */
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { removeCgroups } from './cgroups.ts'
import { isAlive, markOf, type ProcessMark } from './process.ts'

interface Marks {
  readonly owner: ProcessMark
  readonly init?: ProcessMark
}

const marksFile = 'marks.json'

export async function markCluster(folder: string, init?: ProcessMark): Promise<void> {
  const owner = await markOf(process.pid)
  if (owner === undefined) throw new Error('this process is in /proc')
  const marks: Marks = { owner, ...(init === undefined ? {} : { init }) }
  await writeFile(join(folder, marksFile), JSON.stringify(marks))
}

export function cgroupOf(id: string): string {
  return `rfo-${id}`
}

/** Names of the clusters that were removed. Those whose owner lives are left alone. */
export async function removeLeftovers(clusters: string): Promise<string[]> {
  const removed: string[] = []
  for (const id of await readdir(clusters).catch(() => [])) {
    const folder = join(clusters, id)
    const marks = await readMarks(join(folder, marksFile))
    if (marks !== undefined && (await isAlive(marks.owner))) continue
    if (marks?.init !== undefined && (await isAlive(marks.init))) process.kill(marks.init.pid, 'SIGKILL')
    await removeCluster(clusters, id)
    removed.push(id)
  }
  return removed
}

/** The folder and the cgroups of a cluster whose processes have ended. */
export async function removeCluster(clusters: string, id: string): Promise<void> {
  await removeCgroups(cgroupOf(id))
  await rm(join(clusters, id), { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
}

/** undefined = absent or cut off: written before anything runs, so nothing did. */
async function readMarks(file: string): Promise<Marks | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Marks
  } catch {
    return undefined
  }
}
