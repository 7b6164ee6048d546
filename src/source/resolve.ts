/** What moves becomes a pin: module version → sums, tag → commit, URL → digest. Only `lock` resolves; a release opens. */
import { rm } from 'node:fs/promises'
import { RfoError } from '../error.ts'
import type { Addresses } from '../plan/addresses.ts'
import type { Source } from '../plan/component.ts'
import type { ArchivePin, GitPin, GoModulePin } from '../plan/lock.ts'
import { download } from './download.ts'
import { resolveTag } from './git.ts'
import { downloadModule, downloadToolchain, type GoHost, goHosts, toolsOf } from './go-command.ts'
import { prepareTree } from './go-tree.ts'

export interface ResolveOptions {
  readonly env: Record<string, string>
  readonly addresses: Addresses
  /** the machine that resolves */
  readonly host: GoHost
  /** of the component's build, when Go compiles it */
  readonly toolchain?: string
  readonly workDir: string
  readonly signal?: AbortSignal
  readonly line?: (text: string) => void
}

/** `source` has its templates filled. Throws what the network, git or the checksum database refuse. */
export async function resolveSource(source: Source, options: ResolveOptions): Promise<GoModulePin | GitPin | ArchivePin> {
  switch (source.kind) {
    case 'go-module':
      return await resolveModule(source, options)
    case 'git':
      return {
        kind: 'git',
        url: source.url,
        tag: source.tag,
        commit: await resolveTag(options, source.url, source.tag),
        ...(source.submodules === true ? { submodules: true } : {}),
      }
    case 'archive': {
      const { digest, size } = await download({ ...options, url: source.url })
      return { kind: 'archive', url: source.url, digest, size }
    }
  }
}

async function resolveModule(source: Extract<Source, { kind: 'go-module' }>, options: ResolveOptions): Promise<GoModulePin> {
  const { toolchain } = options
  const module = await downloadModule(options, source.module, source.version)
  const files = { kind: 'go-module' as const, module: source.module, version: source.version, h1: module.Sum, goModH1: module.GoModSum }
  if (toolchain === undefined) return files
  const own = await downloadToolchain(options, toolchain, options.host)
  const h1: Record<string, string> = { [options.host]: own.Sum }
  for (const host of goHosts.filter((name) => name !== options.host)) {
    try {
      h1[host] = (await downloadToolchain(options, toolchain, host)).Sum
    } catch (thrown) {
      if (!(thrown instanceof RfoError) || thrown.exit !== 'outside') throw thrown
      // Another host's toolchain is a convenience: without its sum that host can't compile, and says so.
      options.line?.(`no sum of ${toolchain} for ${host}: ${thrown.message}`)
    }
  }
  const tree = await prepareTree(options, await toolsOf(options, own), module, source.edit)
  await rm(tree.dir, { recursive: true, force: true })
  return {
    ...files,
    sums: tree.sums,
    toolchain: { version: toolchain, h1: Object.fromEntries(Object.entries(h1).sort(([a], [b]) => (a < b ? -1 : 1))) },
  }
}
