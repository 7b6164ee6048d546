/**
 * The last two tasks. `release` writes the files that describe a release and gives its root index; `statement` says,
 * signed, what the release consists of. Edges, not list order, keep checksums behind what they sum.
 */
import { createHash } from 'node:crypto'
import { pushBytes, readBytes, readJson } from '../content/read.ts'
import type { ContentReader } from '../content/store.ts'
import type { Task } from '../graph/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, digestOf, parseDigest } from '../oci/digest.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { parseIndex } from '../oci/manifest.ts'
import { annotationKeys, mediaTypes } from '../oci/mediatype.ts'
import { installerText, platformsText } from '../pack/installer.ts'
import { signBlob, signStatement } from '../sign/bundle.ts'
import { keyFingerprint } from '../sign/key.ts'
import { bundlePrefix, unsignedDigest, unsignedSize } from './bundle-tasks.ts'
import type { EvidenceTasks } from './evidence-tasks.ts'
import { given } from './given.ts'
import { checksumLists, imageLists } from './lists.ts'
import { releaseNotes } from './notes.ts'
import type { ReleasePorts, ReleaseRequest } from './ports.ts'
import { type FileRecord, releasePredicate, releaseStatement } from './predicate.ts'
import { type RootedFile, rootBytes, rootIndex } from './root.ts'
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

/** What a release is made of, as tasks. */
export interface Parts {
  readonly evidence: readonly EvidenceTasks[]
  readonly files: readonly FileTask[]
  /** each gives an index of titled files */
  readonly titled: readonly Task[]
  readonly support: Task
}

export function releaseTasks(request: ReleaseRequest, parts: Parts, ports: ReleasePorts): ReleaseTasks {
  const release = rootTask(request, parts, ports)
  return { release, statement: statementTask(request, parts, release, ports) }
}

export function sbomPath(component: string, platform: string): string {
  return `sbom/${component}.${platform.replace('/', '-')}.cdx.json`
}

function rootTask(request: ReleaseRequest, { evidence, files, titled, support }: Parts, ports: ReleasePorts): Task {
  const { plan } = request
  const needs: Record<string, Task> = { support }
  for (const { images, platforms } of evidence) {
    needs[`index/${images.image.component}`] = images.index
    for (const made of platforms) needs[sbomPath(images.image.component, made.platform)] = made.sbom
  }
  for (const { path, task } of files) needs[path] = task
  for (const task of titled) needs[task.id] = task
  const planText = `${canonicalJson(plan as unknown as Json)}\n`
  return {
    id: 'release',
    needs,
    key: {
      rule: 'release@5',
      installer: digestOf(request.installer),
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
        { path: 'install-rfo.sh', text: installerText(request.installer, plan.version) },
        { path: 'platforms.txt', text: platformsText(plan.version, platformStates(said.platforms)) },
        ...(request.mark === undefined ? [] : [{ path: request.mark.file, text: request.mark.text }]),
      ]
      const files: ListedFile[] = []
      for (const { path, text } of texts) files.push({ path, ...sized(await pushBytes(ports.store, mediaTypes.octets, text)) })
      for (const [name, descriptor] of Object.entries(inputs)) {
        if (name.startsWith('index/') || name === 'support') continue
        if (titled.some((task) => task.id === name)) files.push(...(await titledFiles(descriptor, ports.store)))
        else files.push({ path: name, ...sized(descriptor) })
      }
      const withSm3 = async (file: ListedFile): Promise<FileRecord> => ({ ...file, sm3: await sm3(ports.store, file) })
      const each = await Promise.all([...new Map(files.map((file) => [file.path, file])).values()].map(withSm3)) // specs come once a platform
      for (const { path, text } of checksumLists(plan.platforms, each))
        each.push(await withSm3({ path, ...sized(await pushBytes(ports.store, mediaTypes.octets, text)) }))
      const root = await pushBytes(ports.store, mediaTypes.index, rootBytes(rootIndex(plan.version, images, each)))
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

/** SM3 costs three SHA-256 and the files are large: it is computed once, and travels with the listing. */
const sm3Annotation = 'io.rfolabs.sm3'

/** A file as it lies. */
export interface ListedFile extends RootedFile {
  readonly unsigned?: { readonly digest: Digest; readonly size: number }
}

/** What the `release` task lists: the root index, and every file of the release but for signatures and trust. */
export async function readListing(
  listing: Descriptor,
  from: ContentReader,
): Promise<{ readonly root: Descriptor; readonly files: readonly FileRecord[] }> {
  const [root, ...entries] = parseIndex(await readBytes(from, listing)).manifests
  if (root === undefined) throw new Error('a listing begins with its root')
  const files = entries.flatMap((entry) => {
    const other = entry.annotations?.[sm3Annotation]
    if (other === undefined) throw new Error('a listing says the SM3 of every file')
    return fileOf(entry).map((file) => ({ ...file, sm3: other }))
  })
  return { root, files }
}

async function titledFiles(index: Descriptor, from: ContentReader): Promise<ListedFile[]> {
  return parseIndex(await readBytes(from, index)).manifests.flatMap(fileOf)
}

/** An entry that is titled is a file; a bundle's own files are no files of the release. */
function fileOf({ digest, size, annotations }: Descriptor): ListedFile[] {
  const path = annotations?.[annotationKeys.title]
  if (path === undefined || path.startsWith(bundlePrefix)) return []
  const [unsigned, bytes] = [annotations?.[unsignedDigest], annotations?.[unsignedSize]]
  return [{ path, digest, size, ...(unsigned === undefined ? {} : { unsigned: { digest: parseDigest(unsigned), size: Number(bytes) } }) }]
}

/** Gives an index whose entries are the files beside the root: statement, bundle, trust, signatures of the checksum lists. */
function statementTask(request: ReleaseRequest, { evidence, support }: Parts, release: Task, ports: ReleasePorts): Task {
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
    key: { rule: 'statement@3', key: fingerprint, mark: mark === undefined ? null : mark.keyFingerprint },
    lane: 'cpu',
    async run(inputs) {
      const { root, files: listed } = await readListing(given(inputs['release']), ports.store)
      const index = await readJson(ports.store, root)
      const files: FileRecord[] = [...listed]
      const beside: { path: string; text: string | Uint8Array }[] = [{ path: 'trust/cosign.pub', text: key.publicKey.pem }]
      for (const { path, text } of beside) {
        const descriptor = await pushBytes(ports.store, mediaTypes.octets, text)
        files.push({ path, digest: descriptor.digest, size: descriptor.size, sm3: await sm3(ports.store, descriptor) })
      }
      const predicate = releasePredicate({
        plan,
        root: { digest: root.digest, index: index as Json },
        files,
        inputs,
        sourceOf: request.bundle.sourceOf,
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

function sized(descriptor: Descriptor | undefined): { digest: Digest; size: number } {
  const { digest, size } = given(descriptor)
  return { digest, size }
}

/** SM3 (GB/T 32905) of a blob, streamed. */
async function sm3(from: ContentReader, target: { readonly digest: Digest; readonly size: number }): Promise<string> {
  const hash = createHash('sm3')
  for await (const chunk of from.fetch({ mediaType: mediaTypes.octets, digest: target.digest, size: target.size })) hash.update(chunk)
  return hash.digest('hex')
}
