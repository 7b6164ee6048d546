/** Each image and program tried once it is made: run natively or under qemu-user, its output held against what the pipeline expects. */
import { emulatorsOf, smoke, smokeFile } from '../build/smoke.ts'
import { pushBytes } from '../content/read.ts'
import { RfoError } from '../error.ts'
import type { Task, TaskRun } from '../graph/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import { type Architecture, type PlatformName, platformOf } from '../oci/platform.ts'
import { prebuiltOf } from '../plan/lock.ts'
import type { ImagePlan } from '../plan/release-plan.ts'
import { given } from './given.ts'
import type { OwnProgram } from './own-program.ts'
import type { ReleasePorts } from './ports.ts'
import { onPath } from './preflight.ts'

export async function runsHere(platform: PlatformName, host: Architecture, env: Readonly<Record<string, string>>): Promise<boolean> {
  const { architecture } = platformOf(platform)
  if (architecture === host) return true
  for (const emulator of emulatorsOf(architecture)) if (await onPath(emulator, env)) return true
  return false
}

/** A program that says its version takes a second, under emulation a few; one that does not end serves something instead. */
const smokeMilliseconds = 120_000

export function smokeTask(
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

/** The release's own program; its constants are in what it must say. */
export function programSmokeTask(
  { program, image }: OwnProgram,
  platform: PlatformName,
  task: Task,
  host: Architecture,
  ports: ReleasePorts,
): Task {
  const argv = [...program.smoke.argv]
  // what lies compiled was linked by others: that it runs and says who it is
  const expect = prebuiltOf(image.locked?.pin) === undefined ? program.smoke.expect : program.name
  return {
    id: `smoke/${program.name}/${platform}`,
    needs: { program: task },
    key: { rule: 'program-smoke@1', platform, argv, expect },
    lane: 'cpu',
    async run(inputs, at) {
      const file = ports.store.blobPath(given(inputs['program']).digest)
      const output = await inTime(at, argv, (signal) =>
        smokeFile({ platform, argv, expect, host, env: ports.env, workDir: ports.workDir, signal }, file),
      )
      for (const line of output.split('\n')) at.log(line)
      return await passed({ platform, argv, expect }, ports)
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
