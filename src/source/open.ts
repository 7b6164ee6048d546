/** A pinned source, on disk and checked. Nothing here decides a version: what the lock pins is what comes, or nothing. */
import { randomUUID } from 'node:crypto'
import { mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { RfoError } from '../error.ts'
import type { Digest } from '../oci/digest.ts'
import { hex } from '../oci/digest.ts'
import type { Addresses } from '../plan/addresses.ts'
import type { ArchivePin, GitPin, GoModulePin, PinnedChanges, ToolchainPin } from '../plan/lock.ts'
import { changedFiles, pinnedChanges, type SourceChanges } from '../plan/source-changes.ts'
import { applyPatches } from './apply-patch.ts'
import { download } from './download.ts'
import { extractTar, sourceRoot } from './extract.ts'
import { checkout } from './git.ts'
import { type DownloadedModule, downloadModule, downloadToolchain, type GoTools, hostOfGo, toolsOf } from './go-command.ts'
import type { GoEdit } from './go-mod.ts'
import { type GoUse, prepareCheckout, prepareTree } from './go-tree.ts'
import { besideMaterial, golangPurl, type Material, moduleMaterial, usedModule } from './material.ts'
import { saidCommit } from './origin.ts'
import { linkTree } from './tree.ts'

export interface OpenOptions {
  readonly env: Readonly<Record<string, string>>
  readonly addresses: Addresses
  readonly workDir: string
  /** what of a git source Go compiles: its modules take part; absent = all of it */
  readonly use?: GoUse
  /** the pipeline's changes to go.mod; the pin's `sums` hold with them alone */
  readonly edit?: GoEdit
  /** the files that the pin's `changes` name */
  readonly changes?: SourceChanges
  readonly signal?: AbortSignal
  readonly line?: (text: string) => void
}

export interface OpenSource {
  /** The source's root, fresh and patched. Its files may be links: one is changed by putting another in its place. */
  readonly dir: string
  /** `pkg:golang/…`, `git+https://…@<commit>` or a URL */
  readonly revision: string
  readonly materials: readonly Material[]
  /** for a Go module that Go compiles: the checked toolchain and its modules, which a compile uses without a network */
  readonly go?: GoTools
}

/**
 * The caller removes `dir`. Throws RFO_SOURCE_SUM (untrusted) naming what was expected and what came, RFO_SOURCE_PATCH for a patch
 * that does not apply.
 */
export async function openSource(pin: GoModulePin | GitPin | ArchivePin, options: OpenOptions): Promise<OpenSource> {
  expectChanges(pin, options.changes)
  const opened = await opener(pin, options)
  return {
    ...opened,
    materials: [...opened.materials, ...changedFiles(pin.changes === undefined ? undefined : options.changes).map(besideMaterial)],
  }
}

function opener(pin: GoModulePin | GitPin | ArchivePin, options: OpenOptions): Promise<OpenSource> {
  switch (pin.kind) {
    case 'go-module':
      return openModule(pin, options)
    case 'git':
      return openGit(pin, options)
    case 'archive':
      return openPlainArchive(pin, options)
  }
}

/** A source whose programs lie in it compiled stands in for the one that is patched. */
function expectChanges(pin: GoModulePin | GitPin | ArchivePin, changes: SourceChanges | undefined): void {
  if (pin.kind !== 'go-module' && pin.prebuilt !== undefined) return
  const text = (pinned: PinnedChanges | undefined): string =>
    pinned === undefined
      ? 'nothing'
      : [...(pinned.patches ?? []), ...(pinned.overrides === undefined ? [] : [pinned.overrides])]
          .map(({ file, digest }) => `${file} ${digest}`)
          .join(', ')
  expectSum('what changes the source', text(pin.changes), text(changes === undefined ? undefined : pinnedChanges(changes)))
}

/** Digests of the patches of a pin, which are in `dir` now. */
async function patch(dir: string, pin: { readonly changes?: PinnedChanges | undefined }, options: OpenOptions): Promise<readonly Digest[]> {
  const patches = pin.changes === undefined ? [] : (options.changes?.patches ?? [])
  await applyPatches(dir, patches)
  return patches.map(({ digest }) => digest)
}

/** Runs `use`; the folder is gone when it fails. */
async function orRemoved<T>(dir: string, use: () => Promise<T>): Promise<T> {
  try {
    return await use()
  } catch (thrown) {
    await rm(dir, { recursive: true, force: true })
    throw thrown
  }
}

async function openPlainArchive(pin: ArchivePin, options: OpenOptions): Promise<OpenSource> {
  const dir = await openArchive(pin, pin.prebuilt, options)
  await orRemoved(dir, () => patch(dir, pin, options))
  return { dir, revision: pin.url, materials: [{ uri: pin.url, digest: { sha256: hex(pin.digest) } }] }
}

async function openModule(pin: GoModulePin, options: OpenOptions): Promise<OpenSource> {
  const { toolchain, sums } = pin
  return toolchain === undefined || sums === undefined ? await openFiles(pin, options) : await openGo({ ...pin, toolchain, sums }, options)
}

type CompiledPin = GoModulePin & { readonly toolchain: NonNullable<GoModulePin['toolchain']>; readonly sums: Digest }

/** A module that Go does not compile is its files alone: no toolchain, and no other module takes part. */
async function openFiles(pin: GoModulePin, options: OpenOptions): Promise<OpenSource> {
  const module = await pinnedModule(pin, options)
  const dir = join(options.workDir, 'sources', randomUUID())
  await orRemoved(dir, async () => {
    await linkTree(module.Dir, dir)
    await patch(dir, pin, options)
  })
  return { dir, revision: golangPurl(pin.module, pin.version), materials: [moduleMaterial(module, pin.commit)] }
}

async function pinnedModule(pin: GoModulePin, options: OpenOptions): Promise<DownloadedModule> {
  const module = await downloadModule(options, pin.module, pin.version)
  const name = `${pin.module} ${pin.version}`
  expectSum(name, pin.h1, module.Sum)
  expectSum(`${name}/go.mod`, pin.goModH1, module.GoModSum)
  if (pin.commit !== undefined) saidCommit(module, pin.commit.hash)
  return module
}

/** The toolchain of a pin, compared with its sum, as a module and as programs. */
async function pinnedToolchain(pin: ToolchainPin, options: OpenOptions): Promise<{ toolchain: DownloadedModule; tools: GoTools }> {
  const host = await hostOfGo(options)
  const pinned = pin.h1[host]
  if (pinned === undefined) {
    throw new RfoError('RFO_SOURCE_TOOLCHAIN', `images.lock holds no sum of ${pin.version} for ${host}`, {
      exit: 'lock',
      next: 'rfo-build lock <version> on such a machine',
    })
  }
  const toolchain = await downloadToolchain(options, pin.version, host)
  expectSum(`${toolchain.Path} ${toolchain.Version}`, pinned, toolchain.Sum)
  return { toolchain, tools: await toolsOf(options, toolchain) }
}

async function openGo(pin: CompiledPin, options: OpenOptions): Promise<OpenSource> {
  const { toolchain, tools } = await pinnedToolchain(pin.toolchain, options)
  const module = await pinnedModule(pin, options)
  const dir = join(options.workDir, 'sources', randomUUID())
  const tree = await orRemoved(dir, async () => {
    await linkTree(module.Dir, dir)
    const patches = await patch(dir, pin, options)
    const prepared = await prepareTree(options, tools, module, { dir, patches, edit: options.edit }, options.use?.tags)
    expectSum(`go.mod and go.sum of ${pin.module} ${pin.version}`, pin.sums, prepared.sums)
    return prepared
  })
  const materials = [moduleMaterial(module, pin.commit), moduleMaterial(toolchain), ...tree.modules.map(usedModule)]
  return { dir, revision: golangPurl(pin.module, pin.version), materials, go: tools }
}

function expectSum(what: string, expected: string, got: string): void {
  if (expected === got) return
  throw new RfoError('RFO_SOURCE_SUM', `${what} is not what the lock pins: expected ${expected}, got ${got}`, {
    exit: 'untrusted',
    next: 'find out who changed it; `rfo-build lock <version> --update <name>` accepts it',
  })
}

async function openGit(pin: GitPin, options: OpenOptions): Promise<OpenSource> {
  // a host's archive holds no submodules, and all folders
  const { dir, submodules } =
    pin.archive === undefined || pin.submodules === true || pin.folder !== undefined
      ? await checkout(options, pin)
      : { dir: await openArchive(pin.archive, pin.prebuilt, options), submodules: [] }
  const uri = `git+${pin.url}@refs/tags/${pin.tag}`
  const archive: Material[] = pin.archive === undefined ? [] : [{ uri: pin.archive.url, digest: { sha256: hex(pin.archive.digest) } }]
  const inside = submodules.map(
    ({ url, path, commit }): Material => ({ uri: `git+${url}@${commit}`, digest: { gitCommit: commit }, name: path }),
  )
  const opened = {
    dir,
    revision: `git+${pin.url}@${pin.commit}`,
    materials: [{ uri, digest: { gitCommit: pin.commit } }, ...inside, ...archive],
  }
  return await orRemoved(dir, async () => {
    const patches = await patch(dir, pin, options)
    const { toolchain, sums } = pin
    return toolchain === undefined || sums === undefined ? opened : await withGo(opened, { ...pin, toolchain, sums }, patches, options)
  })
}

async function withGo(
  opened: OpenSource,
  pin: GitPin & { readonly toolchain: ToolchainPin; readonly sums: Digest },
  patches: readonly Digest[],
  options: OpenOptions,
): Promise<OpenSource> {
  const { toolchain, tools } = await pinnedToolchain(pin.toolchain, options)
  const tree = await prepareCheckout(
    options,
    tools,
    { ...pin, dir: opened.dir, patches, edit: options.edit },
    options.use ?? { packages: ['./...'] },
  )
  expectSum(`go.mod and go.sum of ${pin.url} ${pin.tag}`, pin.sums, tree.sums)
  return {
    ...opened,
    materials: [...opened.materials, moduleMaterial(toolchain), ...tree.modules.map(usedModule)],
    go: tree.vendored ? { ...tools, vendored: true } : tools,
  }
}

async function openArchive(
  pin: { url: string; digest: Digest; size: number },
  prebuilt: string | undefined,
  options: OpenOptions,
): Promise<string> {
  const { file } = await download({ ...options, url: pin.url, expected: { digest: pin.digest, size: pin.size } })
  const dir = join(options.workDir, 'sources', randomUUID())
  await mkdir(dir, { recursive: true })
  try {
    await extractTar(file, dir, undefined, options.signal)
    const root = await sourceRoot(dir, prebuilt?.split('/')[0])
    if (root === dir) return dir
    const alone = join(options.workDir, 'sources', randomUUID())
    await rename(root, alone)
    await rm(dir, { recursive: true })
    return alone
  } catch (thrown) {
    await rm(dir, { recursive: true, force: true })
    throw thrown
  }
}
