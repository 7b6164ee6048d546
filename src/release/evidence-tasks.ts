/** Plan → tasks that say something about images: inventory → sbom, and provenance. Nothing here is signed. */
import { type Material, provenance } from '../attest/provenance.ts'
import { pushBytes, readBytes, readJson } from '../content/read.ts'
import type { Task } from '../graph/task.ts'
import { refuseLost } from '../inspect/carried.ts'
import { cyclonedx } from '../inspect/cyclonedx.ts'
import { type Inventory, inventoryImage } from '../inspect/inventory.ts'
import { spdx } from '../inspect/spdx.ts'
import { hex } from '../oci/digest.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import type { PlatformName } from '../oci/platform.ts'
import { collectedComponents } from '../plan/component.ts'
import type { ImagePlan } from '../plan/release-plan.ts'
import { carriedMaterials, releasePurl } from './carried-task.ts'
import { given } from './given.ts'
import type { ImagePlatform, ImageTasks } from './image-tasks.ts'
import { buildKind, standInsOf } from './labels.ts'
import { libraryFacts, linkedInto } from './linked.ts'
import { maxSbomBytes } from './lists.ts'
import { readPackageRecord } from './package-tasks.ts'
import type { ReleasePorts, ReleaseRequest } from './ports.ts'
import { refuseLowScore } from './sbom-score.ts'
import type { ScanTasks } from './scan-tasks.ts'
import { builderId, imageMaterial, type SaidPlatform } from './sign-tasks.ts'
import { editOf, goEditOf, readSourceRecord } from './source-task.ts'

export interface EvidenceTasks {
  readonly images: ImageTasks
  readonly platforms: readonly SaidPlatform[]
}

export function evidenceTasks(
  request: ReleaseRequest,
  made: readonly ImageTasks[],
  ports: ReleasePorts,
  scans?: Pick<ScanTasks, 'scan'>,
): EvidenceTasks[] {
  return made.map((images) => {
    const platforms = images.platforms.map((one) => {
      const sbom = sbomTask(request, images.image, one, ports)
      const inventory = sbom.needs['inventory']
      return {
        platform: one.platform,
        image: one.image,
        sbom,
        spdx: spdxTask(images.image, one.platform, sbom, ports),
        ...(scans === undefined || inventory === undefined ? {} : { scan: scans.scan(images.image, one.platform, inventory) }),
        provenance: provenanceTask(request, images, one, collectedFrom(images.image, one.platform, made), ports),
      }
    })
    return { images, platforms }
  })
}

function sbomTask(request: ReleaseRequest, image: ImagePlan, { platform, image: made }: ImagePlatform, ports: ReleasePorts): Task {
  const { plan } = request
  const inventory: Task = {
    id: `inventory/${image.component}/${platform}`,
    needs: { image: made },
    key: { rule: 'inventory@2' },
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
    key: { rule: 'sbom@2', subject: subject as unknown as Json },
    lane: 'cpu',
    async run(inputs) {
      const found = (await readJson(ports.store, given(inputs['inventory']))) as unknown as Inventory
      const text = await cyclonedx(found, { ...subject, digest: given(inputs['image']).digest })
      refuseLost(found, text)
      return await pushBytes(ports.store, mediaTypes.cyclonedx, refuseLowScore(text))
    },
  }
}

function spdxTask(image: ImagePlan, platform: PlatformName, sbom: Task, { store }: ReleasePorts): Task {
  return {
    id: `spdx/${image.component}/${platform}`,
    needs: { sbom },
    key: { rule: 'spdx@2' },
    lane: 'cpu',
    async run(inputs) {
      const text = Buffer.from(await readBytes(store, given(inputs['sbom']), maxSbomBytes)).toString('utf8')
      return await pushBytes(store, mediaTypes.spdx, spdx(text))
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
    ...(pin?.kind === 'image' ? { upstreamSignature: pin.upstreamSignature ?? ('unchecked' as const) } : {}),
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
        source: upstream ?? (first === undefined ? { uri: record?.revision ?? releasePurl(plan), digest: {} } : unnamed(first)),
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

/** The source is named by its URI alone. */
function unnamed({ name: _, ...material }: Material): Material {
  return material
}
