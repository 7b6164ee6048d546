/** All that is missing, said before the first task runs: lock, programs on the PATH, disk, a place to write. */
import { access, constants, mkdir, statfs } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { ageInDays } from '../advisory/snapshot.ts'
import { exitOrder, RfoError } from '../error.ts'
import { type Architecture, architectures, platformOf } from '../oci/platform.ts'
import { type Build, linkedLibraries, needsCCompiler } from '../plan/component.ts'
import { type Pin, prebuiltOf } from '../plan/lock.ts'
import { packageWishes } from '../plan/os-packages.ts'
import type { ImagePlan, ReleasePlan } from '../plan/release-plan.ts'
import type { RpmBackend } from '../rpm/backend.ts'
import { policyTools } from '../rpm/selinux-policy.ts'
import { modCacheOf, moduleFolder } from '../source/go-command.ts'
import type { SelinuxModule } from './ports.ts'

export interface PreflightInput {
  readonly plan: ReleasePlan
  readonly env: Readonly<Record<string, string>>
  /** folders that will be written */
  readonly writes: readonly string[]
  /** where sources and build caches lie */
  readonly workDir: string
  /** architecture of this machine, in OCI's names */
  readonly host: Architecture
  readonly rpmBackend?: RpmBackend
  /** milliseconds since 1970, of whoever makes a release; absent = nothing is released */
  readonly at?: number
  readonly selinux?: SelinuxModule
}

/**
 * A smaller disk fails late and half done. Measured: seven components of v1.25.4, Kubernetes among them, take 4.3 GiB of
 * modules and 0.4 GiB of Go's build cache each for each platform; what is only assembled takes little.
 */
const neededBytes = { source: 0.7 * 2 ** 30, compile: 0.5 * 2 ** 30, assembled: 1 * 2 ** 30 } as const

/** Bytes that a run will write at most, by what is measured: a module that lies there already comes with those that it needs. */
export async function neededFor(plan: ReleasePlan, workDir: string): Promise<number> {
  const compiled = plan.images.flatMap(compiledOf).filter(({ build }) => build.kind === 'go')
  const fetched = await Promise.all(compiled.map(({ image }) => isFetched(image.locked?.pin, workDir)))
  const compiles = compiled.flatMap(({ image }) => plan.platforms.filter((platform) => image.platforms[platform]?.status === 'made'))
  const sources = fetched.filter((there) => !there).length
  return neededBytes.assembled + sources * neededBytes.source + compiles.length * neededBytes.compile
}

async function isFetched(pin: Pin | undefined, workDir: string): Promise<boolean> {
  if (pin?.kind !== 'go-module') return false
  return await access(moduleFolder(modCacheOf(workDir), pin.module, pin.version)).then(
    () => true,
    () => false,
  )
}

/** Throws one error that lists everything; its exit code is that of the first cause in the contract's order. */
export async function preflight(input: PreflightInput): Promise<void> {
  const found = [...lockProblems(input.plan), ...staleProblems(input), ...(await programProblems(input)), ...(await diskProblems(input))]
  const [first] = exitOrder.flatMap((exit) => found.filter((problem) => problem.exit === exit))
  if (first === undefined) return
  if (found.length === 1) throw first
  throw new RfoError(first.code, `${first.message}, and ${found.length - 1} more`, {
    exit: first.exit,
    ...(first.where === undefined ? {} : { where: first.where }),
    ...(first.next === undefined ? {} : { next: first.next }),
    details: found.map((problem) => problem.line()),
  })
}

function lockProblems(plan: ReleasePlan): RfoError[] {
  return plan.unresolved.map(
    ({ what, reason }) =>
      new RfoError('RFO_LOCK_UNRESOLVED', `${what} is not pinned: ${reason}`, {
        exit: 'lock',
        where: 'images.lock',
        next: `rfo-build lock ${plan.version}`,
      }),
  )
}

/** A live line is judged by what is known; a snapshot of long ago knows too little. No time gets into what is made. */
function staleProblems({ plan: { gate, advisories, version }, at }: PreflightInput): RfoError[] {
  if (at === undefined || gate?.mode !== 'live' || advisories?.kind !== 'advisories' || advisories.standIn !== undefined) return []
  const days = ageInDays(advisories, at)
  if (days <= gate.maxAgeDays) return []
  return [
    new RfoError('RFO_PREFLIGHT_STALE', `the snapshot of advisories is ${days} days old; ${gate.maxAgeDays} are allowed for a live line`, {
      exit: 'undecided',
      where: 'images.lock: advisories',
      next: `rfo-build advisories sync, then lock ${version} --update advisories; to repeat an old release set SOURCE_DATE_EPOCH to its day`,
    }),
  ]
}

async function programProblems({ plan, env, host, rpmBackend, selinux }: PreflightInput): Promise<RfoError[]> {
  const problems: RfoError[] = []
  const missing = async (program: string, whose: string, next: string): Promise<void> => {
    if (!(await onPath(program, env)))
      problems.push(new RfoError('RFO_PREFLIGHT_PROGRAM', `no program ${program} on the PATH`, { exit: 'machine', where: whose, next }))
  }
  const compiled = plan.images.flatMap(compiledOf)
  // Go's modules are fetched with it, whatever compiles them
  const withGo = compiled.filter(({ image, build }) => build.kind === 'go' || image.source?.kind === 'go-module')
  if (withGo.length > 0)
    await missing('go', withGo.map(({ name }) => name).join(', '), 'install Go 1.21 or newer; rfo-build doctor says what works without it')
  for (const { program, components } of cCompilersOf(plan, compiled, host))
    await missing(program, components, `install ${program} with its static libc`)
  for (const [program, components] of libraryTools(plan, compiled)) await missing(program, components, `install ${program}`)
  if (rpmBackend === 'rpmbuild') await missing('rpmbuild', 'packages', 'install rpmbuild (rpm-build), or use --rpm-backend embedded')
  for (const program of selinux !== undefined && 'te' in selinux ? policyTools(selinux) : [])
    await missing(program, `pipelines/selinux/${selinux?.module}.te`, 'install checkpolicy and semodule-utils, or give the compiled module')
  if (plan.images.some((image) => image.locked?.pin.kind === 'git' && image.locked.pin.archive === undefined))
    await missing('git', 'git sources', 'install git')
  // stand-ins are packed with gzip, which Node reads
  const packed = packageWishes(plan).filter(({ base }) => base.standIn === undefined)
  if (packed.length > 0)
    await missing(
      'xz',
      `packages of ${[...new Set(packed.map(({ component }) => component))].join(', ')}`,
      'install xz: openEuler packs its packages with it',
    )
  for (const image of plan.images) {
    if (image.build?.kind === 'recipe' && image.locked?.pin.kind !== 'unresolved' && !isPrebuilt(image)) {
      problems.push(
        new RfoError('RFO_PREFLIGHT_RECIPE', `needs a builder that can run RUN steps: ${image.build.reason}`, {
          exit: 'build',
          where: image.component,
          next: 'use --stand-in git',
        }),
      )
    }
  }
  return problems
}

/** Compiled here, by Go or a C compiler. */
export function isCompiled(image: ImagePlan): boolean {
  return (
    image.action === 'rebuild' &&
    (image.build?.kind === 'go' || image.build?.kind === 'c') &&
    !isPrebuilt(image) &&
    image.locked !== undefined &&
    image.locked.pin.kind !== 'unresolved'
  )
}

/** The same of the program that shares the image's source. */
export function isProgramCompiled(image: ImagePlan): boolean {
  const { locked, program } = image
  return program !== undefined && !isPrebuilt(image) && locked !== undefined && locked.pin.kind !== 'unresolved'
}

/** What is compiled of an image's source. */
interface Compiled {
  /** the component's or the program's */
  readonly name: string
  readonly image: ImagePlan
  readonly build: Build
}

function compiledOf(image: ImagePlan): Compiled[] {
  const { component, build, program } = image
  return [
    ...(build !== undefined && isCompiled(image) ? [{ name: component, image, build }] : []),
    ...(program !== undefined && isProgramCompiled(image) ? [{ name: program.name, image, build: program.build }] : []),
  ]
}

function isPrebuilt(image: ImagePlan): boolean {
  return prebuiltOf(image.locked?.pin) !== undefined
}

/** Each once, with the components that need it. */
function cCompilersOf(plan: ReleasePlan, compiled: readonly Compiled[], host: Architecture): { program: string; components: string }[] {
  return plan.platforms.flatMap((platform) => {
    const { architecture } = platformOf(platform)
    const needing = compiled.filter(
      ({ image, build }) => image.platforms[platform]?.status === 'made' && needsCCompiler(build, architecture),
    )
    if (needing.length === 0) return []
    const program = architecture === host ? 'gcc' : `${architectures[architecture].rpm}-linux-gnu-gcc`
    return [{ program, components: needing.map(({ name }) => name).join(', ') }]
  })
}

/** What C libraries are built and found with: program → components that link them. */
function libraryTools(plan: ReleasePlan, compiled: readonly Compiled[]): ReadonlyMap<string, string> {
  const needed = new Map<string, Set<string>>()
  for (const { name, image, build } of compiled) {
    const linked = plan.platforms.filter((platform) => image.platforms[platform]?.status === 'made')
    const names = new Set(linked.flatMap((platform) => linkedLibraries(build, platformOf(platform).architecture)))
    const own = (plan.libraries ?? []).filter((library) => names.has(library.name))
    const tools = own.length === 0 ? [] : ['make', 'pkg-config', ...own.flatMap((library) => library.tools)]
    for (const tool of tools) needed.set(tool, (needed.get(tool) ?? new Set()).add(name))
  }
  return new Map([...needed].map(([tool, components]) => [tool, [...components].join(', ')]))
}

export async function onPath(program: string, env: Readonly<Record<string, string>>): Promise<boolean> {
  for (const folder of (env['PATH'] ?? '').split(delimiter)) {
    if (folder === '') continue
    try {
      await access(join(folder, program), constants.X_OK)
      return true
    } catch {
      // not in this folder
    }
  }
  return false
}

async function diskProblems({ plan, writes, workDir }: PreflightInput): Promise<RfoError[]> {
  const problems: RfoError[] = []
  const needed = await neededFor(plan, workDir)
  for (const folder of writes) {
    try {
      await mkdir(folder, { recursive: true })
      await access(folder, constants.W_OK)
      const { bavail, bsize } = await statfs(folder)
      const free = bavail * bsize
      if (free < needed) {
        problems.push(
          new RfoError('RFO_PREFLIGHT_DISK', `${mib(free)} MiB free, ${mib(needed)} MiB needed`, {
            exit: 'machine',
            where: folder,
            next: 'free some room, or choose another disk with --store and --out',
          }),
        )
      }
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code ?? 'error'
      problems.push(
        new RfoError('RFO_PREFLIGHT_WRITE', `can't write here: ${code}`, {
          exit: 'machine',
          where: folder,
          cause,
          next: 'choose another folder with --store and --out',
        }),
      )
    }
  }
  return problems
}

function mib(bytes: number): number {
  return Math.floor(bytes / 2 ** 20)
}
