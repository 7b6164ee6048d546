/** Group archives: the images of a group for one platform, as a site carries them in. */

import { gzipEncoder, gzipped } from '../content/gzip.ts'
import type { Task } from '../graph/task.ts'
import type { PlatformName } from '../oci/platform.ts'
import { archiveEncoder, writeGroupArchive } from '../pack/archive.ts'
import { tarballMediaType } from '../pack/tarball.ts'
import { unzstdFrames } from '../pack/unframe.ts'
import type { ReleasePlan } from '../plan/release-plan.ts'
import { given } from './given.ts'
import type { ImageTasks } from './image-tasks.ts'
import { archivePath, groupFiles } from './lists.ts'
import type { ReleasePorts } from './ports.ts'

export interface ArchiveTask {
  /** `rfo-images-core.linux-arm64.tar.zst` */
  readonly path: string
  readonly task: Task
}

/** An archive in each form beside each list, but for the list of all: nobody loads every CNI at once. */
export function archiveTasks(plan: ReleasePlan, made: readonly ImageTasks[], ports: ReleasePorts): ArchiveTask[] {
  return groupFiles(plan).flatMap(({ name, platform, references }) => {
    const path = archivePath(name, 'tar.zst')
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
    if (plan.archives?.includes('tar.gz') !== true) return [{ path, task }]
    return [
      { path, task },
      { path: archivePath(name, 'tar.gz'), task: gzipTask(name, task, ports) },
    ]
  })
}

/** The same tar for whoever has no zstd. */
function gzipTask(name: string, archive: Task, { store }: ReleasePorts): Task {
  return {
    id: `archive/${name}.tar.gz`,
    needs: { archive },
    key: { rule: 'archive-gzip@1', encoder: gzipEncoder },
    lane: 'cpu',
    async run(inputs, at) {
      const tar = unzstdFrames(store.fetch(given(inputs['archive']), at.signal))
      return await store.pushStream(tarballMediaType, gzipped(tar))
    },
  }
}

function manifestTask(made: readonly ImageTasks[], reference: string, platform: PlatformName): Task {
  const images = made.find(({ image }) => image.reference === reference)
  const found = images?.platforms.find((one) => one.platform === platform)
  if (found === undefined) throw new Error(`no task makes ${reference} for ${platform}`)
  return found.image
}
