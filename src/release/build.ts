/** `build`: a few images of a release, made and tried. Their tasks are the release's own, so what was made here is found there. */
import { emulatorsOf, smoke } from '../build/smoke.ts'
import { pushBytes } from '../content/read.ts'
import { RfoError } from '../error.ts'
import type { Task, TaskRun } from '../graph/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Digest } from '../oci/digest.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import { type Architecture, type PlatformName, platformOf } from '../oci/platform.ts'
import { collectedComponents } from '../plan/component.ts'
import type { ImagePlan, ReleasePlan } from '../plan/release-plan.ts'
import { chartTasks } from './chart-tasks.ts'
import { cCompilers } from './compilers.ts'
import { given } from './given.ts'
import { imageTasks } from './image-tasks.ts'
import type { ReleasePorts } from './ports.ts'
import { onPath } from './preflight.ts'
import { runTasks } from './run.ts'

/** What is made, out of a whole plan. */
export interface BuildScope {
  readonly images: readonly ImagePlan[]
  /** rebuilt images that nobody named and that can't be made */
  readonly leftOut: readonly { readonly image: ImagePlan; readonly reason: string }[]
  /** only what these images need, for whoever asks whether all of it is there */
  readonly needed: ReleasePlan
}

/** Without names: every rebuilt image whose source is pinned. Throws RFO_RELEASE_COMPONENT for a name that no rebuilt image has. */
export function buildScope(plan: ReleasePlan, names: readonly string[]): BuildScope {
  const rebuilt = plan.images.filter((image) => image.action === 'rebuild')
  for (const name of names) refuseUnknown(name, plan, rebuilt)
  const asked = names.length === 0 ? rebuilt : rebuilt.filter((image) => names.includes(image.component))
  const open = (image: ImagePlan): string | undefined => (names.length === 0 ? unpinnedFor(image, plan) : undefined)
  const images = asked.filter((image) => open(image) === undefined)
  const leftOut = asked.flatMap((image) => {
    const reason = open(image)
    return reason === undefined ? [] : [{ image, reason }]
  })
  // where nothing at all can be made, what is missing for it is the answer
  return { images, leftOut, needed: neededFor(images.length === 0 ? asked : images, plan) }
}

function refuseUnknown(name: string, plan: ReleasePlan, rebuilt: readonly ImagePlan[]): void {
  if (rebuilt.some((image) => image.component === name)) return
  const mirrored = plan.images.some((image) => image.component === name)
  throw new RfoError('RFO_RELEASE_COMPONENT', mirrored ? `${name} is mirrored: nothing of it is built` : `no component ${name}`, {
    exit: 'usage',
    next: `name one of ${rebuilt.map((image) => image.component).join(', ')}`,
  })
}

/** Why an image can't be made: its packages, its own source, or that of what it collects, have no pin. */
function unpinnedFor(image: ImagePlan, plan: ReleasePlan): string | undefined {
  for (const each of [image, ...collectedBy(image, plan)]) {
    const pin = each.locked?.pin
    if (pin === undefined) return `${each.component} is not locked yet`
    if (pin.kind === 'unresolved') return `${each.component}: ${pin.reason}`
  }
  const packages = plan.unresolved.find(({ what }) => what.startsWith(`packages/${image.component}/`))
  if (packages !== undefined) return `${packages.what}: ${packages.reason}`
  return undefined
}

function collectedBy(image: ImagePlan, plan: ReleasePlan): readonly ImagePlan[] {
  const names = collectedComponents(image.build)
  return plan.images.filter((other) => names.has(other.component))
}

function neededFor(images: readonly ImagePlan[], plan: ReleasePlan): ReleasePlan {
  const names = new Set(images.flatMap((image) => [image, ...collectedBy(image, plan)]).map((image) => image.component))
  const charts = images.some((image) => image.charts === true) ? plan.charts : []
  const bases = plan.platforms.filter((platform) =>
    images.some((image) => image.base !== 'scratch' && image.platforms[platform]?.status === 'made'),
  )
  const wanted = new Set([
    'images.lock',
    'upstream',
    ...names,
    ...bases.map((platform) => `base/${platform}`),
    ...charts.map((chart) => `chart/${chart.name}`),
    ...images.flatMap((image) => plan.platforms.map((platform) => `packages/${image.component}/${platform}`)),
  ])
  return {
    ...plan,
    images: plan.images.filter((image) => names.has(image.component)),
    charts,
    unresolved: plan.unresolved.filter(({ what }) => wanted.has(what)),
  }
}

/** ran, or found as it ran before; absent: the pipeline has no smoke test; no emulator: this machine can't run it. */
export type SmokeState = 'ran' | 'cached' | 'absent' | 'no emulator'

export interface BuiltImage {
  readonly component: string
  readonly platform: PlatformName
  /** of the platform's manifest */
  readonly digest: Digest
  readonly smoke: SmokeState
}

interface MadeImage {
  readonly component: string
  readonly platform: PlatformName
  readonly task: Task
  /** a task of its own, or why there is none */
  readonly smoke: Task | 'absent' | 'no emulator'
}

/** Sorted by component and platform. Throws the first cause when a task failed; the others stand in its details. */
export async function buildImages(
  request: { readonly plan: ReleasePlan; readonly scope: BuildScope; readonly host: Architecture },
  ports: ReleasePorts,
): Promise<BuiltImage[]> {
  const { plan, scope, host } = request
  const charts = scope.needed.charts.length === 0 ? [] : chartTasks(plan, ports)
  const runs = await Promise.all(plan.platforms.map(async (platform) => ((await runsHere(platform, host, ports.env)) ? [platform] : [])))
  const runnable = new Set(runs.flat())
  const smokeOf = (image: ImagePlan, platform: PlatformName, task: Task): MadeImage['smoke'] => {
    if (image.smoke === undefined) return 'absent'
    return runnable.has(platform) ? smokeTask(image.component, image.smoke, platform, task, host, ports) : 'no emulator'
  }
  const compilers = await cCompilers(scope.needed, ports)
  const made = imageTasks(plan, charts, compilers, ports, scope.images).flatMap(({ image, platforms }) =>
    platforms.map(
      ({ platform, image: task }): MadeImage => ({ component: image.component, platform, task, smoke: smokeOf(image, platform, task) }),
    ),
  )
  sayWhatIsMissing(scope, made, ports)
  const cached = new Set<string>()
  const tasks = made.flatMap(({ task, smoke: tried }) => (typeof tried === 'string' ? [task] : [task, tried]))
  const done = await runTasks(tasks, ports, 'finish', (event) => {
    if (event.kind === 'task-cached') cached.add(event.task)
    ports.listener(event)
  })
  return made
    .map(({ component, platform, task, smoke: tried }): BuiltImage => {
      const { digest } = done.of(task)
      return { component, platform, digest, smoke: typeof tried === 'string' ? tried : cached.has(tried.id) ? 'cached' : 'ran' }
    })
    .sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
}

function nameOf(image: { readonly component: string; readonly platform: PlatformName }): string {
  return `${image.component} ${image.platform}`
}

function sayWhatIsMissing(scope: BuildScope, made: readonly MadeImage[], ports: ReleasePorts): void {
  const note = (message: string): void => ports.listener({ kind: 'note', message, at: 0 })
  for (const { image, reason } of scope.leftOut) note(`${image.component} is left out: ${reason}`)
  const untried = made.filter((each) => each.smoke === 'no emulator').map((each) => each.platform)
  for (const platform of new Set(untried)) {
    note(`programs for ${platform} are not tried: no ${emulatorsOf(platformOf(platform).architecture).join(' or ')} on the PATH`)
  }
}

async function runsHere(platform: PlatformName, host: Architecture, env: Readonly<Record<string, string>>): Promise<boolean> {
  const { architecture } = platformOf(platform)
  if (architecture === host) return true
  for (const emulator of emulatorsOf(architecture)) if (await onPath(emulator, env)) return true
  return false
}

/** A program that says its version takes a second, under emulation a few; one that does not end serves something instead. */
const smokeMilliseconds = 120_000

function smokeTask(
  component: string,
  { argv, expect }: NonNullable<ImagePlan['smoke']>,
  platform: PlatformName,
  image: Task,
  host: Architecture,
  ports: ReleasePorts,
): Task {
  return {
    id: `smoke/${component}/${platform}`,
    needs: { image },
    key: { rule: 'smoke@1', platform, argv: [...argv], expect },
    lane: 'cpu',
    async run(inputs, at) {
      const output = await inTime(at, argv, (signal) =>
        smoke({ image: given(inputs['image']), platform, argv, expect, host, env: ports.env, workDir: ports.workDir, signal }, ports.store),
      )
      for (const line of output.split('\n')) at.log(line)
      return await passed({ platform, argv: [...argv], expect }, ports)
    },
  }
}

async function inTime<T>(at: TaskRun, argv: readonly string[], run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const late = AbortSignal.timeout(smokeMilliseconds)
  try {
    return await run(AbortSignal.any([at.signal, late]))
  } catch (thrown) {
    if (at.signal.aborted || !late.aborted) throw thrown
    throw new RfoError('RFO_BUILD_SMOKE', `${argv.join(' ')}: it did not end within ${smokeMilliseconds / 1000} seconds`, { exit: 'build' })
  }
}

async function passed(what: Json, ports: ReleasePorts): Promise<Descriptor> {
  return await pushBytes(ports.store, mediaTypes.json, canonicalJson(what))
}
