/** `sign`: what was made elsewhere and not signed becomes a release. Runs no recipe and no program, and asks no network. */
import { join } from 'node:path'
import type { ReleaseImage } from '../attest/release.ts'
import { readBytes } from '../content/read.ts'
import { RfoError } from '../error.ts'
import type { Task } from '../graph/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { parseIndex } from '../oci/manifest.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import type { PlatformName } from '../oci/platform.ts'
import type { MissingEvidence } from './candidate.ts'
import { chartArtifactsTask } from './chart-artifacts.ts'
import { type Checked, checkUnsigned } from './check-unsigned.ts'
import { finishRelease } from './finish.ts'
import { keptKeys } from './kept-keys.ts'
import { sbomPath, scanPath, spdxPath } from './lists.ts'
import { overFolder } from './over-folder.ts'
import type { ReleasePorts, WorkingStore } from './ports.ts'
import { runTasks } from './run.ts'
import { type SaidImage, signTask } from './sign-tasks.ts'
import type { ReleaseKeys } from './signatures.ts'
import { statementTask } from './statement-task.ts'
import { refuseOtherDigests } from './tags.ts'
import { type Handover, imageProvenancePath, programProvenancePath } from './unsigned.ts'
import { bundlePath, maxStatementBytes, programFiles } from './verify/files.ts'
import { readSmall } from './verify/tree.ts'
import { verifyRelease } from './verify/verify.ts'

export interface SignRequest {
  /** what `release --unsigned` made, wherever it lies now; or a release that the key has signed already */
  readonly folder: string
  /** digest of its evidence/unsigned.json */
  readonly expect?: Digest
  readonly keys: ReleaseKeys
  /** Throws when the project's trust metadata does not let the key sign a release of that time: seconds since 1970. */
  readonly refuse?: (epoch: number) => void
  /** the release's folder is made in here */
  readonly outDir: string
}

export interface SignedRelease {
  readonly version: string
  readonly root: Digest
  readonly folder: string
  readonly missing: readonly MissingEvidence[]
  /** true = it was signed by this key before, and all of it holds */
  readonly unchanged: boolean
}

/** Throws what is wrong with it before anything is signed (exit untrusted), and RFO_RELEASE_TAG. */
export async function signRelease(request: SignRequest, ports: ReleasePorts): Promise<SignedRelease> {
  const { folder, outDir } = request
  if ((await readSmall(join(folder, bundlePath), maxStatementBytes * 2, bundlePath)) !== undefined) return await alreadySigned(request)
  const checked = await checkUnsigned(folder, request.expect)
  const { handover, predicate, plan } = checked
  await refuseOtherDigests(predicate, outDir, plan.images)
  request.refuse?.(plan.epoch)
  const keys = keptKeys(request.keys, ports.store)
  const store = overFolder(checked.files, ports.store)
  const signing = { ...keys, plan, toolVersion: handover.toolVersion }
  const said = await Promise.all(predicate.images.map((image) => saidImage(image, checked, store)))
  const signed = said.map((each) => ({ ...each, sign: signTask(each, signing, store) }))
  const provenances = programFiles(predicate).map(({ path }) => ({
    path,
    task: constant(`provenance/${path}`, { mediaType: mediaTypes.json, ...handedOver(handover, programProvenancePath(path)) }),
  }))
  const unsigned = constant('unsigned', { mediaType: mediaTypes.json, ...handover.statement })
  const statement = statementTask({ unsigned, provenances }, keys, plan.epoch, store)
  const charts = chartArtifactsTask(statement, signing, store)
  const made = await runTasks([statement, charts, ...signed.map(({ sign }) => sign)], { ...ports, store }, 'stop')
  const finished = await finishRelease(
    {
      plan,
      outDir,
      key: keys.key,
      unsigned: handover.statement,
      beside: made.of(statement),
      images: signed.map(({ image, index, sign }) => ({ reference: image.reference, index: made.of(index), attached: made.of(sign) })),
      charts: made.of(charts),
    },
    store,
  )
  return { version: plan.version, root: handover.root, ...finished, unchanged: false }
}

/** An image and what is said of it, as it lies in the folder. */
async function saidImage(image: ReleaseImage, { handover, predicate, plan }: Checked, store: WorkingStore): Promise<SaidImage> {
  const { component, reference } = image
  const version = plan.images.find((each) => each.component === component)?.version
  if (version === undefined) throw new Error(`${component} is in the plan`)
  const listed = (path: string, mediaType: string): Descriptor => {
    const file = predicate.files.find((each) => each.path === path)
    if (file === undefined) throw new RfoError('RFO_SIGN_HANDOVER', 'no such SBOM', { exit: 'untrusted', where: path })
    return { mediaType, digest: file.digest, size: file.size }
  }
  const index: Descriptor = { mediaType: mediaTypes.index, digest: image.digest, size: image.size }
  const platforms = parseIndex(await readBytes(store, index)).manifests.map(({ platform: of, mediaType, digest, size }) => {
    const platform = `${of?.os}/${of?.architecture}` as PlatformName // compared with the statement when the folder was checked
    const provenance = handedOver(handover, imageProvenancePath(component, platform))
    return {
      platform,
      image: constant(`image/${component}/${platform}`, { mediaType, digest, size }),
      sbom: constant(`sbom/${component}/${platform}`, listed(sbomPath(component, platform), mediaTypes.cyclonedx)),
      spdx: constant(`spdx/${component}/${platform}`, listed(spdxPath(component, platform), mediaTypes.spdx)),
      ...(predicate.gate === undefined
        ? {}
        : { scan: constant(`scan/${component}/${platform}`, listed(scanPath(component, platform), mediaTypes.json)) }),
      provenance: constant(`provenance/${component}/${platform}`, { mediaType: mediaTypes.json, ...provenance }),
    }
  })
  return { image: { component, reference, version }, index: constant(`index/${component}`, index), platforms }
}

function handedOver({ provenances }: Handover, path: string): { readonly digest: Digest; readonly size: number } {
  const entry = provenances[path]
  if (entry === undefined) throw new Error(`${path} was checked`)
  return entry
}

/** What lies there already, as a task: not recorded, since it is in no store of ours. */
function constant(id: string, { mediaType, digest, size }: Descriptor): Task {
  return { id, needs: {}, key: null, lane: 'cpu', effect: true, run: () => Promise.resolve({ mediaType, digest, size }) }
}

async function alreadySigned({ folder, keys }: SignRequest): Promise<SignedRelease> {
  const report = await verifyRelease({ folder, keys: [keys.key.publicKey] })
  const bad = report.findings.filter(({ exit }) => exit === 'untrusted')
  if (bad.length > 0) throw new AggregateError(bad)
  return { version: report.predicate.version, root: report.root, folder, missing: [], unchanged: true }
}
