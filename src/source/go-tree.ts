/** A source as Go compiles it: its go.mod edited, its go.sum complete, its modules in the cache. */
import { access, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { RfoError } from '../error.ts'
import { type Digest, digestOf, hex } from '../oci/digest.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { type Architecture, architectureNames } from '../oci/platform.ts'
import { type DownloadedModule, type GoContext, type GoTools, runGo } from './go-command.ts'
import { editArguments, type GoEdit, localReplaces, refuseUnchosen, requirements } from './go-mod.ts'
import { writeWhole } from './tree.ts'

export interface ModuleSum {
  readonly path: string
  readonly version: string
  readonly h1: string
}

export interface GoTree {
  /** sha256(go.mod + "\n" + go.sum), as the lock keeps it */
  readonly sums: Digest
  /** every other module that takes part, sorted */
  readonly modules: readonly ModuleSum[]
}

const Prepared = z.strictObject({ mod: z.string(), sum: z.string(), used: z.array(z.string()) })
type Prepared = z.infer<typeof Prepared>

/** A source on disk, patched, before its go.mod is edited. */
export interface Patched {
  readonly dir: string
  /** digests of what was put into it: part of what it is */
  readonly patches: readonly Digest[]
  readonly edit?: GoEdit | undefined
}

/**
 * Which modules take part does not depend on the machine: those of all packages of the module and of what `edit`
 * requires, or of the packages that it names, under the tags of the build, for every architecture of the table, with and without
 * cgo. What was prepared once is kept next to the modules that it names; its digest is computed from the bytes each time.
 */
export async function prepareTree(
  at: GoContext,
  tools: GoTools,
  module: DownloadedModule,
  { dir, patches, edit }: Patched,
  tags: readonly string[] = [],
): Promise<GoTree> {
  const inputs = {
    toolchain: tools.root,
    module: module.Path,
    version: module.Version,
    h1: module.Sum,
    tags: [...tags],
    ...identity(patches, edit),
  }
  const whole = ['./...', ...Object.keys(edit?.require ?? {}).map((path) => `${path}/...`)]
  const prepared = await remembered(tools, inputs, () =>
    prepare(at, tools, dir, `${module.Path}@${module.Version}`, { packages: edit?.packages ?? whole, tags }, edit),
  )
  await writePrepared(dir, prepared)
  return sumsOf(prepared)
}

/** What Go compiles of a tree. */
export interface GoUse {
  /** import paths or patterns */
  readonly packages: readonly string[]
  readonly tags?: readonly string[]
  /** architectures that are compiled with cgo: with it alone; absent = everything is read with and without */
  readonly cgo?: readonly Architecture[]
}

/**
 * The same for a checkout: unless it is edited, its own go.mod and go.sum decide. Modules that lie below vendor/ are part of
 * the commit, and no other takes part; an edit asks for others than lie there.
 */
export async function prepareCheckout(
  at: GoContext,
  tools: GoTools,
  checkout: Patched & { readonly url: string; readonly commit: string; readonly folder?: string | undefined },
  use: GoUse,
): Promise<GoTree & { readonly vendored: boolean }> {
  const { dir, url, commit, folder = null, patches, edit } = checkout
  const vendored =
    edit === undefined &&
    (await access(join(dir, 'vendor', 'modules.txt')).then(
      () => true,
      () => false,
    ))
  const { packages, tags = [], cgo } = use
  const inputs = {
    toolchain: tools.root,
    url,
    commit,
    folder,
    packages: [...packages],
    tags: [...tags],
    cgo: cgo === undefined ? null : [...cgo],
    vendored,
    ...identity(patches, edit),
  }
  const prepared = await remembered(tools, inputs, () => prepare(at, tools, dir, url, vendored ? { ...use, packages: [] } : use, edit))
  if (edit !== undefined) await writePrepared(dir, prepared)
  return { vendored, ...sumsOf(prepared) }
}

function identity(patches: readonly Digest[], edit: GoEdit | undefined): Record<string, Json> {
  const { dropReplace = [], require = {}, replace = {}, localReplaces = null, packages = null, tests = false } = edit ?? {}
  const said = edit === undefined ? null : { dropReplace, require, replace, localReplaces, packages, tests }
  return { rule: 6, patches: [...patches], edit: said }
}

async function writePrepared(dir: string, { mod, sum }: Prepared): Promise<void> {
  await writeFile(join(dir, 'go.mod'), mod)
  await writeFile(join(dir, 'go.sum'), sum)
}

/** What was prepared once is kept next to the modules that it names. */
async function remembered(tools: GoTools, inputs: Json, prepared: () => Promise<Prepared>): Promise<Prepared> {
  const kept = join(tools.modCache, 'cache', 'rfo-build', `${hex(digestOf(canonicalJson(inputs)))}.json`)
  const known = await readKept(kept)
  if (known !== undefined) return known
  const made = await prepared()
  await writeWhole(kept, canonicalJson(made))
  return made
}

function sumsOf(prepared: Prepared): Pick<GoTree, 'sums' | 'modules'> {
  return { sums: digestOf(`${prepared.mod}\n${prepared.sum}`), modules: modulesOf(prepared) }
}

async function readKept(file: string): Promise<Prepared | undefined> {
  try {
    return Prepared.parse(JSON.parse(await readFile(file, 'utf8')))
  } catch {
    return undefined // absent or damaged: prepared again
  }
}

async function prepare(
  at: GoContext,
  tools: GoTools,
  dir: string,
  name: string,
  { packages, tags = [], cgo: withCgo }: GoUse,
  edit: GoEdit | undefined,
): Promise<Prepared> {
  const run = (args: readonly string[], env: Record<string, string>): Promise<string> =>
    runGo(at, args, { program: tools.program, cwd: dir, env: { GOROOT: tools.root, ...env } })
  const requires = async (): Promise<ReadonlySet<string>> => requirements(await run(['mod', 'edit', '-json'], {}))
  const folders = edit?.localReplaces === undefined ? [] : localReplaces(await run(['mod', 'edit', '-json'], {}), name)
  const changes = edit === undefined ? [] : editArguments(edit, folders)
  if (changes.length > 0) await run(['mod', 'edit', ...changes], {})
  const edited = edit === undefined ? undefined : { text: await readFile(join(dir, 'go.mod'), 'utf8'), requires: await requires() }
  const flags = edit === undefined ? '-mod=readonly -modcacherw' : '-mod=mod -modcacherw'
  const format = '{{with .Module}}{{if .Replace}}{{.Replace.Path}} {{.Replace.Version}}{{else}}{{.Path}} {{.Version}}{{end}}{{end}}'
  const tests = edit?.tests === true ? ['-test'] : []
  const used = new Set<string>()
  const tagged = tags.length === 0 ? [] : ['-tags', tags.join(',')]
  for (const architecture of packages.length === 0 ? [] : architectureNames) {
    // a package of C alone can't be read without cgo, and one for others can't be read with it
    for (const cgo of withCgo === undefined ? ['0', '1'] : [withCgo.includes(architecture) ? '1' : '0']) {
      const listed = await run(['list', ...tests, '-deps', '-f', format, ...tagged, ...packages], {
        GOFLAGS: flags,
        GOOS: 'linux',
        GOARCH: architecture,
        CGO_ENABLED: cgo,
      })
      for (const line of listed.split('\n')) if (/^\S+ \S+$/.test(line)) used.add(line)
    }
  }
  const mod = await readFile(join(dir, 'go.mod'), 'utf8').catch(() => {
    throw new RfoError('RFO_SOURCE_MODULE', `${name} has no go.mod`, { exit: 'usage' })
  })
  const sum = await readFile(join(dir, 'go.sum'), 'utf8').catch(() => '')
  if (edited !== undefined && edited.text !== mod) {
    const added = [...(await requires())].filter((each) => !edited.requires.has(each))
    if (added.length > 0) {
      await writeFile(join(dir, 'go.mod'), edited.text)
      refuseUnchosen(name, added, await graphOf(() => run(['mod', 'graph'], { GOFLAGS: flags })))
    }
  }
  return { mod, sum, used: [...used].sort() }
}

/** A graph that can't be had whole (a module that is nowhere, and that no package needs) names nothing. */
async function graphOf(print: () => Promise<string>): Promise<string> {
  try {
    return await print()
  } catch (thrown) {
    if (thrown instanceof RfoError && thrown.exit === 'outside') return ''
    throw thrown
  }
}

function modulesOf(prepared: Prepared): ModuleSum[] {
  // https://go.dev/ref/mod#go-sum-files: `<module> <version> <h1:…>`; lines with /go.mod are sums of go.mod alone
  const sums = new Map<string, string>(
    prepared.sum.split('\n').flatMap((line) => {
      const [path, version, h1] = line.split(' ')
      return path === undefined || version === undefined || h1 === undefined ? [] : [[`${path} ${version}`, h1] as const]
    }),
  )
  return prepared.used.flatMap((line) => {
    const [path, version] = line.split(' ')
    const h1 = sums.get(line)
    return path === undefined || version === undefined || h1 === undefined ? [] : [{ path, version, h1 }]
  })
}
