/**
 * Which file of which package lies where. As rpm has it: what two packages bring alike they share, what they bring
 * differently is a conflict; what the base has alike is not brought again. Nothing that a package of the base owns is replaced.
 */
import { RfoError } from '../../error.ts'
import type { BaseView } from './base.ts'
import type { FileFact, PackageFacts } from './facts.ts'
import type { FileKind } from './file-kind.ts'
import { idsOf, type Owner } from './owners.ts'

export interface Placed {
  /** in the image, parents without symlinks, no leading slash */
  readonly path: string
  readonly kind: FileKind
  readonly mode: number
  readonly owner: Owner
  readonly target: string
}

export interface Placement {
  /** sorted; those in between that nobody owns among them */
  readonly directories: readonly Placed[]
  /** sorted */
  readonly symlinks: readonly Placed[]
  /** package → path in its header → where its bytes go; absent = another brings the same */
  readonly files: ReadonlyMap<PackageFacts, ReadonlyMap<string, Placed>>
  /** users and groups that the base does not know: their files are root's, and lose setuid and setgid */
  readonly unknownOwners: ReadonlyMap<PackageFacts, readonly string[]>
}

interface Claim {
  readonly placed: Placed
  readonly fact: FileFact
  readonly by: PackageFacts
}

/** `packages` in their order: the first of those that share a file brings it. Throws RFO_RPM_CONFLICT. */
export function placeFiles(
  packages: readonly PackageFacts[],
  base: BaseView,
  installed: readonly { readonly files: readonly string[] }[],
): Placement {
  const claims = new Map<string, Claim>()
  const files = new Map<PackageFacts, Map<string, Placed>>()
  const unknownOwners = new Map<PackageFacts, string[]>()
  const folders = new Map<string, string>()
  const ids = idsOf(base)
  const owned = new Set(installed.flatMap((one) => one.files))
  for (const by of packages) {
    const brought = new Map<string, Placed>()
    files.set(by, brought)
    for (const fact of by.fileFacts) {
      if (fact.ghost) continue
      const path = whereTo(fact, base, folders)
      if (path === '') continue
      const { owner, mode, unknown } = ids(fact)
      if (unknown.length > 0) unknownOwners.set(by, [...new Set([...(unknownOwners.get(by) ?? []), ...unknown])])
      const placed: Placed = { path, kind: fact.kind, mode, owner, target: fact.target }
      const other = claims.get(path)
      if (other !== undefined) {
        if (!alike(other, { placed, fact, by })) throw conflict(fact.path, by, nevraIn(other.by))
        continue
      }
      const there = base.entry(`/${path}`)
      if (there !== undefined && isThere(there, fact, by)) continue
      if (there !== undefined && (there.kind === 'directory' || fact.kind === 'directory' || owned.has(fact.path) || owned.has(`/${path}`)))
        throw conflict(fact.path, by, 'the base')
      claims.set(path, { placed, fact, by })
      if (fact.kind === 'file') brought.set(fact.path, placed)
    }
  }
  const all = [...claims.values()].map(({ placed }) => placed)
  return {
    directories: [...all.filter(({ kind }) => kind === 'directory'), ...between(claims, base)].sort(byPath),
    symlinks: all.filter(({ kind }) => kind === 'symlink').sort(byPath),
    files,
    unknownOwners,
  }
}

/** The base's own links are followed, as whoever unpacks the layer would: /bin/x lies in /usr/bin. '' = the root itself. */
function whereTo(fact: FileFact, base: BaseView, folders: Map<string, string>): string {
  const slash = fact.path.lastIndexOf('/')
  const folder = folderIn(fact.path.slice(0, slash), base, folders)
  const path = `${folder}${fact.path.slice(slash)}`
  // a link to a folder stands for the folder, as for rpm
  if (fact.kind === 'directory') return (isFolder(base, base.resolve(path)) ?? path).slice(1)
  return path.slice(1)
}

function isFolder(base: BaseView, path: string | undefined): string | undefined {
  return path !== undefined && base.entry(path)?.kind === 'directory' ? path : undefined
}

function folderIn(path: string, base: BaseView, folders: Map<string, string>): string {
  if (path === '') return ''
  const known = folders.get(path)
  if (known !== undefined) return known
  const real = base.resolve(path)
  if (real !== undefined && base.entry(real)?.kind !== 'directory')
    throw new RfoError('RFO_RPM_CONFLICT', `a package has files below ${path}, which is no folder in the base`, { exit: 'build' })
  const slash = path.lastIndexOf('/')
  const found = real ?? `${folderIn(path.slice(0, slash), base, folders)}${path.slice(slash)}`
  folders.set(path, found)
  return found
}

function isThere(there: NonNullable<ReturnType<BaseView['entry']>>, fact: FileFact, by: PackageFacts): boolean {
  if (there.kind === 'file') return fact.kind === 'file' && by.digestAlgorithm === 'sha256' && fact.digest === there.sha256
  if (there.kind === 'symlink') return fact.kind === 'symlink' && fact.target === there.target
  return there.kind === fact.kind
}

function alike(a: Claim, b: Claim): boolean {
  if (a.fact.kind !== b.fact.kind) return false
  if (a.fact.kind === 'directory') return true
  if (a.fact.kind === 'symlink') return a.fact.target === b.fact.target
  return a.by.digestAlgorithm === b.by.digestAlgorithm && a.fact.digest === b.fact.digest && a.placed.mode === b.placed.mode
}

/** Folders that hold something and that neither a package nor the base has. */
function between(claims: ReadonlyMap<string, Claim>, base: BaseView): Placed[] {
  const found = new Map<string, Placed>()
  for (const { placed, fact, by } of claims.values()) {
    for (let at = placed.path.lastIndexOf('/'); at > 0; at = placed.path.lastIndexOf('/', at - 1)) {
      const path = placed.path.slice(0, at)
      const above = claims.get(path)
      if (above !== undefined && above.placed.kind !== 'directory')
        throw conflict(fact.path, by, `${nevraIn(above.by)}, which puts no folder at /${path}`)
      if (above !== undefined || found.has(path) || base.entry(`/${path}`) !== undefined) continue
      found.set(path, { path, kind: 'directory', mode: 0o755, owner: { uid: 0, gid: 0 }, target: '' })
    }
  }
  return [...found.values()]
}

function byPath(a: Placed, b: Placed): number {
  return a.path < b.path ? -1 : 1
}

function nevraIn({ name, evr, arch }: PackageFacts): string {
  return `${name}-${evr}.${arch}`
}

function conflict(path: string, by: PackageFacts, other: string): RfoError {
  return new RfoError('RFO_RPM_CONFLICT', `${path} of ${nevraIn(by)} is not what ${other} has there`, {
    exit: 'build',
    next: 'drop one of the packages from the pipeline',
  })
}
