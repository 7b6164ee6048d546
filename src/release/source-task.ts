/** Opens a component's pinned source, as a task and for whoever works with its files. */
import { rm } from 'node:fs/promises'
import { pushBytes, readJson } from '../content/read.ts'
import { RfoError } from '../error.ts'
import type { Task, TaskRun } from '../graph/task.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { mediaTypes } from '../oci/mediatype.ts'
import type { ArchivePin, GitPin, GoModulePin } from '../plan/lock.ts'
import type { ImagePlan } from '../plan/release-plan.ts'
import { type OpenSource, openSource } from '../source/open.ts'
import type { ReleasePorts } from './ports.ts'

/** What a source task leaves: where the source came from, as provenance will say it. */
export interface SourceRecord {
  readonly revision: string
  readonly materials: readonly { readonly uri: string; readonly digest: Readonly<Record<string, string>>; readonly name?: string }[]
}

type SourcePin = GoModulePin | GitPin | ArchivePin

export function sourceTask(image: ImagePlan, ports: ReleasePorts): Task {
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

export async function withSource<T>(
  image: ImagePlan,
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

export function editOf(image: ImagePlan): Json {
  return image.source?.kind === 'go-module' && image.source.edit !== undefined ? (image.source.edit as unknown as Json) : null
}

export function pinnedSource(image: ImagePlan): SourcePin {
  const pin = image.locked?.pin
  if (pin === undefined || pin.kind === 'unresolved' || pin.kind === 'image') throw unpinned(`source of ${image.component}`)
  return pin
}

/** A hole in the lock that the preflight should have named. */
export function unpinned(what: string): RfoError {
  return new RfoError('RFO_RELEASE_LOCK', `${what} is not pinned in images.lock`, { exit: 'lock', next: 'rfo-build lock <version>' })
}

export async function readSourceRecord(ports: ReleasePorts, descriptor: Descriptor): Promise<SourceRecord> {
  return (await readJson(ports.store, descriptor)) as unknown as SourceRecord
}
