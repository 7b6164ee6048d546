/** Source → programs of one image and platform, as a layer: compiled, collected from other images, or prebuilt in the source. */
import { realpath, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { cBuilder, compileC } from '../build/c.ts'
import type { CompilerFacts } from '../build/c-compiler.ts'
import { collectPrograms } from '../build/collect.ts'
import { compileGo, goBuilder } from '../build/go.ts'
import { type LayerEntry, writeLayerTar } from '../build/layer.ts'
import { prebuiltPrograms } from '../build/prebuilt.ts'
import type { MadePrograms } from '../build/programs.ts'
import { RfoError } from '../error.ts'
import type { Task, TaskRun } from '../graph/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Json } from '../oci/json.ts'
import type { PlatformName } from '../oci/platform.ts'
import { type ImageFile, programPaths } from '../plan/component.ts'
import { imageEpoch } from '../plan/day.ts'
import { prebuiltOf } from '../plan/lock.ts'
import { awaitsCommit } from '../plan/program.ts'
import type { ImagePlan, ReleasePlan } from '../plan/release-plan.ts'
import type { OpenSource } from '../source/open.ts'
import { type ChartTask, chartFile, chartKey } from './chart-tasks.ts'
import { refuseOtherCompiler } from './compilers.ts'
import { given } from './given.ts'
import { withLibraries } from './library-tasks.ts'
import type { ReleasePorts } from './ports.ts'
import { editOf, pinnedSource, unpinned, withSource } from './source-task.ts'

/** What C there is in an image's programs on a platform. */
export interface LinkedInC {
  /** absent = no C compiler takes part */
  readonly compiler?: CompilerFacts
  readonly libraries: readonly { readonly name: string; readonly task: Task }[]
}

export function programsTask(
  plan: ReleasePlan,
  image: ImagePlan,
  platform: PlatformName,
  source: Task,
  { compiler, libraries }: LinkedInC,
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
  if (prebuilt === undefined && build.kind === 'go' && awaitsCommit(build)) throw unpinned(`the commit of ${image.component}`)
  return {
    id: `programs/${image.component}/${platform}`,
    needs: {
      source,
      ...Object.fromEntries(libraries.map(({ name, task }) => [`library/${name}`, task])),
      ...Object.fromEntries(charts.map(({ chart, task }) => [`chart/${chart.name}`, task])),
    },
    key: {
      rule: 'programs@1',
      pin: pin as unknown as Json,
      build: build as unknown as Json,
      files: (image.files ?? []) as unknown as Json,
      edit: editOf(image),
      platform,
      epoch: imageEpoch(plan, image),
      builder: prebuilt === undefined ? (build.kind === 'c' ? cBuilder : goBuilder) : 'prebuilt@1',
      ...(compiler === undefined ? {} : { compiler: { ...compiler } }),
      charts: charts.map(({ chart }) => chartKey(chart)),
    },
    lane: 'cpu',
    run: (inputs, at) =>
      withSource(image, ports, at, async (opened) => {
        const linked = libraries.map(({ name }) => given(inputs[`library/${name}`]))
        const made = await withLibraries(linked, ports, at.signal, (root) =>
          programsOf(plan, image, platform, opened, { prebuilt, libraries: root }, ports, at),
        )
        return await layerOf(made, imageEpoch(plan, image), ports, async () => {
          refuseOtherCompiler(compiler, made.compiler, platform)
          return [...(await fileEntries(image, opened)), ...(await carriedCharts(charts, inputs, ports))]
        })
      }),
  }
}

export function collectTask(
  plan: ReleasePlan,
  image: ImagePlan,
  platform: PlatformName,
  from: readonly { readonly component: string; readonly program: string; readonly output: string; readonly task: Task }[],
  charts: readonly ChartTask[],
  ports: ReleasePorts,
): Task {
  const written = (image.files ?? []).flatMap((file) => ('text' in file ? [file] : []))
  return {
    id: `programs/${image.component}/${platform}`,
    needs: {
      ...Object.fromEntries(from.map(({ component, task }) => [`programs/${component}`, task])),
      ...Object.fromEntries(charts.map(({ chart, task }) => [`chart/${chart.name}`, task])),
    },
    key: {
      rule: 'collect@1',
      from: from.map(({ component, program, output }) => [component, program, output]),
      ...(written.length === 0 ? {} : { files: written as unknown as Json }),
      platform,
      epoch: imageEpoch(plan, image),
      charts: charts.map(({ chart }) => chartKey(chart)),
    },
    lane: 'cpu',
    async run(inputs, at) {
      const layers = from.map((each) => ({ ...each, layer: given(inputs[`programs/${each.component}`]) }))
      const made = await collectPrograms({ from: layers, platform, workDir: ports.workDir, signal: at.signal }, ports.store)
      return await layerOf(made, imageEpoch(plan, image), ports, async () => [
        ...written.map(writtenEntry),
        ...(await carriedCharts(charts, inputs, ports)),
      ])
    },
  }
}

/** Programs and what lies beside them, as a layer; the programs' folder is gone then. */
export async function layerOf(
  made: FoundPrograms,
  epoch: number,
  ports: ReleasePorts,
  others: () => Promise<LayerEntry[]>,
): Promise<Descriptor> {
  try {
    const entries = made.programs.map(({ path, file, setuid }): LayerEntry => ({ path, file, mode: setuid === true ? 0o4755 : 0o755 }))
    return await writeLayerTar([...entries, ...(await others())], ports.store, epoch)
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

/** Without a folder they lie in the source. */
type FoundPrograms = Omit<MadePrograms, 'dir'> & Partial<Pick<MadePrograms, 'dir'>>

async function programsOf(
  plan: ReleasePlan,
  image: ImagePlan,
  platform: PlatformName,
  source: OpenSource,
  { prebuilt, libraries }: { readonly prebuilt: string | undefined; readonly libraries: string | undefined },
  ports: ReleasePorts,
  at: TaskRun,
): Promise<FoundPrograms> {
  if (prebuilt !== undefined)
    return { programs: await prebuiltPrograms({ source, prebuilt, outputs: programPaths(image.build), platform }) }
  const { build } = image
  const how = { source, platform, env: ports.env, workDir: ports.workDir, signal: at.signal, line: at.log }
  if (build?.kind === 'c') return await compileC({ ...how, build, epoch: imageEpoch(plan, image) })
  return build?.kind === 'go' ? await compileGo({ ...how, build, ...(libraries === undefined ? {} : { libraries }) }) : { programs: [] }
}

/** Files that nothing compiles: written in the pipeline, or taken from the source as they lie there. */
export async function fileEntries(image: ImagePlan, source?: OpenSource): Promise<LayerEntry[]> {
  return await Promise.all(
    (image.files ?? []).map(async (file): Promise<LayerEntry> => {
      if ('text' in file) return writtenEntry(file)
      if (source === undefined) throw unpinned(`source of ${image.component}`)
      const root = await realpath(source.dir)
      const inside = await realpath(join(root, file.from)).catch(() => undefined)
      if (inside === undefined || !inside.startsWith(`${root}/`)) {
        throw new RfoError('RFO_RELEASE_FILE', `the source has no file ${file.from}`, { exit: 'build', where: image.component })
      }
      return { path: file.path, file: inside, mode: modeOf(file) }
    }),
  )
}

function writtenEntry(file: Extract<ImageFile, { text: string }>): LayerEntry {
  return { path: file.path, bytes: Buffer.from(file.text, 'utf8'), mode: modeOf(file) }
}

function modeOf(file: ImageFile): number {
  return Number.parseInt(file.mode, 8)
}
