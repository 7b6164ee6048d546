/** A module's folder as the build uses it: a writable copy, its go.mod edited, its go.sum complete, its modules in the cache. */
import { randomUUID } from 'node:crypto'
import { access, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { RfoError } from '../error.ts'
import { type Digest, digestOf, hex } from '../oci/digest.ts'
import { canonicalJson, type Json } from '../oci/json.ts'
import { type Architecture, architectureNames } from '../oci/platform.ts'
import { type DownloadedModule, type GoContext, type GoTools, runGo } from './go-command.ts'
import { copyTree, writeWhole } from './tree.ts'

/** Changes to a module's own go.mod. */
export interface GoEdit {
  readonly dropReplace: readonly string[]
  readonly require: Readonly<Record<string, string>>
  /** the version in place of each folder that a replace directive names */
  readonly localReplaces?: string | undefined
  /** what is compiled; absent = everything */
  readonly packages?: readonly string[] | undefined
  /** what the tests of these packages need takes part too */
  readonly tests?: true | undefined
}

export interface ModuleSum {
  readonly path: string
  readonly version: string
  readonly h1: string
}

export interface GoTree {
  /** fresh and writable; the caller removes it */
  readonly dir: string
  /** sha256(go.mod + "\n" + go.sum), as the lock keeps it */
  readonly sums: Digest
  /** every other module that takes part, sorted */
  readonly modules: readonly ModuleSum[]
}

const Prepared = z.strictObject({ mod: z.string(), sum: z.string(), used: z.array(z.string()) })
type Prepared = z.infer<typeof Prepared>

/**
 * Which modules take part does not depend on the machine: those of all packages of the module and of what `edit`
 * requires, or of the packages that it names, for every architecture of the table, with and without cgo. What was prepared once is kept next to the
 * modules that it names; its digest is computed from the bytes each time.
 */
export async function prepareTree(at: GoContext, tools: GoTools, module: DownloadedModule, edit: GoEdit | undefined): Promise<GoTree> {
  const dir = join(at.workDir, 'sources', randomUUID())
  try {
    await copyTree(module.Dir, dir)
    const { dropReplace, require, packages, localReplaces, tests } = edit ?? { dropReplace: [], require: {} }
    const local = localReplaces === undefined ? {} : { localReplaces }
    const tested = tests === undefined ? {} : { tests }
    const edited = edit === undefined ? null : { dropReplace, require, packages: packages ?? null, ...local, ...tested }
    const inputs = { rule: 2, toolchain: tools.root, module: module.Path, version: module.Version, h1: module.Sum, edit: edited }
    const whole = ['./...', ...Object.keys(edit?.require ?? {}).map((path) => `${path}/...`)]
    const prepared = await remembered(tools, inputs, () =>
      prepare(at, tools, dir, `${module.Path}@${module.Version}`, { packages: edit?.packages ?? whole }, edit),
    )
    await writeFile(join(dir, 'go.mod'), prepared.mod)
    await writeFile(join(dir, 'go.sum'), prepared.sum)
    return { dir, ...sumsOf(prepared) }
  } catch (thrown) {
    await rm(dir, { recursive: true, force: true })
    throw thrown
  }
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
 * The same for a checkout, in which nothing is changed: its own go.mod and go.sum decide. Modules that lie below vendor/ are
 * part of the commit, and no other takes part.
 */
export async function prepareCheckout(
  at: GoContext,
  tools: GoTools,
  checkout: { readonly dir: string; readonly url: string; readonly commit: string; readonly folder?: string | undefined },
  use: GoUse,
): Promise<GoTree & { readonly vendored: boolean }> {
  const { dir, url, commit, folder } = checkout
  const vendored = await access(join(dir, 'vendor', 'modules.txt')).then(
    () => true,
    () => false,
  )
  const { packages, tags = [], cgo } = use
  const inputs = {
    rule: 3,
    toolchain: tools.root,
    url,
    commit,
    packages: [...packages],
    tags: [...tags],
    cgo: cgo === undefined ? null : [...cgo],
    vendored,
    ...(folder === undefined ? {} : { folder }),
  }
  const prepared = await remembered(tools, inputs, () => prepare(at, tools, dir, url, vendored ? { ...use, packages: [] } : use, undefined))
  return { dir, vendored, ...sumsOf(prepared) }
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
  if (edit !== undefined) {
    const { localReplaces: version } = edit
    const found = version === undefined ? [] : localReplaces(await run(['mod', 'edit', '-json'], {}), name)
    const local = found.filter((path) => !edit.dropReplace.includes(path))
    const changes = [
      ...[...edit.dropReplace, ...local].map((path) => `-dropreplace=${path}`),
      ...local.map((path) => `-require=${path}@${version}`),
      ...Object.entries(edit.require).map(([path, wanted]) => `-require=${path}@${wanted}`),
    ]
    await run(['mod', 'edit', ...changes], {})
  }
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
  return { mod, sum: await readFile(join(dir, 'go.sum'), 'utf8').catch(() => ''), used: [...used].sort() }
}

/** https://go.dev/ref/mod#go-mod-edit: what `-json` prints; a replacement without a version is a folder. */
const GoMod = z.object({
  Replace: z.array(z.object({ Old: z.object({ Path: z.string() }), New: z.object({ Version: z.string().optional() }) })).nullish(),
})

function localReplaces(json: string, name: string): string[] {
  const { Replace } = GoMod.parse(JSON.parse(json))
  const local = (Replace ?? []).filter((each) => each.New.Version === undefined).map((each) => each.Old.Path)
  if (local.length === 0) {
    throw new RfoError('RFO_SOURCE_MODULE', `the go.mod of ${name} replaces nothing by a folder`, {
      exit: 'usage',
      next: 'drop source.edit.localReplaces from the pipeline',
    })
  }
  return local.sort()
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
