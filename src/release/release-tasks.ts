/**
 * The last two tasks. `release` writes the files that describe a release and gives its root index; `statement` says,
 * signed, what the release consists of. Edges, not list order, keep checksums behind what they sum.
 */
import { createHash } from 'node:crypto'
import { pushBytes, readBytes } from '../content/read.ts'
import type { ContentReader } from '../content/store.ts'
import type { Task } from '../graph/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, digestOf } from '../oci/digest.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { annotationKeys, mediaTypes } from '../oci/mediatype.ts'
import { platformsText } from '../pack/installer.ts'
import { signBlob, signStatement } from '../sign/bundle.ts'
import { keyFingerprint } from '../sign/key.ts'
import type { EvidenceTasks } from './evidence-tasks.ts'
import { checksumLists, imageLists } from './lists.ts'
import { releaseNotes } from './notes.ts'
import type { ReleasePorts, ReleaseRequest } from './ports.ts'
import { type FileRecord, releasePredicate, releaseStatement } from './predicate.ts'
import { rootBytes, rootIndex } from './root.ts'
import { platformStates, readSupport } from './support-task.ts'

/** A file of the release, by its path there, and the task that gives it. */
export interface FileTask {
  readonly path: string
  readonly task: Task
}

export interface ReleaseTasks {
  readonly release: Task
  readonly statement: Task
}

export function releaseTasks(
  request: ReleaseRequest,
  evidence: readonly EvidenceTasks[],
  files: readonly FileTask[],
  support: Task,
  ports: ReleasePorts,
): ReleaseTasks {
  const release = rootTask(request, evidence, files, support, ports)
  return { release, statement: statementTask(request, evidence, release, support, ports) }
}

export function sbomPath(component: string, platform: string): string {
  return `sbom/${component}.${platform.replace('/', '-')}.cdx.json`
}

function rootTask(
  request: ReleaseRequest,
  evidence: readonly EvidenceTasks[],
  files: readonly FileTask[],
  support: Task,
  ports: ReleasePorts,
): Task {
  const { plan } = request
  const needs: Record<string, Task> = { support }
  for (const { images, platforms } of evidence) {
    needs[`index/${images.image.component}`] = images.index
    for (const made of platforms) needs[sbomPath(images.image.component, made.platform)] = made.sbom
  }
  for (const { path, task } of files) needs[path] = task
  const planText = `${canonicalJson(plan as unknown as Json)}\n`
  return {
    id: 'release',
    needs,
    key: {
      rule: 'release@2',
      plan: digestOf(planText),
      lock: digestOf(request.lockText),
      mark: request.mark === undefined ? null : { file: request.mark.file, text: request.mark.text },
    },
    lane: 'cpu',
    async run(inputs) {
      const images = evidence.map(({ images: { image } }) => ({ reference: image.reference, ...sized(inputs[`index/${image.component}`]) }))
      const said = await readSupport(inputs['support'], ports.store)
      const digests = new Map(images.map((image) => [image.reference, image.digest]))
      const texts = [
        ...imageLists(plan),
        { path: 'images.lock', text: request.lockText },
        { path: 'plan.json', text: planText },
        { path: 'RELEASE.md', text: releaseNotes(plan, digests, said, 'en') },
        { path: 'RELEASE.zh.md', text: releaseNotes(plan, digests, said, 'zh') },
        { path: 'platforms.txt', text: platformsText(plan.version, platformStates(said.platforms)) },
        ...(request.mark === undefined ? [] : [{ path: request.mark.file, text: request.mark.text }]),
      ]
      const files = [
        ...(await Promise.all(
          texts.map(async ({ path, text }) => ({ path, ...sized(await pushBytes(ports.store, mediaTypes.octets, text)) })),
        )),
        ...Object.entries(inputs).flatMap(([name, descriptor]) =>
          name.startsWith('index/') || name === 'support' ? [] : [{ path: name, ...sized(descriptor) }],
        ),
      ]
      const summed = await Promise.all(files.map(async (file) => ({ ...file, sm3: await sm3(ports.store, file) })))
      const sums = checksumLists(plan.platforms, summed)
      for (const { path, text } of sums) files.push({ path, ...sized(await pushBytes(ports.store, mediaTypes.octets, text)) })
      return await pushBytes(ports.store, mediaTypes.index, rootBytes(rootIndex(plan.version, images, files)))
    },
  }
}

/** Gives an index whose entries are the files beside the root: statement, bundle, trust, signatures of the checksum lists. */
function statementTask(
  request: ReleaseRequest,
  evidence: readonly EvidenceTasks[],
  release: Task,
  support: Task,
  ports: ReleasePorts,
): Task {
  const { key, plan, mark } = request
  const needs: Record<string, Task> = { release, support }
  for (const { images, platforms } of evidence) {
    needs[`index/${images.image.component}`] = images.index
    for (const made of platforms) needs[`image/${images.image.component}/${made.platform}`] = made.image
  }
  const fingerprint = keyFingerprint(key.publicKey)
  return {
    id: 'statement',
    needs,
    key: { rule: 'statement@1', key: fingerprint, mark: mark === undefined ? null : mark.keyFingerprint },
    lane: 'cpu',
    async run(inputs) {
      const root = inputs['release']
      if (root === undefined) throw new Error('the engine gives every need')
      const index = JSON.parse(Buffer.from(await readBytes(ports.store, root)).toString('utf8')) as RootIndex
      const files: FileRecord[] = []
      for (const entry of index.manifests) {
        const path = entry.annotations?.[annotationKeys.title]
        if (path === undefined) continue
        files.push({ path, digest: entry.digest, size: entry.size, sm3: await sm3(ports.store, entry) })
      }
      const beside: { path: string; text: string | Uint8Array }[] = [{ path: 'trust/cosign.pub', text: key.publicKey.pem }]
      for (const { path, text } of beside) {
        const descriptor = await pushBytes(ports.store, mediaTypes.octets, text)
        files.push({ path, digest: descriptor.digest, size: descriptor.size, sm3: await sm3(ports.store, descriptor) })
      }
      const predicate = releasePredicate({
        plan,
        root: { digest: root.digest, index: index as unknown as Json },
        files,
        inputs,
        support: (await readSupport(inputs['support'], ports.store)).platforms,
        ...(mark === undefined ? {} : { keyFingerprint: mark.keyFingerprint }),
      })
      const text = releaseStatement(predicate)
      beside.push({ path: 'evidence/release.json', text }, { path: 'evidence/release.sigstore.json', text: await signStatement(text, key) })
      for (const file of files) {
        if (!/^sha256sum-|^sm3sum-/.test(file.path)) continue
        const { signature, bundle } = await signBlob(await readBytes(ports.store, { mediaType: mediaTypes.octets, ...file }), key)
        beside.push({ path: `${file.path}.sig`, text: signature }, { path: `${file.path}.sigstore.json`, text: bundle })
      }
      const manifests: Descriptor[] = []
      for (const { path, text: bytes } of beside) {
        manifests.push({ ...(await pushBytes(ports.store, mediaTypes.octets, bytes)), annotations: { [annotationKeys.title]: path } })
      }
      return await pushBytes(
        ports.store,
        mediaTypes.index,
        canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: manifests as unknown as Json }),
      )
    },
  }
}

interface RootIndex {
  readonly manifests: readonly {
    readonly digest: Digest
    readonly size: number
    readonly mediaType: string
    readonly annotations?: Readonly<Record<string, string>>
  }[]
}

function sized(descriptor: Descriptor | undefined): { digest: Digest; size: number } {
  if (descriptor === undefined) throw new Error('the engine gives every need')
  return { digest: descriptor.digest, size: descriptor.size }
}

/** SM3 (GB/T 32905) of a blob, streamed. */
async function sm3(from: ContentReader, target: { readonly digest: Digest; readonly size: number }): Promise<string> {
  const hash = createHash('sm3')
  for await (const chunk of from.fetch({ mediaType: mediaTypes.octets, digest: target.digest, size: target.size })) hash.update(chunk)
  return hash.digest('hex')
}
