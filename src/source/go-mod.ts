/** What the edit of a go.mod says, as arguments of `go mod edit`, and whether anything else has changed. */
import { z } from 'zod'
import { RfoError } from '../error.ts'

/** Changes to a module's own go.mod. */
export interface GoEdit {
  readonly dropReplace: readonly string[]
  readonly require: Readonly<Record<string, string>>
  /** path, or path@version → path@version */
  readonly replace?: Readonly<Record<string, string>> | undefined
  /** the version in place of each folder that a replace directive names */
  readonly localReplaces?: string | undefined
  /** what is compiled; absent = everything */
  readonly packages?: readonly string[] | undefined
  /** what the tests of these packages need takes part too */
  readonly tests?: true | undefined
}

/** `folders` are what `localReplaces` is about. */
export function editArguments(
  { dropReplace, require, replace, localReplaces: version }: GoEdit,
  folders: readonly string[],
): readonly string[] {
  const local = folders.filter((path) => !dropReplace.includes(path))
  return [
    ...[...dropReplace, ...local].map((path) => `-dropreplace=${path}`),
    ...local.map((path) => `-require=${path}@${version}`),
    ...Object.entries(require).map(([path, wanted]) => `-require=${path}@${wanted}`),
    ...Object.entries(replace ?? {}).map(([path, other]) => `-replace=${path}=${other}`),
  ]
}

/** `go mod edit -json`: https://go.dev/ref/mod#go-mod-edit; a replacement without a version is a folder. */
const GoMod = z.object({
  Require: z.array(z.object({ Path: z.string(), Version: z.string() })).nullish(),
  Replace: z.array(z.object({ Old: z.object({ Path: z.string() }), New: z.object({ Version: z.string().optional() }) })).nullish(),
})

/** Modules that a go.mod replaces by folders, sorted. */
export function localReplaces(json: string, name: string): readonly string[] {
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

/** `path@version` of every requirement. */
export function requirements(json: string): ReadonlySet<string> {
  return new Set((GoMod.parse(JSON.parse(json)).Require ?? []).map(({ Path, Version }) => `${Path}@${Version}`))
}

/**
 * Under -mod=mod go adds what is missing. What the module graph names follows from the go.mod as it was edited; for a package
 * that no module of the graph has, go asks which version is the latest, and tomorrow's answer is another. `graph` is what
 * `go mod graph` prints of the go.mod as it was edited. https://go.dev/ref/mod#go-mod-graph
 */
export function refuseUnchosen(name: string, added: readonly string[], graph: string): void {
  const named = new Set(graph.split(/\s+/))
  const unchosen = added.filter((each) => !named.has(each))
  if (unchosen.length === 0) return
  throw new RfoError('RFO_SOURCE_EDIT', `nothing of ${name} says which version: ${unchosen.slice(0, 5).join(', ')}, by go's own choice`, {
    exit: 'usage',
    details: unchosen,
    next: 'name it with a version under source.edit.require',
  })
}
