/** `release`: plan → tasks → a folder that appears whole or not at all. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { results } from '../content/results.ts'
import { execute } from '../graph/execute.ts'
import type { Task } from '../graph/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import type { PlatformName } from '../oci/platform.ts'
import { archiveTasks } from './archive-tasks.ts'
import { bundleTasks } from './bundle-tasks.ts'
import { candidateName, carriedEvidence, readPredicate } from './candidate.ts'
import { chartPath, chartTasks } from './chart-tasks.ts'
import { cCompilers } from './compilers.ts'
import { evidenceTasks } from './evidence-tasks.ts'
import { refuseFailures } from './failures.ts'
import { imageTasks } from './image-tasks.ts'
import { layOut } from './lay-out.ts'
import { readListing } from './listing.ts'
import type { ReleasePorts, ReleaseRequest } from './ports.ts'
import { releaseTasks } from './release-tasks.ts'
import { supportTask } from './support-task.ts'
import { refuseOtherDigests } from './tags.ts'

export interface MadeRelease {
  readonly root: Digest
  readonly folder: string
  /** platforms whose conformance is demanded and not there: then the folder is a candidate's */
  readonly missing: readonly PlatformName[]
  readonly ran: number
  readonly cached: number
}

/** Throws the first cause when a task failed, with the others in its details; RFO_RELEASE_TAG before anything is laid out. */
export async function makeRelease(request: ReleaseRequest, ports: ReleasePorts): Promise<MadeRelease> {
  const charts = chartTasks(request.plan, ports)
  const images = imageTasks(request.plan, charts, await cCompilers(request.plan, ports), ports)
  const evidence = evidenceTasks(request, images, ports)
  const archives = archiveTasks(request.plan, images, ports)
  const files = [...charts.map(({ chart, task }) => ({ path: chartPath(chart), task })), ...archives]
  const { release, statement } = releaseTasks(
    request,
    { evidence, files, titled: bundleTasks(request, images, ports), support: supportTask(request.plan, charts, ports) },
    ports,
  )
  const report = await execute([release, statement, ...evidence.map((made) => made.sign)], {
    results: results(ports.store),
    lanes: ports.lanes,
    failureMode: request.failureMode,
    signal: ports.signal,
    listener: ports.listener,
    now: ports.now,
    ...(ports.logs === undefined ? {} : { logs: ports.logs }),
  })
  refuseFailures(report.failures)
  const result = (task: Task): Descriptor => {
    const descriptor = report.results.get(task.id)
    if (descriptor === undefined) throw new Error(`no result of ${task.id}`)
    return descriptor
  }
  const { root } = await readListing(result(release), ports.store)
  const { version } = request.plan
  await refuseOtherDigests(await readPredicate(result(statement), ports.store), request.outDir)
  const { carried, missing } = await carriedEvidence(request, result(statement), ports.store)
  const folder = await layOut(
    {
      version: missing.length === 0 ? version : candidateName(version),
      candidate: missing.length > 0,
      carried,
      outDir: request.outDir,
      files: result(release),
      beside: result(statement),
      images: evidence.map(({ images: made, sign }) => ({
        reference: made.image.reference,
        index: result(made.index),
        attached: result(sign),
      })),
    },
    ports.store,
  )
  // all of the candidate is in the release now, the evidence too
  if (missing.length === 0) await rm(join(request.outDir, candidateName(version)), { recursive: true, force: true })
  return { root: root.digest, folder, missing, ran: report.ran, cached: report.cached }
}
