/** C libraries of a plan → tasks: archive → library/<name>/<platform>, headers and static archives as a layer below /usr. */
import { randomUUID } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { writeLayerTar } from '../build/layer.ts'
import { compileLibrary, libraryBuilder } from '../build/library.ts'
import type { Task } from '../graph/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import type { Json } from '../oci/json.ts'
import { type PlatformName, platformOf } from '../oci/platform.ts'
import type { LibraryPlan } from '../plan/library.ts'
import type { ArchivePin } from '../plan/lock.ts'
import type { ReleasePlan } from '../plan/release-plan.ts'
import { extractTar } from '../source/extract.ts'
import { openSource } from '../source/open.ts'
import { type BuildTools, refuseOtherCompiler } from './compilers.ts'
import type { ReleasePorts } from './ports.ts'
import { unpinned } from './source-task.ts'

/**
 * Seconds: 1980-01-01, what archives without times have. A release's own time stamp would make another library of the same
 * archive for each release, and what links it one of each day's tags.
 */
const libraryEpoch = 315_532_800

export function libraryTask(plan: ReleasePlan, name: string, platform: PlatformName, tools: BuildTools, ports: ReleasePorts): Task {
  const library = plannedLibrary(plan, name)
  const pin = pinnedArchive(library)
  const { build } = library
  const compiler = tools.compilers.get(platformOf(platform).architecture)
  return {
    id: `library/${name}/${platform}`,
    needs: {},
    key: {
      rule: 'library@1',
      pin: pin as unknown as Json,
      build: build as unknown as Json,
      platform,
      epoch: libraryEpoch,
      builder: libraryBuilder,
      ...(compiler === undefined ? {} : { compiler: { ...compiler } }),
      tools: library.tools.map((tool) => [tool, tools.versions.get(tool) ?? null]),
    },
    lane: 'cpu',
    async run(_inputs, at) {
      const how = { env: ports.env, workDir: ports.workDir, signal: at.signal, line: at.log }
      const source = await openSource(pin, { ...how, addresses: ports.addresses })
      try {
        const made = await compileLibrary({ ...how, name, source, build, platform, epoch: libraryEpoch })
        refuseOtherCompiler(compiler, made.compiler, platform)
        return await writeLayerTar(
          made.files.map((file) => ({ ...file, mode: 0o644 })),
          ports.store,
          libraryEpoch,
        )
      } finally {
        await rm(source.dir, { recursive: true, force: true })
      }
    },
  }
}

/** Unpacked in a folder that is there for `use` alone; undefined where there are none. */
export async function withLibraries<T>(
  libraries: readonly Descriptor[],
  ports: ReleasePorts,
  signal: AbortSignal,
  use: (root: string | undefined) => Promise<T>,
): Promise<T> {
  if (libraries.length === 0) return await use(undefined)
  const root = join(ports.workDir, 'libraries', randomUUID())
  try {
    await mkdir(root, { recursive: true })
    for (const { digest } of libraries) await extractTar(ports.store.blobPath(digest), root, undefined, signal)
    return await use(root)
  } finally {
    await rm(root, { recursive: true, force: true })
  }
}

export function plannedLibrary(plan: ReleasePlan, name: string): LibraryPlan {
  const library = plan.libraries?.find((each) => each.name === name)
  if (library === undefined) throw unpinned(`library ${name}`)
  return library
}

export function pinnedArchive({ name, locked }: LibraryPlan): Omit<ArchivePin, 'prebuilt'> {
  if (locked?.pin.kind !== 'archive') throw unpinned(`library ${name}`)
  return locked.pin
}
