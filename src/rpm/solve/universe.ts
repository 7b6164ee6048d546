/** All packages that may be installed on one architecture, found by what they provide. */
import { compareEvr } from '../vercmp.ts'
import { type Capability, nevraOf, provides, type Solvable } from './capability.ts'

/** A package that a repository has. */
export interface Candidate extends Solvable {
  /** of its RPM, and SHA-256 in hex */
  readonly url: string
  readonly sha256: string
  /** bytes */
  readonly size: number
}

export interface Universe {
  named(name: string): readonly Candidate[]
  /** Newest first within a name; see `order`. */
  providers(required: Capability): readonly Candidate[]
  names(): Iterable<string>
  /** Files that no primary list has: path → the packages with it. */
  addFiles(found: ReadonlyMap<string, readonly string[]>): void
}

/** `repositories` in their order: of one package in two of them the first one's counts. */
export function createUniverse(repositories: readonly (readonly Candidate[])[], arch: string): Universe {
  const known = new Map<string, Candidate>()
  for (const packages of repositories) {
    for (const one of packages) {
      const nevra = nevraOf(one)
      if ((one.arch === arch || one.arch === 'noarch') && !known.has(nevra)) known.set(nevra, one)
    }
  }
  const byName = new Map<string, Candidate[]>()
  const byWord = new Map<string, Set<Candidate>>()
  const put = (word: string, one: Candidate): void => {
    const found = byWord.get(word)
    if (found === undefined) byWord.set(word, new Set([one]))
    else found.add(one)
  }
  for (const one of known.values()) {
    const same = byName.get(one.name)
    if (same === undefined) byName.set(one.name, [one])
    else same.push(one)
    put(one.name, one)
    for (const { name } of one.provides) put(name, one)
    for (const file of one.files) put(file, one)
  }
  for (const same of byName.values()) same.sort(order)
  const more = new Map<string, readonly Candidate[]>()
  return {
    named: (name) => byName.get(name) ?? [],
    providers(required) {
      const listed = [...(byWord.get(required.name) ?? [])].filter((one) => provides(one, required))
      return [...new Set([...listed, ...(required.is === undefined ? (more.get(required.name) ?? []) : [])])].sort(order)
    },
    names: () => byName.keys(),
    addFiles(found) {
      for (const [path, nevras] of found)
        more.set(
          path,
          nevras.flatMap((nevra) => known.get(nevra) ?? []),
        )
    },
  }
}

/** Shorter names first, then by name: a plain package before what is built around it; of one name the newest, own architecture first. */
export function order(a: Candidate, b: Candidate): number {
  if (a.name !== b.name) return a.name.length - b.name.length || (a.name < b.name ? -1 : 1)
  return compareEvr(b.evr, a.evr) || (a.arch === b.arch ? 0 : a.arch === 'noarch' ? 1 : -1)
}

/** At most five names that somebody may have meant. */
export function nearNames(universe: Universe, wanted: string): readonly string[] {
  const plain = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, '')
  const meant = plain(wanted)
  const scored = [...universe.names()].flatMap((name): [number, string][] => {
    const distance = edits(plain(name), meant)
    return distance <= Math.max(1, Math.floor(meant.length / 4)) ? [[distance, name]] : []
  })
  return scored
    .sort(([x, a], [y, b]) => x - y || (a < b ? -1 : 1))
    .slice(0, 5)
    .map(([, name]) => name)
}

/** Levenshtein's distance; far more than asked for when the lengths alone say so. */
function edits(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 8 || b.length > 100) return Number.MAX_SAFE_INTEGER
  let row = Array.from({ length: b.length + 1 }, (_, n) => n)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min((next[j - 1] ?? 0) + 1, (row[j] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length] ?? 0
}
