/** Plan → tasks that say something about images: inventory → sbom, provenance, and the signatures over all of it. */
import { indexProvenance, provenance } from '../attest/provenance.ts'
import { predicateTypes, type Statement, statement, subjectOf } from '../attest/statement.ts'
import { pushBytes, readBytes, readJson } from '../content/read.ts'
import type { Task } from '../graph/task.ts'
import { cyclonedx } from '../inspect/cyclonedx.ts'
import { type Inventory, inventoryImage } from '../inspect/inventory.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { hex } from '../oci/digest.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import type { PlatformName } from '../oci/platform.ts'
import { collectedComponents } from '../plan/component.ts'
import type { ImagePlan } from '../plan/release-plan.ts'
import { attest, signImage, signKeyless } from '../sign/attach.ts'
import { keyFingerprint } from '../sign/key.ts'
import { carriedMaterials, releasePurl } from './carried-task.ts'
import { given } from './given.ts'
import type { ImagePlatform, ImageTasks } from './image-tasks.ts'
import { buildKind, standInsOf } from './labels.ts'
import { libraryFacts, linkedInto } from './linked.ts'
import { attachedEntries } from './oci-entries.ts'
import { readPackageRecord } from './package-tasks.ts'
import type { ReleasePorts, ReleaseRequest } from './ports.ts'
import { editOf, goEditOf, readSourceRecord } from './source-task.ts'

/** https://slsa.dev/spec/v1.0/provenance#builder.id : who ran the build; a CI's own identity replaces it when one signs there. */
export const builderId = 'https://github.com/rfolabs/rfo-build'

export interface EvidenceTasks {
  readonly images: ImageTasks
  readonly platforms: readonly { readonly platform: PlatformName; readonly image: Task; readonly sbom: Task; readonly provenance: Task }[]
  /** Gives an index over everything attached to the image: signatures and attestations. */
  readonly sign: Task
}

export function evidenceTasks(request: ReleaseRequest, made: readonly ImageTasks[], ports: ReleasePorts): EvidenceTasks[] {
  return made.map((images) => {
    const platforms = images.platforms.map((one) => ({
      platform: one.platform,
      image: one.image,
      sbom: sbomTask(request, images.image, one, ports),
      provenance: provenanceTask(request, images, one, collectedFrom(images.image, one.platform, made), ports),
    }))
    return { images, platforms, sign: signTask(request, images, platforms, ports) }
  })
}

function sbomTask(request: ReleaseRequest, image: ImagePlan, { platform, image: made }: ImagePlatform, ports: ReleasePorts): Task {
  const { plan } = request
  const inventory: Task = {
    id: `inventory/${image.component}/${platform}`,
    needs: { image: made },
    key: { rule: 'inventory@1' },
    lane: 'cpu',
    async run({ image: manifest }, at) {
      const found = await inventoryImage(given(manifest), ports.store, { tempDir: ports.workDir, signal: at.signal })
      return await pushBytes(ports.store, mediaTypes.json, canonicalJson(found as unknown as Json))
    },
  }
  const standIns = standInsOf(plan, image, platform)
  const libraries = linkedInto(plan, image, platform)
  const subject = {
    name: image.reference,
    version: image.version,
    epoch: plan.epoch,
    supplier: { name: plan.vendor, url: plan.url },
    tool: { name: 'rfo-build', version: request.toolVersion },
    ...(standIns.length === 0 ? {} : { standIn: standIns.join('; ') }),
    ...(libraries.length === 0 ? {} : { libraries }),
  }
  return {
    id: `sbom/${image.component}/${platform}`,
    needs: { image: made, inventory },
    key: { rule: 'sbom@1', subject: subject as unknown as Json },
    lane: 'cpu',
    async run(inputs) {
      const found = (await readJson(ports.store, given(inputs['inventory']))) as unknown as Inventory
      return await pushBytes(
        ports.store,
        mediaTypes.cyclonedx,
        await cyclonedx(found, { ...subject, digest: given(inputs['image']).digest }),
      )
    },
  }
}

/** The images whose programs an image collects, on the same platform. */
function collectedFrom(image: ImagePlan, platform: PlatformName, all: readonly ImageTasks[]): { image: ImagePlan; task: Task }[] {
  const names = collectedComponents(image.build)
  return all.flatMap((other) => {
    const task = names.has(other.image.component) ? other.platforms.find((each) => each.platform === platform)?.image : undefined
    return task === undefined ? [] : [{ image: other.image, task }]
  })
}

function provenanceTask(
  request: ReleaseRequest,
  images: ImageTasks,
  { platform, image: made, base, packages, compiler, tools, carried }: ImagePlatform,
  collected: readonly { readonly image: ImagePlan; readonly task: Task }[],
  ports: ReleasePorts,
): Task {
  const { plan } = request
  const { image, source } = images
  const pin = image.locked?.pin
  const standIns = standInsOf(plan, image, platform)
  const lockedBase = plan.bases[platform]?.locked
  const libraries = libraryFacts(plan, image, platform)
  const facts = {
    buildType: buildKind(image),
    component: image.component,
    version: image.version,
    platform,
    release: plan.version,
    ...(image.deviates === undefined ? {} : { deviates: image.deviates }),
    ...(standIns.length === 0 ? {} : { standIn: standIns.join('; ') }),
    parameters: {
      build: (image.build ?? null) as unknown as Json,
      config: image.config as unknown as Json,
      layers: image.layers,
      ...(goEditOf(image) === undefined ? {} : { edit: editOf(image) }),
      ...libraries.parameters,
    },
    ...(compiler === undefined ? {} : { compiler: { ...compiler } }),
    ...(tools === undefined ? {} : { tools }),
    builderId,
    builderVersion: request.toolVersion,
  }
  return {
    id: `provenance/${image.component}/${platform}`,
    needs: {
      image: made,
      ...(source === undefined ? {} : { source }),
      ...(base === undefined ? {} : { base }),
      ...(packages === undefined ? {} : { packages }),
      ...(carried === undefined ? {} : { carried }),
      ...Object.fromEntries(collected.map(({ image: other, task }) => [`image/${other.component}`, task])),
    },
    key: {
      rule: 'provenance@2',
      facts: facts as unknown as Json,
      pin: (pin ?? null) as unknown as Json,
      ...(libraries.materials.length === 0 ? {} : { libraries: libraries.materials as unknown as Json }),
    },
    lane: 'cpu',
    async run(inputs) {
      const record = inputs['source'] === undefined ? undefined : await readSourceRecord(ports, inputs['source'])
      const installed = inputs['packages'] === undefined ? undefined : await readPackageRecord(inputs['packages'], ports)
      const upstream = pin?.kind === 'image' ? { uri: `oci://${pin.reference}`, digest: { sha256: hex(pin.index.digest) } } : undefined
      const inside = inputs['carried'] === undefined ? [] : await carriedMaterials(plan, inputs['carried'], ports)
      const [first, ...others] = [...(record?.materials ?? []), ...inside]
      const predicate = provenance({
        ...facts,
        source:
          upstream ??
          (first === undefined ? { uri: record?.revision ?? releasePurl(plan), digest: {} } : { uri: first.uri, digest: first.digest }),
        ...(installed === undefined ? {} : { notDone: installed.notDone }),
        materials: [
          ...others,
          ...(installed?.materials ?? []),
          ...libraries.materials,
          ...collected.map(({ image: other }) => imageMaterial(other.component, other, given(inputs[`image/${other.component}`]))),
        ],
        ...(inputs['base'] === undefined || lockedBase?.kind !== 'image'
          ? {}
          : { base: { uri: `oci://${lockedBase.reference}`, digest: { sha256: hex(inputs['base'].digest) } } }),
      })
      return await pushBytes(ports.store, mediaTypes.json, canonicalJson(predicate))
    },
  }
}

function imageMaterial(name: string, image: ImagePlan, manifest: Descriptor): { name: string; uri: string; digest: { sha256: string } } {
  const sha256 = hex(manifest.digest)
  return { name, uri: `oci://${image.reference}@sha256:${sha256}`, digest: { sha256 } }
}

/** Signs the index and every platform manifest, and attests: of what the index is, and of each manifest provenance and SBOM. */
function signTask(request: ReleaseRequest, images: ImageTasks, platforms: EvidenceTasks['platforms'], ports: ReleasePorts): Task {
  const { image } = images
  const { epoch, version: release } = request.plan
  const needs: Record<string, Task> = { index: images.index }
  for (const made of platforms) {
    needs[`image/${made.platform}`] = made.image
    needs[`sbom/${made.platform}`] = made.sbom
    needs[`provenance/${made.platform}`] = made.provenance
  }
  return {
    id: `sign/${image.component}`,
    needs,
    key: {
      rule: 'sign@2',
      tool: request.toolVersion,
      release,
      reference: image.reference,
      key: keyFingerprint(request.key.publicKey),
      ...(request.keyless === undefined ? {} : { keyless: request.keyless.fingerprint }),
      epoch,
    },
    lane: 'cpu',
    async run(inputs) {
      const attached: Descriptor[] = []
      const sign = async (subject: Descriptor): Promise<void> => {
        attached.push(...attachedEntries(await signImage(subject, image.reference, request.key, ports.store, epoch)))
        if (request.keyless !== undefined)
          attached.push(...attachedEntries(await signKeyless(subject, request.keyless, ports.store, epoch)))
      }
      const index = given(inputs['index'])
      await sign(index)
      const manifests = platforms.map(({ platform }) => imageMaterial(platform, image, given(inputs[`image/${platform}`])))
      const made = indexProvenance({
        component: image.component,
        version: image.version,
        release,
        manifests,
        builderId,
        builderVersion: request.toolVersion,
      })
      const said = statement([subjectOf(index.digest, image.reference)], predicateTypes.slsaProvenance, made)
      attached.push(...attachedEntries(await attest(index, [said], request.key, ports.store, epoch)))
      for (const { platform } of platforms) {
        const subject = given(inputs[`image/${platform}`])
        await sign(subject)
        const about = (predicateType: string, predicate: Json): Statement =>
          statement([subjectOf(subject.digest, image.reference)], predicateType, predicate)
        const statements = [
          about(predicateTypes.slsaProvenance, (await readJson(ports.store, given(inputs[`provenance/${platform}`]))) as Json),
          about(predicateTypes.cyclonedx, await readSbom(ports, given(inputs[`sbom/${platform}`]))),
        ]
        attached.push(...attachedEntries(await attest(subject, statements, request.key, ports.store, epoch)))
      }
      return await pushAttached(ports, attached)
    },
  }
}

/** SBOMs of big images are larger than a manifest may be. */
export const maxSbomBytes = 64 * 1024 * 1024

async function readSbom(ports: ReleasePorts, descriptor: Descriptor): Promise<Json> {
  return JSON.parse(Buffer.from(await readBytes(ports.store, descriptor, maxSbomBytes)).toString('utf8')) as Json
}

/** An index over what was attached: a task gives one descriptor, and the result cache can tell whether all of it is still there. */
async function pushAttached(ports: ReleasePorts, attached: readonly Descriptor[]): Promise<Descriptor> {
  const unique = [...new Map(attached.map((descriptor) => [descriptor.digest, descriptor])).values()]
  const text = canonicalJson({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: unique as unknown as Json })
  return await pushBytes(ports.store, mediaTypes.index, text)
}
