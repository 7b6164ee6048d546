/** Group archives: the images of a group for one platform, as a site carries them in. */

import type { Task } from '../graph/task.ts'
import type { PlatformName } from '../oci/platform.ts'
import { archiveEncoder, writeGroupArchive } from '../pack/archive.ts'
import type { ReleasePlan } from '../plan/release-plan.ts'
import { given } from './given.ts'
import type { ImageTasks } from './image-tasks.ts'
import { groupFiles } from './lists.ts'
import type { ReleasePorts } from './ports.ts'

export interface ArchiveTask {
  /** `rfo-images-core.linux-arm64.tar.zst` */
  readonly path: string
  readonly task: Task
}

/** One archive beside each list, but for the list of all: nobody loads every CNI at once. */
export function archiveTasks(plan: ReleasePlan, made: readonly ImageTasks[], ports: ReleasePorts): ArchiveTask[] {
  return groupFiles(plan).map(({ name, platform, references }) => {
    const path = `${name}.tar.zst`
    const members = references.map((reference) => ({ reference, task: manifestTask(made, reference, platform) }))
    const task: Task = {
      id: `archive/${name}`,
      needs: Object.fromEntries(members.map(({ reference, task: needed }) => [reference, needed])),
      key: { rule: 'archive@1', platform, references, epoch: plan.epoch, encoder: archiveEncoder },
      lane: 'cpu',
      async run(inputs, at) {
        const images = references.map((reference) => ({ reference, manifest: given(inputs[reference]) }))
        return await writeGroupArchive({ platform, images, epoch: plan.epoch }, ports.store, ports.store, at.signal)
      },
    }
    return { path, task }
  })
}

function manifestTask(made: readonly ImageTasks[], reference: string, platform: PlatformName): Task {
  const images = made.find(({ image }) => image.reference === reference)
  const found = images?.platforms.find((one) => one.platform === platform)
  if (found === undefined) throw new Error(`no task makes ${reference} for ${platform}`)
  return found.image
}
