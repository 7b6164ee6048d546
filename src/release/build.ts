/** `build`: a few images of a release, made and tried. Their tasks are the release's own, so what was made here is found there. */
import { emulatorsOf } from '../build/smoke.ts'
import { RfoError } from '../error.ts'
import type { Task } from '../graph/task.ts'
import type { Digest } from '../oci/digest.ts'
import { type Architecture, type PlatformName, platformOf } from '../oci/platform.ts'
import { carriedRelease, collectedComponents } from '../plan/component.ts'
import { takesPin } from '../plan/fingerprint.ts'
import { librariesOf } from '../plan/library.ts'
import type { ImagePlan, ReleasePlan } from '../plan/release-plan.ts'
import { ownFiles } from './carried-task.ts'
import { chartTasks } from './chart-tasks.ts'
import { buildTools } from './compilers.ts'
import { imageTasks } from './image-tasks.ts'
import { ownProgram } from './own-program.ts'
import type { CarriedRequest, ReleasePorts } from './ports.ts'
import { runTasks } from './run.ts'
import { programSmokeTask, runsHere, smokeTask } from './smoke-tasks.ts'
import { supportTask } from './support-task.ts'

/** What is made, out of a whole plan. */
export interface BuildScope {
  readonly images: readonly ImagePlan[]
  /** the image whose source the release's own program is made of; absent = that program is not made */
  readonly programOf?: ImagePlan
  /** what nobody named and what can't be made: rebuilt images, and the program with its name */
  readonly leftOut: readonly { readonly component: string; readonly image: ImagePlan; readonly reason: string }[]
  /** only what these images need, for whoever asks whether all of it is there */
  readonly needed: ReleasePlan
}

/** Without names: every rebuilt image and the program, whose source is pinned. Throws RFO_RELEASE_COMPONENT for a name that none of them has. */
export function buildScope(plan: ReleasePlan, names: readonly string[]): BuildScope {
  const rebuilt = plan.images.filter((image) => image.action === 'rebuild')
  const owner = plan.images.find((image) => image.program !== undefined)
  const known = [...rebuilt.map((image) => image.component), ...(owner?.program === undefined ? [] : [owner.program.name])]
  for (const name of names) refuseUnknown(name, plan, known)
  const isAsked = (name: string | undefined): boolean => name !== undefined && (names.length === 0 || names.includes(name))
  const asked = rebuilt.filter((image) => isAsked(image.component))
  const askedOwner = isAsked(owner?.program?.name) ? owner : undefined
  const open = (image: ImagePlan): string | undefined => unpinnedOf([image, ...takenBy(image, plan)], plan) ?? unpinnedPackages(image, plan)
  const reasonOf = (reason: () => string | undefined): string | undefined => (names.length === 0 ? reason() : undefined)
  const leftOut = [
    ...asked.map((image) => ({ component: image.component, image, reason: reasonOf(() => open(image)) })),
    ...(askedOwner === undefined
      ? []
      : [{ component: askedOwner.program?.name ?? '', image: askedOwner, reason: reasonOf(() => unpinnedOf([askedOwner], plan)) }]),
  ].flatMap(({ reason, ...each }) => (reason === undefined ? [] : [{ ...each, reason }]))
  const isOpen = (name: string | undefined): boolean => leftOut.some(({ component }) => component === name)
  const images = asked.filter((image) => !isOpen(image.component))
  const programOf = isOpen(askedOwner?.program?.name) ? undefined : askedOwner
  // where nothing at all can be made, what is missing for it is the answer
  const nothing = images.length === 0 && programOf === undefined
  return {
    images,
    ...(programOf === undefined ? {} : { programOf }),
    leftOut,
    needed: nothing ? neededFor(asked, askedOwner, plan) : neededFor(images, programOf, plan),
  }
}

function refuseUnknown(name: string, plan: ReleasePlan, known: readonly string[]): void {
  if (known.includes(name)) return
  const mirrored = plan.images.some((image) => image.component === name)
  throw new RfoError('RFO_RELEASE_COMPONENT', mirrored ? `${name} is mirrored: nothing of it is built` : `no component ${name}`, {
    exit: 'usage',
    next: `name one of ${known.join(', ')}`,
  })
}

/** Why something can't be made: its own source, a library of it, or that of what it takes of others, has no pin. */
function unpinnedOf(images: readonly ImagePlan[], plan: ReleasePlan): string | undefined {
  for (const each of images.filter(takesPin)) {
    const pin = each.locked?.pin
    if (pin === undefined) return `${each.component} is not locked yet`
    if (pin.kind === 'unresolved') return `${each.component}: ${pin.reason}`
    const gap = plan.unresolved.find(({ what }) => libraryNames(each).includes(what))
    if (gap !== undefined) return `${gap.what}: ${gap.reason}`
  }
  return undefined
}

/** Why what an image's OS packages need can't be had. */
function unpinnedPackages(image: ImagePlan, plan: ReleasePlan): string | undefined {
  const packages = plan.unresolved.find(({ what }) => what.startsWith(`packages/${image.component}/`))
  return packages === undefined ? undefined : `${packages.what}: ${packages.reason}`
}

/** Those whose programs it collects, and the one whose source the release's own program is made of, when it carries that. */
function takenBy(image: ImagePlan, plan: ReleasePlan): readonly ImagePlan[] {
  const names = collectedComponents(image.build)
  const carries = carriedRelease(image.build) !== undefined
  return plan.images.filter((other) => names.has(other.component) || (carries && other.program !== undefined))
}

/** As gaps and tasks call them. */
function libraryNames(image: ImagePlan): string[] {
  return librariesOf(image).map((name) => `library/${name}`)
}

function neededFor(images: readonly ImagePlan[], programOf: ImagePlan | undefined, plan: ReleasePlan): ReleasePlan {
  const users = [...images.flatMap((image) => [image, ...takenBy(image, plan)]), ...(programOf === undefined ? [] : [programOf])]
  const names = new Set(users.map((image) => image.component))
  const carriers = images.flatMap((image) => carriedRelease(image.build) ?? [])
  // an installer says what a release lacks, and charts say what it needs
  const charts =
    images.some((image) => image.charts === true) || carriers.some(({ installer }) => installer !== undefined) ? plan.charts : []
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
    ...images.flatMap((image) => [image, ...takenBy(image, plan)].flatMap(libraryNames)),
  ])
  return {
    ...plan,
    images: plan.images
      .filter((image) => names.has(image.component))
      .map((image) => (image === programOf || carriers.length > 0 ? image : withoutProgram(image))),
    charts,
    unresolved: plan.unresolved.filter(({ what }) => wanted.has(what)),
  }
}

function withoutProgram({ program: _program, ...image }: ImagePlan): ImagePlan {
  return image
}

/** ran, or found as it ran before; absent: the pipeline has no smoke test; no emulator: this machine can't run it. */
export type SmokeState = 'ran' | 'cached' | 'absent' | 'no emulator'

export interface BuiltImage {
  readonly component: string
  readonly platform: PlatformName
  /** of the platform's manifest, or of the program itself */
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
  request: CarriedRequest & { readonly scope: BuildScope; readonly host: Architecture },
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
  const tools = await buildTools(scope.needed, ports)
  const carried = scope.images.some((image) => carriedRelease(image.build) !== undefined)
  const program = carried || scope.programOf !== undefined ? ownProgram(plan, tools.compilers, ports) : undefined
  const programs = (scope.programOf === undefined ? [] : (program?.platforms ?? [])).map(
    ({ platform, task }): MadeImage => ({
      component: program?.program.name ?? '',
      platform,
      task,
      smoke: program !== undefined && runnable.has(platform) ? programSmokeTask(program, platform, task, host, ports) : 'no emulator',
    }),
  )
  const own = ownFiles(request, program, supportTask(plan, charts, ports), ports)
  const images = imageTasks(plan, charts, tools, ports, scope.images, own).flatMap(({ image, platforms }) =>
    platforms.map(
      ({ platform, image: task }): MadeImage => ({ component: image.component, platform, task, smoke: smokeOf(image, platform, task) }),
    ),
  )
  const made = [...images, ...programs]
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
  for (const { component, reason } of scope.leftOut) note(`${component} is left out: ${reason}`)
  const untried = made.filter((each) => each.smoke === 'no emulator').map((each) => each.platform)
  for (const platform of new Set(untried)) {
    note(`programs for ${platform} are not tried: no ${emulatorsOf(platformOf(platform).architecture).join(' or ')} on the PATH`)
  }
}
