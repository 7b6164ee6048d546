/**
 * SBOMs of what is no image: each program, tarball, RPM and group archive, and one of the release that refers to all of them and to
 * the images' by digest. Made of what other tasks know already: no payload is read again but the programs' own.
 */
import { createReadStream } from 'node:fs'
import { pushBytes, readBytes } from '../content/read.ts'
import type { Task } from '../graph/task.ts'
import { refuseLost } from '../inspect/carried.ts'
import { cyclonedx } from '../inspect/cyclonedx.ts'
import type { SbomSubject } from '../inspect/cyclonedx-document.ts'
import { type BomReference, cyclonedxOfParts, type Part } from '../inspect/cyclonedx-parts.ts'
import { inventoryLoose } from '../inspect/loose.ts'
import { genericPurl, ociPurl, rpmPurl } from '../inspect/purl.ts'
import { readRpmFrontOf } from '../inspect/rpm-file.ts'
import type { RpmPackage } from '../inspect/rpmdb/header.ts'
import { spdx } from '../inspect/spdx.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, digestOf, isDigest } from '../oci/digest.ts'
import type { Json } from '../oci/json.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import type { PlatformName } from '../oci/platform.ts'
import type { EvidenceTasks } from './evidence-tasks.ts'
import { given } from './given.ts'
import { groupFileOf } from './group-archive.ts'
import { standInsOf } from './labels.ts'
import { archivePath, fileSbomPath, groupFiles, maxSbomBytes, releaseSbom, sbomPath, spdxPath } from './lists.ts'
import type { ReleasePorts, ReleaseRequest } from './ports.ts'
import type { FileTask } from './release-tasks.ts'
import { by } from './root.ts'
import { hostComponent } from './rpm-task.ts'
import { refuseLowScore } from './sbom-score.ts'
import { programArchitecture } from './signed-paths.ts'
import { bundlePrefix, pushTitled, titledIn, unsignedDigest } from './titled.ts'

export interface SbomParts {
  readonly evidence: readonly EvidenceTasks[]
  /** charts and group archives */
  readonly files: readonly FileTask[]
  /** tarballs and packages: indexes of titled files */
  readonly titled: readonly Task[]
}

/** Gives an index of titled files. */
export function fileSbomsTask(request: ReleaseRequest, { evidence, files, titled }: SbomParts, ports: ReleasePorts): Task {
  const { plan, toolVersion } = request
  const images = evidence.flatMap(({ images: { image }, platforms }) => platforms.map((each) => ({ ...each, about: image })))
  const standIns = images.flatMap(({ about, platform }) => standInsOf(plan, about, platform))
  const standIn = [...new Set(standIns)].sort().join('; ')
  const subject = {
    epoch: plan.epoch,
    supplier: { name: plan.vendor, url: plan.url },
    tool: { name: 'rfo-build', version: toolVersion },
    ...(standIn === '' ? {} : { standIn }),
  }
  const needs: Record<string, Task> = Object.fromEntries(files.map(({ path, task }) => [path, task]))
  for (const task of titled) needs[task.id] = task
  for (const { about, platform, image, sbom, spdx: other } of images) {
    needs[imageKey(about.component, platform)] = image
    needs[sbomPath(about.component, platform)] = sbom
    needs[spdxPath(about.component, platform)] = other
  }
  return {
    id: 'sboms',
    needs,
    key: { rule: 'sboms@1', version: plan.version, subject: subject as unknown as Json },
    lane: 'cpu',
    async run(inputs, at) {
      const made = new Map<string, Descriptor>()
      const parts: Part[] = []
      const push = async (path: string, text: string): Promise<BomReference> => {
        const pushed = await pushBytes(ports.store, path.endsWith('.spdx.json') ? mediaTypes.spdx : mediaTypes.cyclonedx, text)
        made.set(path, pushed)
        return { path, digest: pushed.digest }
      }
      const whole = async (part: Part, inside: readonly Part[]): Promise<void> => {
        const text = await cyclonedxOfParts(part, inside, { ...subject, digest: part.digest })
        parts.push({ ...part, boms: [await push(fileSbomPath(part.name), refuseLowScore(text))] })
      }
      const version = plan.version
      const imageParts = new Map<string, Part>()
      for (const { about, platform } of images) {
        const { digest } = given(inputs[imageKey(about.component, platform)])
        const purl = ociPurl(about.reference, digest, platform.slice('linux/'.length))
        const boms = [sbomPath, spdxPath].map((pathOf) => pathOf(about.component, platform))
        imageParts.set(`${about.reference} ${platform}`, {
          name: about.reference,
          version: about.version,
          digest,
          is: 'image',
          ...(purl === undefined ? {} : { purl }),
          boms: boms.map((path) => ({ path, digest: given(inputs[path]).digest })),
          properties: { 'rfo:image:platform': platform },
        })
      }
      parts.push(...imageParts.values())

      const listed = new Map(files.map(({ path }) => [path, given(inputs[path])]))
      const bundles: ReadonlyMap<string, Descriptor>[] = []
      for (const task of titled) {
        const entries = await titledIn(given(inputs[task.id]), ports)
        bundles.push(entries)
        for (const [path, entry] of entries) if (!path.startsWith(bundlePrefix)) listed.set(path, entry)
      }
      const programs = await programSboms(listed, subject, version, ports, push, at.signal)
      for (const [, sbom] of programs) parts.push(sbom)
      const elsewhere = new Map<Digest, readonly BomReference[]>()
      for (const { about, platform } of images) {
        if (about.component !== hostComponent) continue
        const boms = imageParts.get(`${about.reference} ${platform}`)?.boms ?? []
        for (const digest of await programsOf(given(inputs[sbomPath(about.component, platform)]), ports)) elsewhere.set(digest, boms)
      }
      const known = (digest: Digest): readonly BomReference[] => programs.get(digest)?.boms ?? elsewhere.get(digest) ?? []

      for (const { name, platform, references } of groupFiles(plan)) {
        const inside = references.flatMap((reference) => imageParts.get(`${reference} ${platform}`) ?? [])
        for (const kind of plan.archives ?? (['tar.zst'] as const)) {
          const path = archivePath(name, kind)
          await whole(filePart(path, version, given(listed.get(path)).digest, 'archive'), inside)
        }
      }
      for (const entries of bundles) {
        const inside = [...entries].filter(([path]) => path.startsWith(bundlePrefix))
        const tarball = [...entries].find(([path]) => path.endsWith('.tar.gz'))
        if (inside.length === 0 || tarball === undefined) continue
        const held = inside.map(([path, { digest }]): Part => {
          const boms = known(digest)
          return { ...filePart(path.slice(bundlePrefix.length), version, digest, boms.length > 0 ? 'program' : 'data'), boms }
        })
        await whole(filePart(tarball[0], version, tarball[1].digest, 'archive'), held)
      }
      for (const [path, entry] of [...listed].sort(by(([each]) => each))) {
        if (!path.endsWith('.rpm')) continue
        const { header } = await readRpmFrontOf(ports.store.blobPath(entry.digest))
        await whole(rpmPart(path, entry, header), rpmFiles(header, known))
      }
      for (const { path } of files) {
        const { digest } = given(listed.get(path))
        if (groupFileOf(path) === undefined) parts.push(filePart(path, version, digest, path.startsWith('charts/') ? 'archive' : 'data'))
      }
      const root = filePart('rfo', version, digestOf(`release ${version}`), 'archive')
      const text = refuseLowScore(
        await cyclonedxOfParts({ ...root, is: 'release' }, parts.sort(by(({ name, digest }) => `${name} ${digest}`)), {
          ...subject,
          digest: digestOf(parts.map(({ name, digest }) => `${digest} ${name}\n`).join('')),
        }),
      )
      await push(releaseSbom.cyclonedx, text)
      await push(releaseSbom.spdx, spdx(text))
      return await pushTitled(ports, [...made].sort(by(([path]) => path)))
    },
  }
}

function imageKey(component: string, platform: PlatformName): string {
  return `image/${component}/${platform}`
}

function filePart(name: string, version: string, digest: Digest, is: Part['is']): Part {
  const purl = genericPurl(name.slice(name.lastIndexOf('/') + 1), version, digest)
  return { name, version, digest, is, ...(purl === undefined ? {} : { purl }) }
}

/** The programs that an image's SBOM lists. */
async function programsOf(sbom: Descriptor, { store }: ReleasePorts): Promise<Digest[]> {
  const { components = [] } = JSON.parse(Buffer.from(await readBytes(store, sbom, maxSbomBytes)).toString('utf8')) as {
    readonly components?: readonly {
      readonly type: string
      readonly hashes?: readonly { readonly alg: string; readonly content: string }[]
    }[]
  }
  return components.flatMap(({ type, hashes = [] }) =>
    hashes.flatMap(({ alg, content }) => (type === 'file' && alg === 'SHA-256' ? [`sha256:${content}` as Digest] : [])),
  )
}

/** The release's own programs: what Go's build info says of them. */
async function programSboms(
  listed: ReadonlyMap<string, Descriptor>,
  subject: Omit<SbomSubject, 'name' | 'version' | 'digest'>,
  version: string,
  { store, workDir }: ReleasePorts,
  push: (path: string, text: string) => Promise<BomReference>,
  signal: AbortSignal,
): Promise<ReadonlyMap<Digest, Part>> {
  const found = new Map<Digest, Part>()
  for (const [path, { digest, size }] of listed) {
    if (programArchitecture(path) === undefined) continue
    const part = filePart(path, version, digest, 'program')
    const entry = { path: [path], kind: 'file', size, mode: 0o755, target: '', body: createReadStream(store.blobPath(digest)) } as const
    const inventory = await inventoryLoose([entry], { tempDir: workDir, digest, signal })
    const text = await cyclonedx(inventory, { ...subject, name: path, version, digest, is: 'file', ...(part.purl && { purl: part.purl }) })
    refuseLost(inventory, text)
    found.set(digest, { ...part, boms: [await push(fileSbomPath(path), refuseLowScore(text))] })
  }
  return found
}

/** Its digest is that of main header and payload, which no signature changes: who signs is not known here. */
function rpmPart(path: string, { annotations, digest }: Descriptor, header: RpmPackage): Part {
  const unsigned = annotations?.[unsignedDigest]
  const purl = rpmPurl(header, { id: 'openEuler', version: '', prettyName: '' })
  return {
    name: path,
    version: `${header.version}-${header.release}`,
    digest: unsigned !== undefined && isDigest(unsigned) ? unsigned : digest,
    is: 'package',
    ...(purl === undefined ? {} : { purl }),
    license: header.license,
    properties: {
      'rfo:rpm:hashOf': 'main header and payload',
      ...(header.sha256 === undefined ? {} : { 'rfo:rpm:headerSha256': header.sha256 }),
      'rfo:rpm:requires': [...new Set(header.requires)]
        .filter((name) => !name.startsWith('rpmlib('))
        .sort()
        .join(' '),
    },
  }
}

function rpmFiles(header: RpmPackage, known: (digest: Digest) => readonly BomReference[]): Part[] {
  const version = `${header.version}-${header.release}`
  return header.files.flatMap(({ path, digest }): Part[] => {
    const sha256 = `sha256:${digest}`
    if (!isDigest(sha256)) return []
    const boms = known(sha256)
    return [{ ...filePart(path, version, sha256, boms.length > 0 ? 'program' : 'data'), boms }]
  })
}
