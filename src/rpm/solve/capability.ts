/** What packages provide and require, and whether one meets the other. https://rpm-software-management.github.io/rpm/manual/dependencies.html */
import { compareEvr } from '../vercmp.ts'

export type Relation = '<' | '<=' | '=' | '>=' | '>'

export interface Capability {
  readonly name: string
  /** absent = any version; `evr` is `[epoch:]version[-release]` */
  readonly is?: { readonly relation: Relation; readonly evr: string }
}

/** A package of a repository, or one that the base has. */
export interface Solvable {
  readonly name: string
  /** `[epoch:]version-release` */
  readonly evr: string
  readonly arch: string
  readonly provides: readonly Capability[]
  /** rich ones in parentheses, as they stand there */
  readonly requires: readonly Capability[]
  readonly conflicts: readonly Capability[]
  readonly obsoletes: readonly Capability[]
  /** absolute paths; of a repository's packages those that its primary list has */
  readonly files: readonly string[]
}

export function nevraOf({ name, evr, arch }: Pick<Solvable, 'name' | 'evr' | 'arch'>): string {
  return `${name}-${evr}.${arch}`
}

/**
 * Whether a range of versions and another have one in common. What is provided without a version meets no requirement
 * with one, as libsolv has it.
 */
export function meets(provided: Capability, required: Capability): boolean {
  if (provided.name !== required.name) return false
  if (required.is === undefined) return true
  if (provided.is === undefined) return false
  const [a, b] = [provided.is, required.is]
  const order = compareEvr(a.evr, b.evr)
  if (order < 0) return a.relation.startsWith('>') || b.relation.startsWith('<')
  if (order > 0) return a.relation.startsWith('<') || b.relation.startsWith('>')
  const sharing = (sign: string): boolean => a.relation.includes(sign) && b.relation.includes(sign)
  return sharing('=') || sharing('<') || sharing('>')
}

/** What a package provides: what it says, itself in its version, and its files. */
export function provides(one: Solvable, required: Capability): boolean {
  if (meets({ name: one.name, is: { relation: '=', evr: one.evr } }, required)) return true
  return one.provides.some((each) => meets(each, required)) || (required.is === undefined && one.files.includes(required.name))
}

export function capabilityText({ name, is }: Capability): string {
  return is === undefined ? name : `${name} ${is.relation} ${is.evr}`
}
