/**
 * The task `release` writes the files that describe a release and gives its root index. Edges, not list order, keep
 * checksums behind what they sum.
 */
import { pushBytes } from '../content/read.ts'
import type { Task } from '../graph/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { annotationKeys, mediaTypes } from '../oci/mediatype.ts'
import { installerText, platformsText } from '../pack/installer.ts'
import { appliedFiles, shippedPath } from '../plan/source-changes.ts'
import { auditFile, auditPage } from './audit.ts'
import { readContent } from './audit-images.ts'
import type { EvidenceTasks } from './evidence-tasks.ts'
import { given } from './given.ts'
import { type ListedFile, sm3, sm3Annotation, titledFiles } from './listing.ts'
import { checksumLists, imageLists, sbomPath, scanPath, spdxPath } from './lists.ts'
import { releaseNotes } from './notes.ts'
import type { ReleasePorts, ReleaseRequest } from './ports.ts'
import type { FileRecord } from './predicate.ts'
import { isRooted, rootBytes, rootIndex } from './root.ts'
import { unsignedTask } from './statement-task.ts'
import { platformStates, readSupport } from './support-task.ts'
import { unsignedDigest, unsignedSize } from './titled.ts'
import { verifierPath } from './verifier-task.ts'

/** A file of the release, by its path there, and the task that gives it. */
export interface FileTask {
  readonly path: string
  readonly task: Task
}

export interface ReleaseTasks {
  readonly release: Task
  /** gives the release statement as it is before anybody has signed */
  readonly unsigned: Task
}

/** What a release is made of, as tasks. */
export interface Parts {
  readonly evidence: readonly EvidenceTasks[]
  readonly files: readonly FileTask[]
  /** each gives an index of titled files */
  readonly titled: readonly Task[]
  readonly support: Task
  /** absent = the release has no gate */
  readonly gate?: Task
}

export function releaseTasks(request: ReleaseRequest, parts: Parts, ports: ReleasePorts): ReleaseTasks {
  const release = rootTask(request, parts, ports)
  return { release, unsigned: unsignedTask(request, parts, release, ports) }
}

function rootTask(request: ReleaseRequest, { evidence, files, titled, support, gate }: Parts, ports: ReleasePorts): Task {
  const { plan } = request
  const needs: Record<string, Task> = { support, ...(gate === undefined ? {} : { gate }) }
  for (const { images, platforms } of evidence) {
    needs[`index/${images.image.component}`] = images.index
    for (const made of platforms) {
      needs[sbomPath(images.image.component, made.platform)] = made.sbom
      needs[spdxPath(images.image.component, made.platform)] = made.spdx
      if (made.scan !== undefined) needs[scanPath(images.image.component, made.platform)] = made.scan
    }
  }
  for (const { path, task } of files) needs[path] = task
  for (const task of titled) needs[task.id] = task
  const planText = `${canonicalJson(plan as unknown as Json)}\n`
  return {
    id: 'release',
    needs,
    key: {
      rule: 'release@10',
      sourceOf: request.bundle.sourceOf,
      installer: digestOf(request.installer),
      verifier: digestOf(request.verifier),
      plan: digestOf(planText),
      lock: digestOf(request.lockText),
      mark: request.mark === undefined ? null : { file: request.mark.file, text: request.mark.text },
    },
    lane: 'cpu',
    async run(inputs) {
      const images = evidence.map(({ images: { image } }) => ({ reference: image.reference, ...sized(inputs[`index/${image.component}`]) }))
      const said = await readSupport(inputs['support'], ports.store)
      const digests = new Map(images.map((image) => [image.reference, image.digest]))
      const verifiers = { shell: digestOf(request.verifier), node: given(inputs[verifierPath]).digest }
      const texts = [
        ...imageLists(plan),
        { path: 'images.lock', text: request.lockText },
        { path: 'plan.json', text: planText },
        { path: 'RELEASE.md', text: releaseNotes(plan, digests, said, verifiers, 'en') },
        { path: 'RELEASE.zh.md', text: releaseNotes(plan, digests, said, verifiers, 'zh') },
        { path: 'install-rfo.sh', text: installerText(request.installer, plan.version) },
        { path: 'verify.sh', text: request.verifier },
        { path: 'platforms.txt', text: platformsText(plan.version, platformStates(said.platforms)) },
        ...plan.images.flatMap((image) => appliedFiles(image).map((each) => ({ path: shippedPath(each), text: each.text }))),
        ...(request.mark === undefined ? [] : [{ path: request.mark.file, text: request.mark.text }]),
      ]
      const files: ListedFile[] = []
      for (const { path, text } of texts) files.push({ path, ...sized(await pushBytes(ports.store, mediaTypes.octets, text)) })
      for (const [name, descriptor] of Object.entries(inputs)) {
        if (name.startsWith('index/') || name === 'support' || name === 'gate') continue
        if (titled.some((task) => task.id === name)) files.push(...(await titledFiles(descriptor, ports.store)))
        else files.push({ path: name, ...sized(descriptor) })
      }
      const found = [...new Map(files.map((file) => [file.path, file])).values()] // specs come once a platform
      const contents = await Promise.all(
        evidence.map(async ({ images: { image } }) => {
          const content = await readContent(given(inputs[`index/${image.component}`]), ports.store)
          return [image.component, content] as const
        }),
      )
      const audited = found.filter((file) => isRooted(file.path))
      const audit = auditPage({ plan, images: new Map(contents), support: said, sourceOf: request.bundle.sourceOf, files: audited })
      found.push({ path: auditFile, ...sized(await pushBytes(ports.store, mediaTypes.octets, audit)) })
      const withSm3 = async (file: ListedFile): Promise<FileRecord> => ({ ...file, sm3: await sm3(ports.store, file) })
      const each = await Promise.all(found.map(withSm3))
      for (const { path, text } of checksumLists(plan.platforms, each))
        each.push(await withSm3({ path, ...sized(await pushBytes(ports.store, mediaTypes.octets, text)) }))
      const rooted = each.filter((file) => isRooted(file.path))
      const root = await pushBytes(ports.store, mediaTypes.index, rootBytes(rootIndex(plan.version, images, rooted)))
      const listed = each.map(({ path, digest, size, sm3: other, unsigned }) => ({
        mediaType: mediaTypes.octets,
        digest,
        size,
        annotations: {
          [annotationKeys.title]: path,
          [sm3Annotation]: other,
          ...(unsigned === undefined ? {} : { [unsignedDigest]: unsigned.digest, [unsignedSize]: String(unsigned.size) }),
        },
      }))
      const manifests = [{ mediaType: root.mediaType, digest: root.digest, size: root.size }, ...listed]
      return await pushBytes(ports.store, mediaTypes.index, canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.index, manifests }))
    },
  }
}

function sized(descriptor: Descriptor | undefined): { digest: Digest; size: number } {
  const { digest, size } = given(descriptor)
  return { digest, size }
}
