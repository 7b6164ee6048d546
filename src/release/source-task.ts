/** Opens a component's pinned source, as a task and for whoever works with its files. */
import { rm } from 'node:fs/promises'
import { pushBytes, readJson } from '../content/read.ts'
import { RfoError } from '../error.ts'
import type { Task, TaskRun } from '../graph/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import { architectureNames } from '../oci/platform.ts'
import { type GoBuild, usesCgo } from '../plan/component.ts'
import type { ArchivePin, GitPin, GoModulePin } from '../plan/lock.ts'
import type { ImagePlan, ProgramPlan } from '../plan/release-plan.ts'
import type { GoEdit } from '../source/go-mod.ts'
import type { GoUse } from '../source/go-tree.ts'
import type { Material } from '../source/material.ts'
import { type OpenSource, openSource } from '../source/open.ts'
import type { ReleasePorts } from './ports.ts'

/** What a source task leaves: where the source came from, as provenance will say it. */
export interface SourceRecord {
  readonly revision: string
  readonly materials: readonly Material[]
}

type SourcePin = GoModulePin | GitPin | ArchivePin

/** Who opens a source, and what is made of it. */
export type SourceUser = Pick<ImagePlan, 'component' | 'source' | 'changes' | 'build' | 'locked'>

/** The program that is made of an image's source: with Go's modules, which the image does without. */
export function programUser({ source, changes, locked }: ImagePlan, { name, build }: ProgramPlan): SourceUser {
  return {
    component: name,
    build,
    ...(source === undefined ? {} : { source }),
    ...(changes === undefined ? {} : { changes }),
    ...(locked === undefined ? {} : { locked }),
  }
}

export function sourceTask(image: SourceUser, ports: ReleasePorts): Task {
  const pin = pinnedSource(image)
  return {
    id: `source/${image.component}`,
    needs: {},
    key: {
      rule: 'source@1',
      pin: pin as unknown as Json,
      edit: editOf(image),
      // which modules take part is a matter of what is compiled, and under which tags
      ...(image.build?.kind === 'go' ? { use: goUse(image.build) as unknown as Json } : {}),
    },
    lane: 'network',
    run: (_inputs, at) =>
      withSource(image, ports, at, async (source) => {
        const record: SourceRecord = { revision: source.revision, materials: source.materials }
        return await pushBytes(ports.store, mediaTypes.json, canonicalJson(record as unknown as Json))
      }),
  }
}

/** Opens a component's pinned source; the caller removes its folder. */
export async function openPinned(image: SourceUser, ports: ReleasePorts, at: TaskRun): Promise<OpenSource> {
  const edit = goEditOf(image)
  return await openSource(pinnedSource(image), {
    env: ports.env,
    addresses: ports.addresses,
    workDir: ports.workDir,
    signal: at.signal,
    line: at.log,
    ...(edit === undefined ? {} : { edit }),
    ...(image.changes === undefined ? {} : { changes: image.changes }),
    ...(image.build?.kind === 'go' ? { use: goUse(image.build) } : {}),
  })
}

export function goUse(build: GoBuild): GoUse {
  const cgo = architectureNames.filter((architecture) => usesCgo(build, architecture))
  return { packages: build.commands.map((command) => command.package), tags: build.tags, cgo }
}

export async function withSource<T>(
  image: SourceUser,
  ports: ReleasePorts,
  at: TaskRun,
  use: (source: OpenSource) => Promise<T>,
): Promise<T> {
  const source = await openPinned(image, ports, at)
  try {
    return await use(source)
  } finally {
    await rm(source.dir, { recursive: true, force: true })
  }
}

export function goEditOf({ source }: Pick<SourceUser, 'source'>): GoEdit | undefined {
  return source !== undefined && 'edit' in source ? source.edit : undefined
}

/** The pin says which files change the source; this is what of go.mod changes. */
export function editOf(image: Pick<SourceUser, 'source'>): Json {
  return (goEditOf(image) ?? null) as unknown as Json
}

export function pinnedSource({ component, build, locked }: SourceUser): SourcePin {
  const pin = locked?.pin
  if (pin === undefined || pin.kind === 'unresolved' || pin.kind === 'image') throw unpinned(`source of ${component}`)
  if (pin.kind !== 'git' || build?.kind === 'go') return pin
  // pinned for the program that shares the source: to this user it is files
  const { toolchain: _toolchain, sums: _sums, ...files } = pin
  return files
}

/** A hole in the lock that the preflight should have named. */
export function unpinned(what: string): RfoError {
  return new RfoError('RFO_RELEASE_LOCK', `${what} is not pinned in images.lock`, { exit: 'lock', next: 'rfo-build lock <version>' })
}

export async function readSourceRecord(ports: ReleasePorts, descriptor: Descriptor): Promise<SourceRecord> {
  return (await readJson(ports.store, descriptor)) as unknown as SourceRecord
}
