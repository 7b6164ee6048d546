/** `release`: plan → tasks → a folder that appears whole or not at all. */
import type { Digest } from '../oci/digest.ts'
import { archiveTasks } from './archive-tasks.ts'
import { bundleTasks } from './bundle-tasks.ts'
import { type MissingEvidence, readPredicate } from './candidate.ts'
import { ownFiles } from './carried-task.ts'
import { chartArtifactsTask } from './chart-artifacts.ts'
import { chartPath, chartTasks } from './chart-tasks.ts'
import { buildTools } from './compilers.ts'
import { evidenceTasks } from './evidence-tasks.ts'
import { fileSbomsTask } from './file-sboms.ts'
import { finishRelease } from './finish.ts'
import { imageTasks } from './image-tasks.ts'
import { readListing } from './listing.ts'
import { advisoriesPath } from './lists.ts'
import { programProvenances } from './own-evidence.ts'
import { ownProgram } from './own-program.ts'
import type { ReleasePorts, ReleaseRequest } from './ports.ts'
import { releaseTasks } from './release-tasks.ts'
import { rpmbuildOf } from './rpm-task.ts'
import { runTasks } from './run.ts'
import { scanTasks } from './scan-tasks.ts'
import { type SaidImage, signTask } from './sign-tasks.ts'
import { statementTask } from './statement-task.ts'
import { supportTask } from './support-task.ts'
import { refuseOtherDigests } from './tags.ts'
import { layOutUnsigned } from './unsigned.ts'
import { verifierPath, verifierTask } from './verifier-task.ts'

export interface MadeRelease {
  readonly root: Digest
  readonly folder: string
  /** platforms whose conformance is demanded and not there: then the folder is a candidate's */
  readonly missing: readonly MissingEvidence[]
  /** of what says all that is to be signed; absent in what is signed */
  readonly unsigned?: Digest
  readonly ran: number
  readonly cached: number
}

/** Throws the first cause when a task failed, with the others in its details; RFO_RELEASE_TAG before anything is laid out. */
export async function makeRelease(request: ReleaseRequest, ports: ReleasePorts): Promise<MadeRelease> {
  const { plan, outDir, keys, toolVersion } = request
  const charts = chartTasks(plan, ports)
  const tools = await buildTools(plan, ports)
  const support = supportTask(plan, charts, ports)
  const own = ownFiles(request, ownProgram(plan, tools.compilers, ports), support, ports)
  const images = imageTasks(plan, charts, tools, ports, plan.images, own)
  const scans = scanTasks(request, ports)
  const evidence = evidenceTasks(request, images, ports, scans)
  const judged = scans === undefined ? {} : { gate: scans.gate() }
  const archives = archiveTasks(plan, images, ports)
  const verifier = { path: verifierPath, task: verifierTask(request, ports) }
  const described = [...charts.map(({ chart, task }) => ({ path: chartPath(chart), task })), ...archives, verifier]
  // nothing is inside of advisories
  const files = scans === undefined ? described : [...described, { path: advisoriesPath, task: scans.advisories }]
  const bundles = bundleTasks(request, images, own, ports, await rpmbuildOf(request, ports))
  const titled = [...bundles, fileSbomsTask(request, { evidence, files: described, titled: bundles }, ports)]
  const { release, unsigned } = releaseTasks(request, { evidence, files, titled, support, ...judged }, ports)
  const provenances = programProvenances(request, own.program, ports)
  const said = evidence.map(({ images: { image, index }, platforms }): SaidImage => ({ image, index, platforms }))

  if (keys === undefined) {
    const predicates = [
      ...provenances.map(({ task }) => task),
      ...said.flatMap(({ platforms }) => platforms.map((each) => each.provenance)),
    ]
    const made = await runTasks([release, unsigned, ...predicates], ports, request.failureMode)
    const { root } = await readListing(made.of(release), ports.store)
    const laid = await layOutUnsigned(
      { request, said, provenances, unsigned: made.of(unsigned), files: made.of(release), root: root.digest, of: made.of },
      ports,
    )
    return { root: root.digest, ...laid, missing: [], ran: made.ran, cached: made.cached }
  }
  const statement = statementTask({ unsigned, provenances }, keys, plan.epoch, ports.store)
  const signing = { ...keys, plan, toolVersion }
  const signed = said.map((each) => ({ ...each, sign: signTask(each, signing, ports.store) }))
  const artifacts = chartArtifactsTask(statement, signing, ports.store)
  const made = await runTasks([release, unsigned, statement, artifacts, ...signed.map(({ sign }) => sign)], ports, request.failureMode)
  const { root } = await readListing(made.of(release), ports.store)
  await refuseOtherDigests(await readPredicate(made.of(statement), ports.store), outDir, plan.images)
  const laid = await finishRelease(
    {
      plan,
      outDir,
      key: keys.key,
      unsigned: made.of(unsigned),
      beside: made.of(statement),
      images: signed.map(({ image, index, sign }) => ({ reference: image.reference, index: made.of(index), attached: made.of(sign) })),
      charts: made.of(artifacts),
    },
    ports.store,
  )
  return { root: root.digest, ...laid, ran: made.ran, cached: made.cached }
}
