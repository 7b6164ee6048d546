/** What the base has, found by what it provides. */
import { type Capability, meets, provides, type Solvable } from './capability.ts'

export interface Installed {
  all(): readonly Solvable[]
  named(name: string): Solvable | undefined
  /** one that provides it */
  provider(required: Capability): Solvable | undefined
  /** one that conflicts with the package or replaces it */
  against(one: Solvable): Solvable | undefined
}

export function installedIndex(packages: readonly Solvable[]): Installed {
  const byWord = new Map<string, Set<Solvable>>()
  const put = (word: string, one: Solvable): void => {
    byWord.set(word, (byWord.get(word) ?? new Set()).add(one))
  }
  for (const one of packages) for (const word of [one.name, ...one.provides.map(({ name }) => name), ...one.files]) put(word, one)
  const byName = new Map(packages.map((one) => [one.name, one]))
  return {
    all: () => packages,
    named: (name) => byName.get(name),
    provider: (required) => [...(byWord.get(required.name) ?? [])].find((one) => provides(one, required)),
    against: (one) => packages.find((each) => each.conflicts.some((it) => provides(one, it)) || each.obsoletes.some((it) => isIt(one, it))),
  }
}

/** Obsoletes go by the package's own name and version, whatever it provides. */
export function isIt(one: Solvable, named: Capability): boolean {
  return meets({ name: one.name, is: { relation: '=', evr: one.evr } }, named)
}
