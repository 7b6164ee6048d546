/** Cgroups of a name, in every hierarchy of the machine. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

const root = '/sys/fs/cgroup'

export async function cgroupsNamed(name: RegExp): Promise<string[]> {
  const hierarchies = [
    root,
    ...(await readdir(root, { withFileTypes: true })).filter((each) => each.isDirectory()).map((each) => join(root, each.name)),
  ]
  const found = await Promise.all(
    hierarchies.map(async (at) => (await readdir(at).catch(() => [])).filter((each) => name.test(each)).map((each) => join(at, each))),
  )
  return found.flat()
}
