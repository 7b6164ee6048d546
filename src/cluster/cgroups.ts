/**
 * One cgroup for all pods of one cluster, in every hierarchy of the machine: version 1 mounts one a controller, version 2
 * one in all. They are the only thing outside of its namespaces that a cluster makes and the kernel does not take back.
 */
import { access, mkdir, readdir, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const root = '/sys/fs/cgroup'

async function hierarchies(): Promise<string[]> {
  const unified = await access(join(root, 'cgroup.controllers')).then(
    () => true,
    () => false,
  )
  if (unified) return [root]
  // symlinks (cpu → cpu,cpuacct) name what another folder is already
  return (await readdir(root, { withFileTypes: true })).filter((entry) => entry.isDirectory()).map((entry) => join(root, entry.name))
}

export async function makeCgroups(name: string): Promise<void> {
  for (const at of await hierarchies()) await mkdir(join(at, name), { recursive: true })
}

/** True when none is left. A cgroup can't be removed before the last process in it has gone, which takes a moment. */
export async function removeCgroups(name: string): Promise<boolean> {
  for (let tries = 0; tries < 50; tries += 1) {
    const left = await Promise.all((await hierarchies()).map((at) => removeBelow(join(at, name))))
    if (left.every((gone) => gone)) return true
    await sleep(100)
  }
  return false
}

/** Leaves first; a cgroup's files go with it. */
async function removeBelow(folder: string): Promise<boolean> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => undefined)
  if (entries === undefined) return true
  for (const entry of entries) if (entry.isDirectory()) await removeBelow(join(folder, entry.name))
  return await rmdir(folder).then(
    () => true,
    (cause: NodeJS.ErrnoException) => cause.code === 'ENOENT',
  )
}
