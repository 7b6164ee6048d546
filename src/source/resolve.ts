/** What moves becomes a pin: module version → sums, tag → commit, URL → digest. Only `lock` resolves; a release opens. */
import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { RfoError } from '../error.ts'
import type { Digest } from '../oci/digest.ts'
import type { Addresses } from '../plan/addresses.ts'
import type { Source } from '../plan/component.ts'
import type { ArchivePin, GitPin, GoModulePin, ToolchainPin } from '../plan/lock.ts'
import { pinnedChanges, type SourceChanges } from '../plan/source-changes.ts'
import { applyPatches } from './apply-patch.ts'
import { download } from './download.ts'
import { checkout, resolveTag } from './git.ts'
import { downloadModule, downloadToolchain, type GoHost, type GoTools, goHosts, toolsOf } from './go-command.ts'
import { type GoUse, prepareCheckout, prepareTree } from './go-tree.ts'
import { openSource } from './open.ts'
import { saidCommit } from './origin.ts'
import { linkTree } from './tree.ts'

export interface ResolveOptions {
  readonly env: Record<string, string>
  readonly addresses: Addresses
  /** the machine that resolves */
  readonly host: GoHost
  /** of the component's build, when Go compiles it */
  readonly toolchain?: string
  /** what of a git source Go compiles; absent = all of it */
  readonly use?: GoUse
  /** files beside the pipelines that change the source */
  readonly changes?: SourceChanges
  readonly workDir: string
  readonly signal?: AbortSignal
  readonly line?: (text: string) => void
}

/**
 * `source` has its templates filled. Throws what the network, git or the checksum database refuse, and RFO_SOURCE_PATCH for a
 * patch that does not apply: that is found here and not during a release.
 */
export async function resolveSource(source: Source, options: ResolveOptions): Promise<GoModulePin | GitPin | ArchivePin> {
  const changes = options.changes === undefined ? {} : { changes: pinnedChanges(options.changes) }
  const pin = { ...(await resolvePin(source, options)), ...changes }
  if (options.changes?.patches !== undefined && !('sums' in pin)) {
    const { dir } = await openSource(pin, options)
    await rm(dir, { recursive: true, force: true })
  }
  return pin
}

async function resolvePin(source: Source, options: ResolveOptions): Promise<GoModulePin | GitPin | ArchivePin> {
  switch (source.kind) {
    case 'go-module':
      return await resolveModule(source, options)
    case 'git':
      return await resolveGit(source, options)
    case 'archive': {
      const { digest, size } = await download({ ...options, url: source.url })
      return { kind: 'archive', url: source.url, digest, size }
    }
  }
}

async function resolveModule(source: Extract<Source, { kind: 'go-module' }>, options: ResolveOptions): Promise<GoModulePin> {
  const { toolchain } = options
  const module = await downloadModule(options, source.module, source.version)
  const commit = source.commits?.[source.version]
  const files = {
    kind: 'go-module' as const,
    module: source.module,
    version: source.version,
    h1: module.Sum,
    goModH1: module.GoModSum,
    ...(commit === undefined ? {} : { commit: saidCommit(module, commit) }),
  }
  if (toolchain === undefined) return files
  const { pin, tools } = await resolveToolchain(toolchain, options)
  const dir = join(options.workDir, 'sources', randomUUID())
  try {
    await linkTree(module.Dir, dir)
    const patches = await patched(dir, options)
    const { sums } = await prepareTree(options, tools, module, { dir, patches, edit: source.edit }, options.use?.tags)
    return { ...files, sums, toolchain: pin }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

async function resolveGit(source: Extract<Source, { kind: 'git' }>, options: ResolveOptions): Promise<GitPin> {
  const commit = await resolveTag(options, source.url, source.tag)
  const pin = {
    kind: 'git' as const,
    url: source.url,
    tag: source.tag,
    commit,
    ...(source.submodules === true ? { submodules: true as const } : {}),
    ...(source.folder === undefined ? {} : { folder: source.folder }),
  }
  if (options.toolchain === undefined) return pin
  const { pin: toolchain, tools } = await resolveToolchain(options.toolchain, options)
  const { dir } = await checkout(options, pin)
  try {
    const patches = await patched(dir, options)
    const { sums } = await prepareCheckout(
      options,
      tools,
      { ...pin, dir, patches, edit: source.edit },
      options.use ?? { packages: ['./...'] },
    )
    return { ...pin, sums, toolchain }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

async function patched(dir: string, { changes }: ResolveOptions): Promise<readonly Digest[]> {
  const patches = changes?.patches ?? []
  await applyPatches(dir, patches)
  return patches.map(({ digest }) => digest)
}

async function resolveToolchain(version: string, options: ResolveOptions): Promise<{ pin: ToolchainPin; tools: GoTools }> {
  const own = await downloadToolchain(options, version, options.host)
  const h1: Record<string, string> = { [options.host]: own.Sum }
  for (const host of goHosts.filter((name) => name !== options.host)) {
    try {
      h1[host] = (await downloadToolchain(options, version, host)).Sum
    } catch (thrown) {
      if (!(thrown instanceof RfoError) || thrown.exit !== 'outside') throw thrown
      // Another host's toolchain is a convenience: without its sum that host can't compile, and says so.
      options.line?.(`no sum of ${version} for ${host}: ${thrown.message}`)
    }
  }
  const sorted = Object.fromEntries(Object.entries(h1).sort(([a], [b]) => (a < b ? -1 : 1)))
  return { pin: { version, h1: sorted }, tools: await toolsOf(options, own) }
}
