/** Plan → tasks that make images: source/c (and library/l/p) → programs/c/p and packages/c/p → image/c/p, or mirror/c/p; then index/c over the platforms. */
import { assembleImage, assembleIndex } from '../build/assemble.ts'
import type { CompilerFacts } from '../build/c-compiler.ts'
import { compressLayer, layerEncoder } from '../build/compress.ts'
import { copyGraph } from '../content/copy.ts'
import { openRegistry } from '../content/registry.ts'
import type { Task } from '../graph/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Json } from '../oci/json.ts'
import { annotationKeys } from '../oci/mediatype.ts'
import { type PlatformName, platformOf } from '../oci/platform.ts'
import { parseReference } from '../oci/reference.ts'
import { othersPrograms } from '../plan/component.ts'
import { imageEpoch } from '../plan/day.ts'
import type { PinnedManifest } from '../plan/lock.ts'
import type { ImagePlan, ReleasePlan } from '../plan/release-plan.ts'
import type { OwnFiles } from './carried-task.ts'
import type { ChartTask } from './chart-tasks.ts'
import { type BuildTools, compiledInC, librariesIn } from './compilers.ts'
import { filesTask } from './files-task.ts'
import { given } from './given.ts'
import { imageLabels } from './labels.ts'
import { libraryTask } from './library-tasks.ts'
import { libraryTools } from './linked.ts'
import { packageTasks, readPackagesLayer } from './package-tasks.ts'
import type { ReleasePorts } from './ports.ts'
import { collectTask, type LinkedInC, programsTask } from './program-tasks.ts'
import { sourceTask, unpinned } from './source-task.ts'

export interface ImageTasks {
  readonly image: ImagePlan
  /** present for images that are made of one */
  readonly source?: Task
  readonly platforms: readonly ImagePlatform[]
  readonly index: Task
}

export interface ImagePlatform {
  readonly platform: PlatformName
  readonly image: Task
  /** of an image that is not mirrored: the layer with its programs */
  readonly programs?: Task
  readonly base?: Task
  /** when the pipeline asks for packages that the base has not */
  readonly packages?: Task
  /** when files of the release are in the image */
  readonly carried?: Task
  /** when a C compiler makes programs of the image */
  readonly compiler?: CompilerFacts
  /** when C libraries are linked into them: what their builds call → its version */
  readonly tools?: Readonly<Record<string, string>>
}

/**
 * `wanted` images of a plan: all of them unless told. Base tasks are shared between components. The plan is the whole
 * one either way: what is made of a few images has the fingerprints that a release of all of them gives.
 */
export function imageTasks(
  plan: ReleasePlan,
  charts: readonly ChartTask[],
  tools: BuildTools,
  ports: ReleasePorts,
  wanted: readonly ImagePlan[] = plan.images,
  own?: OwnFiles,
): ImageTasks[] {
  const bases = new Map<string, Task>()
  const baseOf = (platform: PlatformName): Task => remembered(bases, platform, () => baseTask(plan, platform, ports))
  const packagesOf = packageTasks(plan, ports)
  const sources = new Map<string, Task>()
  const sourceOf = (image: ImagePlan): Task => remembered(sources, image.component, () => sourceTask(image, ports))
  const compilerOf = (image: ImagePlan, platform: PlatformName): CompilerFacts | undefined => {
    const { architecture } = platformOf(platform)
    return compiledInC(image, architecture) ? tools.compilers.get(architecture) : undefined
  }
  const libraries = new Map<string, Task>()
  const linkedIn = (image: ImagePlan, platform: PlatformName): LinkedInC => {
    const compiler = compilerOf(image, platform)
    const linked = librariesIn(image, platform).map((name) => {
      const make = (): Task => libraryTask(plan, name, platform, tools, ports)
      return { name, task: remembered(libraries, `${name}/${platform}`, make) }
    })
    return { ...(compiler === undefined ? {} : { compiler }), libraries: linked }
  }
  const carried = new Map<string, Task>()
  const carriedOf = (image: ImagePlan, platform: PlatformName): Task | undefined => {
    const name = `${image.component}/${platform}`
    const task = carried.get(name) ?? own?.carried(image, platform)
    if (task !== undefined) carried.set(name, task)
    return task
  }
  const programs = new Map<string, Task>()
  const programsOf = (image: ImagePlan, platform: PlatformName): Task =>
    remembered(programs, `${image.component}/${platform}`, () => {
      const inside = image.charts === true ? charts : []
      const from = othersPrograms(image.build).map((each) => {
        const other = plan.images.find((one) => one.component === each.component)
        if (other === undefined) throw unpinned(`${each.component}, which ${image.component} collects`)
        return { ...each, task: programsOf(other, platform) }
      })
      if (image.build?.kind === 'collect') return collectTask(plan, image, platform, from, inside, ports)
      if (image.build?.kind === 'files') {
        const release = carriedOf(image, platform)
        const needs = { ...(image.source && { source: sourceOf(image) }), ...(release && { carried: release }), from }
        return filesTask(plan, image, platform, needs, ports)
      }
      return programsTask(plan, image, platform, sourceOf(image), linkedIn(image, platform), inside, ports)
    })
  return wanted.map((image) => {
    const made = plan.platforms.filter((platform) => image.platforms[platform]?.status === 'made')
    const source = image.source === undefined ? undefined : sourceOf(image)
    const platforms = made.map((platform) => {
      if (image.action === 'mirror') return { platform, image: mirrorTask(image, platform, ports) }
      const base = image.base === 'scratch' ? undefined : baseOf(platform)
      const packages = base === undefined ? undefined : packagesOf(image, platform, base)
      const compiler = compilerOf(image, platform)
      const called = libraryTools(plan, image, platform, tools)
      const release = carriedOf(image, platform)
      const programs = programsOf(image, platform)
      return {
        platform,
        programs,
        ...(release === undefined ? {} : { carried: release }),
        ...(base === undefined ? {} : { base }),
        ...(packages === undefined ? {} : { packages }),
        ...(compiler === undefined ? {} : { compiler }),
        ...(Object.keys(called).length === 0 ? {} : { tools: called }),
        image: assembleTask(plan, image, platform, { base, packages, programs }, ports),
      }
    })
    return { image, ...(source === undefined ? {} : { source }), platforms, index: indexTask(plan, image, platforms, ports) }
  })
}

/** One task for one name, whoever needs it. */
function remembered(known: Map<string, Task>, name: string, make: () => Task): Task {
  const task = known.get(name) ?? make()
  known.set(name, task)
  return task
}

function baseTask(plan: ReleasePlan, platform: PlatformName, ports: ReleasePorts): Task {
  const locked = plan.bases[platform]?.locked
  if (locked?.kind !== 'image') throw unpinned(`base of ${platform}`)
  return {
    id: `base/${platform}`,
    needs: {},
    key: { rule: 'base@1', reference: locked.reference, manifest: locked.manifest },
    lane: 'network',
    run: (_inputs, at) => copyManifest(locked.reference, locked.manifest, platform, ports, at.signal),
  }
}

function mirrorTask(image: ImagePlan, platform: PlatformName, ports: ReleasePorts): Task {
  const pin = image.locked?.pin
  const manifest = pin?.kind === 'image' ? pin.platforms[platform] : undefined
  if (pin?.kind !== 'image' || manifest === undefined) throw unpinned(`${image.component} for ${platform}`)
  return {
    id: `mirror/${image.component}/${platform}`,
    needs: {},
    key: { rule: 'mirror@1', reference: pin.reference, manifest },
    lane: 'network',
    run: (_inputs, at) => copyManifest(pin.reference, manifest, platform, ports, at.signal),
  }
}

async function copyManifest(
  reference: string,
  pinned: PinnedManifest,
  platform: PlatformName,
  ports: ReleasePorts,
  signal: AbortSignal,
): Promise<Descriptor> {
  const target: Descriptor = { ...pinned, platform: platformOf(platform) }
  const { registry, repository } = parseReference(reference)
  const from = openRegistry({ registry, repository }, { addresses: ports.addresses, session: ports.registries, signal })
  await copyGraph([target], from, ports.store, { concurrency: 4, signal })
  return target
}

function assembleTask(
  plan: ReleasePlan,
  image: ImagePlan,
  platform: PlatformName,
  { base, packages, programs }: { readonly base: Task | undefined; readonly packages: Task | undefined; readonly programs: Task },
  ports: ReleasePorts,
): Task {
  const labels = imageLabels(plan, image, platform)
  const epoch = imageEpoch(plan, image)
  return {
    id: `image/${image.component}/${platform}`,
    needs: { programs, ...(base === undefined ? {} : { base }), ...(packages === undefined ? {} : { packages }) },
    key: {
      rule: 'image@1',
      config: image.config as unknown as Json,
      labels,
      layers: image.layers,
      epoch,
      encoder: layerEncoder,
      platform,
      ...(packages === undefined ? {} : { packages: [...image.packages] }),
    },
    lane: 'cpu',
    async run({ base: baseManifest, packages: installed, programs: tar }) {
      const layer = await compressLayer(given(tar), image.layers, ports.store, { workDir: ports.workDir })
      const layers = [
        // a program may replace what a package brought, never the other way
        ...(installed === undefined
          ? []
          : [{ ...(await readPackagesLayer(installed, ports)), createdBy: `rfo-build packages ${image.packages.join(' ')}` }]),
        { ...layer, createdBy: `rfo-build programs/${image.component}/${platform}` },
      ]
      const request = { layers, platform, config: image.config, labels, epoch }
      return await assembleImage(baseManifest === undefined ? request : { ...request, base: baseManifest }, ports.store)
    },
  }
}

function indexTask(plan: ReleasePlan, image: ImagePlan, platforms: ImageTasks['platforms'], ports: ReleasePorts): Task {
  const pin = image.locked?.pin
  const annotations: Record<string, string> = {
    [annotationKeys.version]: image.version,
    ...(pin?.kind === 'image' ? { [annotationKeys.baseName]: pin.reference, [annotationKeys.baseDigest]: pin.index.digest } : {}),
  }
  return {
    id: `index/${image.component}`,
    needs: Object.fromEntries(platforms.map((made) => [made.platform, made.image])),
    key: { rule: 'index@1', platforms: platforms.map((made) => made.platform), annotations, release: plan.schema },
    lane: 'cpu',
    async run(inputs) {
      const manifests = platforms.map((made) => ({ ...given(inputs[made.platform]), platform: platformOf(made.platform) }))
      return await assembleIndex(manifests, annotations, ports.store)
    },
  }
}
