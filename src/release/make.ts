/** `release`: plan → tasks → a folder that appears whole or not at all. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Digest } from '../oci/digest.ts'
import type { PlatformName } from '../oci/platform.ts'
import { archiveTasks } from './archive-tasks.ts'
import { bundleTasks } from './bundle-tasks.ts'
import { candidateName, carriedEvidence, readPredicate } from './candidate.ts'
import { ownFiles } from './carried-task.ts'
import { chartPath, chartTasks } from './chart-tasks.ts'
import { buildTools } from './compilers.ts'
import { evidenceTasks } from './evidence-tasks.ts'
import { imageTasks } from './image-tasks.ts'
import { layOut } from './lay-out.ts'
import { readListing } from './listing.ts'
import { programProvenances } from './own-evidence.ts'
import { ownProgram } from './own-program.ts'
import type { ReleasePorts, ReleaseRequest } from './ports.ts'
import { releaseTasks } from './release-tasks.ts'
import { runTasks } from './run.ts'
import { supportTask } from './support-task.ts'
import { refuseOtherDigests } from './tags.ts'
import { verifierPath, verifierTask } from './verifier-task.ts'

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
  const tools = await buildTools(request.plan, ports)
  const support = supportTask(request.plan, charts, ports)
  const own = ownFiles(request, ownProgram(request.plan, tools.compilers, ports), support, ports)
  const images = imageTasks(request.plan, charts, tools, ports, request.plan.images, own)
  const evidence = evidenceTasks(request, images, ports)
  const archives = archiveTasks(request.plan, images, ports)
  const verifier = { path: verifierPath, task: verifierTask(request, ports) }
  const files = [...charts.map(({ chart, task }) => ({ path: chartPath(chart), task })), ...archives, verifier]
  const { release, statement } = releaseTasks(
    request,
    {
      evidence,
      files,
      titled: bundleTasks(request, own, ports),
      provenances: programProvenances(request, own.program, ports),
      support,
    },
    ports,
  )
  const made = await runTasks([release, statement, ...evidence.map(({ sign }) => sign)], ports, request.failureMode)
  const { root } = await readListing(made.of(release), ports.store)
  const { version } = request.plan
  const predicate = await readPredicate(made.of(statement), ports.store)
  await refuseOtherDigests(predicate, request.outDir, request.plan.images)
  const { carried, missing } = await carriedEvidence(request, predicate)
  const folder = await layOut(
    {
      version: missing.length === 0 ? version : candidateName(version),
      candidate: missing.length > 0,
      carried,
      outDir: request.outDir,
      files: made.of(release),
      beside: made.of(statement),
      images: evidence.map(({ images: { image, index }, sign }) => ({
        reference: image.reference,
        index: made.of(index),
        attached: made.of(sign),
      })),
    },
    ports.store,
  )
  // all of the candidate is in the release now, the evidence too
  if (missing.length === 0) await rm(join(request.outDir, candidateName(version)), { recursive: true, force: true })
  return { root: root.digest, folder, missing, ran: made.ran, cached: made.cached }
}
