/** Plan → tasks that make images: source/c → programs/c/p → image/c/p, or mirror/c/p; then index/c over the platforms. */
import { realpath, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { assembleImage, assembleIndex } from '../build/assemble.ts'
import { cBuilder, compileC } from '../build/c.ts'
import type { CompilerFacts } from '../build/c-compiler.ts'
import { collectPrograms } from '../build/collect.ts'
import { compressLayer, layerEncoder } from '../build/compress.ts'
import { compileGo, goBuilder } from '../build/go.ts'
import { type LayerEntry, writeLayerTar } from '../build/layer.ts'
import { prebuiltPrograms } from '../build/prebuilt.ts'
import type { MadePrograms } from '../build/programs.ts'
import { copyGraph } from '../content/copy.ts'
import { pushBytes, readJson } from '../content/read.ts'
import { openRegistry } from '../content/registry.ts'
import { RfoError } from '../error.ts'
import type { Task, TaskRun } from '../graph/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { annotationKeys, mediaTypes } from '../oci/mediatype.ts'
import { type PlatformName, platformOf } from '../oci/platform.ts'
import { parseReference } from '../oci/reference.ts'
import { programPaths } from '../plan/component.ts'
import { type ArchivePin, type GitPin, type GoModulePin, type PinnedManifest, prebuiltOf } from '../plan/lock.ts'
import type { ImagePlan, ReleasePlan } from '../plan/release-plan.ts'
import { type OpenSource, openSource } from '../source/open.ts'
import { type ChartTask, chartFile } from './chart-tasks.ts'
import { type CCompilers, compiledInC } from './compilers.ts'
import { given } from './given.ts'
import { imageLabels } from './labels.ts'
import type { ReleasePorts } from './ports.ts'

export interface ImageTasks {
  readonly image: ImagePlan
  /** present for rebuilt images */
  readonly source?: Task
  readonly platforms: readonly ImagePlatform[]
  readonly index: Task
}

export interface ImagePlatform {
  readonly platform: PlatformName
  readonly image: Task
  readonly base?: Task
  /** when a C compiler makes programs of the image */
  readonly compiler?: CompilerFacts
}

/** What a source task leaves: where the source came from, as provenance will say it. */
export interface SourceRecord {
  readonly revision: string
  readonly materials: readonly { readonly uri: string; readonly digest: Readonly<Record<string, string>>; readonly name?: string }[]
}

type SourcePin = GoModulePin | GitPin | ArchivePin

/**
 * `wanted` images of a plan: all of them unless told. Base tasks are shared between components. The plan is the whole
 * one either way: what is made of a few images has the fingerprints that a release of all of them gives.
 */
export function imageTasks(
  plan: ReleasePlan,
  charts: readonly ChartTask[],
  compilers: CCompilers,
  ports: ReleasePorts,
  wanted: readonly ImagePlan[] = plan.images,
): ImageTasks[] {
  const bases = new Map<string, Task>()
  const baseOf = (platform: PlatformName): Task => remembered(bases, platform, () => baseTask(plan, platform, ports))
  const sources = new Map<string, Task>()
  const sourceOf = (image: ImagePlan): Task => remembered(sources, image.component, () => sourceTask(image, ports))
  const compilerOf = (image: ImagePlan, platform: PlatformName): CompilerFacts | undefined => {
    const { architecture } = platformOf(platform)
    return compiledInC(image, architecture) ? compilers.get(architecture) : undefined
  }
  const programs = new Map<string, Task>()
  const programsOf = (image: ImagePlan, platform: PlatformName): Task =>
    remembered(programs, `${image.component}/${platform}`, () => {
      const carried = image.charts === true ? charts : []
      if (image.build?.kind !== 'collect')
        return programsTask(plan, image, platform, sourceOf(image), compilerOf(image, platform), carried, ports)
      const from = image.build.from.map((each) => {
        const other = plan.images.find((one) => one.component === each.component)
        if (other === undefined) throw unpinned(`${each.component}, which ${image.component} collects`)
        return { ...each, task: programsOf(other, platform) }
      })
      return collectTask(plan, image, platform, from, carried, ports)
    })
  return wanted.map((image) => {
    const made = plan.platforms.filter((platform) => image.platforms[platform]?.status === 'made')
    const source = image.action === 'rebuild' ? sourceOf(image) : undefined
    const platforms = made.map((platform) => {
      if (source === undefined) return { platform, image: mirrorTask(image, platform, ports) }
      const base = image.base === 'scratch' ? undefined : baseOf(platform)
      const compiler = compilerOf(image, platform)
      return {
        platform,
        ...(base === undefined ? {} : { base }),
        ...(compiler === undefined ? {} : { compiler }),
        image: assembleTask(plan, image, platform, base, programsOf(image, platform), ports),
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

function sourceTask(image: ImagePlan, ports: ReleasePorts): Task {
  const pin = pinnedSource(image)
  return {
    id: `source/${image.component}`,
    needs: {},
    key: { rule: 'source@1', pin: pin as unknown as Json, edit: editOf(image) },
    lane: 'network',
    run: (_inputs, at) =>
      withSource(image, ports, at, async (source) => {
        const record: SourceRecord = { revision: source.revision, materials: source.materials }
        return await pushBytes(ports.store, mediaTypes.json, canonicalJson(record as unknown as Json))
      }),
  }
}

function programsTask(
  plan: ReleasePlan,
  image: ImagePlan,
  platform: PlatformName,
  source: Task,
  compiler: CompilerFacts | undefined,
  charts: readonly ChartTask[],
  ports: ReleasePorts,
): Task {
  const pin = pinnedSource(image)
  const prebuilt = prebuiltOf(pin)
  const { build } = image
  if (build === undefined) throw unpinned(`build of ${image.component}`)
  if (prebuilt === undefined && build.kind === 'recipe') {
    throw new RfoError(
      'RFO_RELEASE_RECIPE',
      `${image.component} is built by a recipe with RUN steps, which needs a builder that can run them`,
      {
        exit: 'build',
        where: image.component,
        next: `add --stand-in git, or leave ${image.component} out`,
      },
    )
  }
  return {
    id: `programs/${image.component}/${platform}`,
    needs: { source, ...Object.fromEntries(charts.map(({ chart, task }) => [`chart/${chart.name}`, task])) },
    key: {
      rule: 'programs@1',
      pin: pin as unknown as Json,
      build: build as unknown as Json,
      files: (image.files ?? []) as unknown as Json,
      edit: editOf(image),
      platform,
      epoch: plan.epoch,
      builder: prebuilt === undefined ? (build.kind === 'c' ? cBuilder : goBuilder) : 'prebuilt@1',
      ...(compiler === undefined ? {} : { compiler: { ...compiler } }),
      charts: charts.map(({ chart }) => [chart.name, chart.version, chart.url]),
    },
    lane: 'cpu',
    run: (inputs, at) =>
      withSource(image, ports, at, async (opened) => {
        const made = await programsOf(plan, image, platform, opened, prebuilt, ports, at)
        return await layerOf(made, plan, ports, async () => {
          refuseOtherCompiler(compiler, made.compiler, platform)
          return [...(await fileEntries(image, opened)), ...(await carriedCharts(charts, inputs, ports))]
        })
      }),
  }
}

function collectTask(
  plan: ReleasePlan,
  image: ImagePlan,
  platform: PlatformName,
  from: readonly { readonly component: string; readonly program: string; readonly output: string; readonly task: Task }[],
  charts: readonly ChartTask[],
  ports: ReleasePorts,
): Task {
  return {
    id: `programs/${image.component}/${platform}`,
    needs: {
      ...Object.fromEntries(from.map(({ component, task }) => [`programs/${component}`, task])),
      ...Object.fromEntries(charts.map(({ chart, task }) => [`chart/${chart.name}`, task])),
    },
    key: {
      rule: 'collect@1',
      from: from.map(({ component, program, output }) => [component, program, output]),
      platform,
      epoch: plan.epoch,
      charts: charts.map(({ chart }) => [chart.name, chart.version, chart.url]),
    },
    lane: 'cpu',
    async run(inputs, at) {
      const layers = from.map((each) => ({ ...each, layer: given(inputs[`programs/${each.component}`]) }))
      const made = await collectPrograms({ from: layers, platform, workDir: ports.workDir, signal: at.signal }, ports.store)
      return await layerOf(made, plan, ports, () => carriedCharts(charts, inputs, ports))
    },
  }
}

/** Programs and what lies beside them, as a layer; the programs' folder is gone then. */
async function layerOf(
  made: FoundPrograms,
  plan: ReleasePlan,
  ports: ReleasePorts,
  others: () => Promise<LayerEntry[]>,
): Promise<Descriptor> {
  try {
    const entries = made.programs.map(({ path, file }): LayerEntry => ({ path, file, mode: 0o755 }))
    return await writeLayerTar([...entries, ...(await others())], ports.store, plan.epoch)
  } finally {
    if (made.dir !== undefined) await rm(made.dir, { recursive: true, force: true })
  }
}

async function carriedCharts(
  charts: readonly ChartTask[],
  inputs: Readonly<Record<string, Descriptor>>,
  ports: ReleasePorts,
): Promise<LayerEntry[]> {
  const files = await Promise.all(charts.map(({ chart }) => chartFile(chart, given(inputs[`chart/${chart.name}`]), ports.store)))
  return files.map((file): LayerEntry => ({ ...file, mode: 0o644 }))
}

/** The key and the provenance name the compiler that was found first; an upgrade in between would make a lie of both. */
function refuseOtherCompiler(planned: CompilerFacts | undefined, used: CompilerFacts | undefined, platform: PlatformName): void {
  if (planned?.version === used?.version && planned?.libc === used?.libc) return
  throw new RfoError('RFO_RELEASE_COMPILER', `the C compiler changed during the run: ${planned?.version} became ${used?.version}`, {
    exit: 'machine',
    where: platform,
    next: 'run the same command again',
  })
}

/** Without a folder they lie in the source. */
type FoundPrograms = Omit<MadePrograms, 'dir'> & Partial<Pick<MadePrograms, 'dir'>>

async function programsOf(
  plan: ReleasePlan,
  image: ImagePlan,
  platform: PlatformName,
  source: OpenSource,
  prebuilt: string | undefined,
  ports: ReleasePorts,
  at: TaskRun,
): Promise<FoundPrograms> {
  if (prebuilt !== undefined)
    return { programs: await prebuiltPrograms({ source, prebuilt, outputs: programPaths(image.build), platform }) }
  const { build } = image
  const how = { source, platform, env: ports.env, workDir: ports.workDir, signal: at.signal, line: at.log }
  if (build?.kind === 'c') return await compileC({ ...how, build, epoch: plan.epoch })
  return build?.kind === 'go' ? await compileGo({ ...how, build }) : { programs: [] }
}

/** Files that nothing compiles: written in the pipeline, or taken from the source as they lie there. */
async function fileEntries(image: ImagePlan, source: OpenSource): Promise<LayerEntry[]> {
  return await Promise.all(
    (image.files ?? []).map(async (file): Promise<LayerEntry> => {
      const mode = Number.parseInt(file.mode, 8)
      if ('text' in file) return { path: file.path, bytes: Buffer.from(file.text, 'utf8'), mode }
      const root = await realpath(source.dir)
      const inside = await realpath(join(root, file.from)).catch(() => undefined)
      if (inside === undefined || !inside.startsWith(`${root}/`)) {
        throw new RfoError('RFO_RELEASE_FILE', `the source has no file ${file.from}`, { exit: 'build', where: image.component })
      }
      return { path: file.path, file: inside, mode }
    }),
  )
}

function assembleTask(
  plan: ReleasePlan,
  image: ImagePlan,
  platform: PlatformName,
  base: Task | undefined,
  programs: Task,
  ports: ReleasePorts,
): Task {
  const labels = imageLabels(plan, image, platform)
  return {
    id: `image/${image.component}/${platform}`,
    needs: { programs, ...(base === undefined ? {} : { base }) },
    key: {
      rule: 'image@1',
      config: image.config as unknown as Json,
      labels,
      layers: image.layers,
      epoch: plan.epoch,
      encoder: layerEncoder,
      platform,
    },
    lane: 'cpu',
    async run({ base: baseManifest, programs: tar }) {
      const layer = await compressLayer(given(tar), image.layers, ports.store, { workDir: ports.workDir })
      const layers = [{ ...layer, createdBy: `rfo-build programs/${image.component}/${platform}` }]
      const request = { layers, platform, config: image.config, labels, epoch: plan.epoch }
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

/** Opens a component's pinned source; the caller removes its folder. */
export async function openPinned(image: ImagePlan, ports: ReleasePorts, at: TaskRun): Promise<OpenSource> {
  return await openSource(pinnedSource(image), {
    env: ports.env,
    addresses: ports.addresses,
    workDir: ports.workDir,
    signal: at.signal,
    line: at.log,
    ...(image.source?.kind === 'go-module' && image.source.edit !== undefined ? { edit: image.source.edit } : {}),
    ...(image.build?.kind === 'go' ? { packages: image.build.commands.map((command) => command.package) } : {}),
  })
}

async function withSource<T>(image: ImagePlan, ports: ReleasePorts, at: TaskRun, use: (source: OpenSource) => Promise<T>): Promise<T> {
  const source = await openPinned(image, ports, at)
  try {
    return await use(source)
  } finally {
    await rm(source.dir, { recursive: true, force: true })
  }
}

function editOf(image: ImagePlan): Json {
  return image.source?.kind === 'go-module' && image.source.edit !== undefined ? (image.source.edit as unknown as Json) : null
}

export function pinnedSource(image: ImagePlan): SourcePin {
  const pin = image.locked?.pin
  if (pin === undefined || pin.kind === 'unresolved' || pin.kind === 'image') throw unpinned(`source of ${image.component}`)
  return pin
}

/** A hole in the lock that the preflight should have named. */
function unpinned(what: string): RfoError {
  return new RfoError('RFO_RELEASE_LOCK', `${what} is not pinned in images.lock`, { exit: 'lock', next: 'rfo-build lock <version>' })
}

export async function readSourceRecord(ports: ReleasePorts, descriptor: Descriptor): Promise<SourceRecord> {
  return (await readJson(ports.store, descriptor)) as unknown as SourceRecord
}
