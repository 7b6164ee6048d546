/**
 * The release's own program, which no image holds: source/rfo → programs/rfo/<platform>, a file of the release and of its tarball.
 * The same builder makes it that makes the images' programs.
 */
import { rm } from 'node:fs/promises'
import type { CompilerFacts } from '../build/c-compiler.ts'
import { compileGo, goBuilder } from '../build/go.ts'
import { prebuiltPrograms } from '../build/prebuilt.ts'
import type { Program } from '../build/programs.ts'
import type { Task, TaskRun } from '../graph/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Json } from '../oci/json.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import { type PlatformName, platformOf } from '../oci/platform.ts'
import { editSources } from '../pack/tarball.ts'
import { programPaths } from '../plan/component.ts'
import { prebuiltOf } from '../plan/lock.ts'
import { awaitsCommit } from '../plan/program.ts'
import type { ImagePlan, ProgramPlan, ReleasePlan } from '../plan/release-plan.ts'
import type { OpenSource } from '../source/open.ts'
import { type CCompilers, programInC, refuseOtherCompiler } from './compilers.ts'
import type { ReleasePorts } from './ports.ts'
import { pinnedSource, programUser, type SourceUser, sourceTask, unpinned, withSource } from './source-task.ts'

export interface OwnProgram {
  readonly program: ProgramPlan
  /** whose source it is made of */
  readonly image: ImagePlan
  /** leaves a SourceRecord: toolchain and modules are in it */
  readonly source: Task
  readonly platforms: readonly OwnProgramPlatform[]
}

export interface OwnProgramPlatform {
  readonly platform: PlatformName
  /** gives the program itself */
  readonly task: Task
  /** when a C compiler makes a part of it */
  readonly compiler?: CompilerFacts
}

/** Undefined when no image of the plan has the source. */
export function ownProgram(plan: ReleasePlan, compilers: CCompilers, ports: ReleasePorts): OwnProgram | undefined {
  const image = plan.images.find((each) => each.program !== undefined)
  const program = image?.program
  if (image === undefined || program === undefined) return undefined
  const user = programUser(image, program)
  const source = sourceTask(user, ports)
  const platforms = plan.platforms
    .filter((platform) => image.platforms[platform]?.status === 'made')
    .map((platform): OwnProgramPlatform => {
      const { architecture } = platformOf(platform)
      const compiler = programInC(image, architecture) ? compilers.get(architecture) : undefined
      const task = ownProgramTask(program, user, platform, source, compiler, ports)
      return { platform, task, ...(compiler === undefined ? {} : { compiler }) }
    })
  return { program, image, source, platforms }
}

function ownProgramTask(
  program: ProgramPlan,
  user: SourceUser,
  platform: PlatformName,
  source: Task,
  compiler: CompilerFacts | undefined,
  ports: ReleasePorts,
): Task {
  const pin = pinnedSource(user)
  const prebuilt = prebuiltOf(pin)
  // the plan fills it in from a git pin, and nothing else has a commit
  if (prebuilt === undefined && awaitsCommit(program.build)) throw unpinned(`the commit of ${program.name}`)
  const sources = program.sources ?? []
  return {
    id: `programs/${program.name}/${platform}`,
    needs: { source },
    key: {
      rule: 'own-program@1',
      pin: pin as unknown as Json,
      // nothing of it takes part where the program lies compiled
      ...(prebuilt === undefined ? { build: program.build as unknown as Json, sources: sources as unknown as Json } : {}),
      outputs: programPaths(program.build),
      platform,
      builder: prebuilt === undefined ? goBuilder : 'prebuilt@1',
      ...(compiler === undefined ? {} : { compiler: { ...compiler } }),
    },
    lane: 'cpu',
    run: (_inputs, at) =>
      withSource(user, ports, at, async (opened) => {
        if (prebuilt !== undefined) {
          return await pushed(await prebuiltPrograms({ source: opened, prebuilt, outputs: programPaths(program.build), platform }), ports)
        }
        await editSources(sources, opened)
        return await compiled(program, opened, platform, compiler, ports, at)
      }),
  }
}

async function compiled(
  { build }: ProgramPlan,
  source: OpenSource,
  platform: PlatformName,
  planned: CompilerFacts | undefined,
  ports: ReleasePorts,
  at: TaskRun,
): Promise<Descriptor> {
  const how = { source, platform, env: ports.env, workDir: ports.workDir, signal: at.signal, line: at.log }
  const made = await compileGo({ ...how, build })
  try {
    refuseOtherCompiler(planned, made.compiler, platform)
    return await pushed(made.programs, ports)
  } finally {
    await rm(made.dir, { recursive: true, force: true })
  }
}

async function pushed([program, ...others]: readonly Program[], ports: ReleasePorts): Promise<Descriptor> {
  if (program === undefined || others.length > 0) throw new Error('the bundle was checked: one command, one program')
  return await ports.store.pushFile(mediaTypes.octets, program.file)
}
