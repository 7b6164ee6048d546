/**
 * Starts the sandbox: a registry and a file server on loopback, the addresses that lead there, a lock of what they hold
 * and a key. Nobody who uses these knows that they are not the world.
 */

import type { ContentReader } from '../content/store.ts'
import { RfoError } from '../error.ts'
import type { Descriptor } from '../oci/descriptor.ts'
import { type Digest, isDigest } from '../oci/digest.ts'
import type { Lock } from '../plan/lock.ts'
import type { ReleasePlan } from '../plan/release-plan.ts'
import { repositoryPath, sandboxAddresses, splitReference } from './addresses.ts'
import { publicPath, type Served, serveRepository, startFileServer } from './file-server.ts'
import type { Blobs } from './images.ts'
import { type SandboxKey, sandboxKey } from './key.ts'
import { sandboxLock } from './lock.ts'
import { startRegistry } from './registry.ts'
import { makeWorld, type Scope, type World } from './world.ts'

export { type StandInKind, standInKinds } from './kinds.ts'

export interface SandboxOptions extends Scope {
  readonly plan: ReleasePlan
  /** the real one: what is not replaced keeps its pin */
  readonly lock: Lock
  /** digest of the recorded image list; needed when `lock` knows nothing of the release */
  readonly list?: Digest
  /** the key lies in `<stateDir>/sandbox/` */
  readonly stateDir: string
}

export interface Sandbox {
  readonly addresses: Readonly<Record<string, string>>
  /** of this release alone */
  readonly lock: Lock
  readonly key: SandboxKey
  close(): Promise<void>
}

export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  const { plan } = options
  const world = makeWorld(plan, options)
  const release = sandboxLock(plan, world, options.lock, options.list)
  const key = await sandboxKey(options.stateDir)
  const files = await startFileServer(servedFiles(world))
  try {
    const registry = await startRegistry({ over: { from: readerOf(world.blobs), tags: tagsOf(world) }, writable: false })
    return {
      addresses: sandboxAddresses(world, options, registry.url, files.url),
      lock: { schema: options.lock.schema, releases: { [plan.version]: release } },
      key,
      async close() {
        await Promise.all([registry.close(), files.close()])
      },
    }
  } catch (thrown) {
    await files.close()
    throw thrown
  }
}

function servedFiles(world: World): Map<string, Served> {
  const files = new Map<string, Served>()
  for (const repository of world.sources.repositories) serveRepository(files, repository)
  for (const held of [world.sources.archives, world.chartIndexes, world.packages.files]) {
    for (const [url, bytes] of held) files.set(publicPath(url), () => bytes)
  }
  const { advisories } = world
  if (advisories !== undefined) files.set(publicPath(advisories.url), () => advisories.bytes)
  for (const chart of world.charts) files.set(publicPath(chart.plan.url), () => chart.bytes)
  return files
}

/** `repository:tag` as the registry server has it → the index. */
function tagsOf(world: World): Record<string, Descriptor> {
  const images = [...world.bases.values(), ...world.mirrors.values()]
  return Object.fromEntries(
    images.map(({ reference, index }) => {
      const { repository, tag } = splitReference(reference)
      return [`${repositoryPath(repository)}:${tag}`, index]
    }),
  )
}

function readerOf(blobs: Blobs): ContentReader {
  return {
    async *fetch(target) {
      const found = blobs.get(target.digest)
      if (found === undefined) throw new RfoError('RFO_SANDBOX_ABSENT', `the sandbox holds no ${target.digest}`, { exit: 'bug' })
      yield found.bytes
    },
    async exists(target) {
      return blobs.get(target.digest)?.bytes.length === target.size
    },
    async resolve(reference) {
      const found = isDigest(reference) ? blobs.get(reference) : undefined
      return found && isDigest(reference) ? { mediaType: found.mediaType, digest: reference, size: found.bytes.length } : undefined
    },
    async referrers() {
      return []
    },
  }
}
