/**
 * Names → the packages that must be installed so that everything is there which they require. What the base has counts as
 * there, and is never replaced: a candidate that would need another version of it gives way to an older one of its own.
 * The same repositories give the same answer. Weak dependencies are not followed.
 *
 * Depth first over the candidates of one requirement at a time. A dead end names whom it is to blame on, and whoever is not
 * blamed is not tried otherwise (conflict-directed backjumping): a package that can't be installed costs its own versions,
 * and not their product with everybody's.
 */
import { RfoError } from '../../error.ts'
import { type Capability, nevraOf, provides, type Solvable } from './capability.ts'
import { installedIndex, isIt } from './installed.ts'
import { parseRequirement, type Requirement, requirementText } from './requirement.ts'
import { type Candidate, nearNames, type Universe } from './universe.ts'

export interface SolveRequest {
  /** package names */
  readonly wanted: readonly string[]
  /** of the base */
  readonly installed: readonly Solvable[]
  readonly universe: Universe
}

/** Candidates looked at; real closures need some hundreds. */
const mostSteps = 200_000

interface Asked {
  readonly requirement: Requirement
  /** undefined = the pipeline itself */
  readonly by: Candidate | undefined
  /** a condition asked for it, which others made true */
  readonly conditional?: true
}

interface DeadEnd {
  readonly reason: string
  readonly blamed: ReadonlySet<Candidate>
}

/**
 * Sorted by name; without what the base has. Throws RFO_RPM_ABSENT for a name that no repository has, RFO_RPM_UNSOLVABLE with
 * the requirement that nothing meets (both `outside`). `unknownFiles` gets the paths that are required and in no list so far.
 */
export function solve({ wanted, installed, universe }: SolveRequest, unknownFiles: Set<string> = new Set()): readonly Candidate[] {
  const base = installedIndex(installed)
  const chosen = new Map<string, Candidate>()
  const queue: Asked[] = []
  const conditions: Asked[] = []
  const hopeless = new Map<Candidate, string>()
  let steps = 0

  for (const name of [...wanted].sort()) {
    if (base.named(name) !== undefined) continue
    if (universe.named(name).length === 0) throw absent(name, universe)
    queue.push({ requirement: { kind: 'package', name }, by: undefined })
  }
  const failed = search(0)
  if (failed !== undefined) throw new RfoError('RFO_RPM_UNSOLVABLE', failed.reason, { exit: 'outside' })
  return [...chosen.values()].sort((a, b) => (a.name < b.name ? -1 : 1))

  /** Meets everything from `from` on; undefined = all is met. */
  function search(from: number): DeadEnd | undefined {
    for (let at = from; at < queue.length || renewed(); at++) {
      const asked = queue[at]
      if (asked !== undefined && !satisfied(asked.requirement)) return choose(asked, at)
    }
    return undefined
  }

  function choose(asked: Asked, at: number): DeadEnd | undefined {
    const { requirement, by, conditional } = asked
    const blamed = new Set<Candidate>(conditional ? chosen.values() : by === undefined ? [] : [by])
    const text = `${requirementText(requirement)}${by === undefined ? '' : `, which ${nevraOf(by)} requires`}`
    let reason: string | undefined
    for (const one of candidates(requirement)) {
      if (++steps > mostSteps) throw new RfoError('RFO_RPM_UNSOLVABLE', `${text}: given up after ${mostSteps} steps`, { exit: 'outside' })
      const known = hopeless.get(one)
      if (known !== undefined) {
        reason ??= known
        continue
      }
      const refused = clash(one)
      if (refused !== undefined) {
        reason ??= `${text}, is in ${nevraOf(one)}, and ${refused.reason}`
        if (refused.with !== undefined) blamed.add(refused.with)
        continue
      }
      const undo = take(one)
      const end = search(at + 1)
      if (end === undefined) return undefined
      undo()
      if (!end.blamed.has(one)) return end
      reason ??= end.reason
      for (const each of end.blamed) if (each !== one) blamed.add(each)
    }
    const end = { reason: reason ?? `no package provides ${text}`, blamed }
    if (by !== undefined && blamed.size === 1 && blamed.has(by)) hopeless.set(by, end.reason)
    return end
  }

  function take(one: Candidate): () => void {
    const [asked, conditional] = [queue.length, conditions.length]
    chosen.set(one.name, one)
    for (const each of one.requires) if (!each.name.startsWith('rpmlib(')) ask({ requirement: parseRequirement(each), by: one })
    return () => {
      chosen.delete(one.name)
      queue.length = asked
      conditions.length = conditional
    }
  }

  function ask(asked: Asked): void {
    const { requirement } = asked
    if (requirement.kind === 'all') for (const each of requirement.of) ask({ ...asked, requirement: each })
    else if (requirement.kind === 'if') conditions.push(asked)
    else queue.push(asked)
  }

  /** Conditions whose case has come ask for what they say; true = there is something more to do. */
  function renewed(): boolean {
    const before = queue.length
    for (const { requirement, by } of [...conditions]) {
      if (requirement.kind !== 'if' || satisfied(requirement)) continue
      const now = satisfied(requirement.when) ? requirement.then : requirement.otherwise
      const nested: Requirement = { kind: 'unknown', text: requirementText(requirement) }
      if (now !== undefined) ask({ requirement: now.kind === 'if' ? nested : now, by, conditional: true })
    }
    return queue.length > before
  }

  function satisfied(one: Requirement): boolean {
    switch (one.kind) {
      case 'package':
        return chosen.has(one.name)
      case 'capability':
        return base.provider(one.capability) !== undefined || taken(one.capability) !== undefined
      case 'any':
        return one.of.some(satisfied)
      case 'all':
        return one.of.every(satisfied)
      case 'with':
        return [...base.all(), ...chosen.values()].some((each) => hasAll(each, one.of))
      case 'if':
        return satisfied(one.when) ? satisfied(one.then) : one.otherwise === undefined || satisfied(one.otherwise)
      case 'unknown':
        return false
    }
  }

  function candidates(one: Requirement): readonly Candidate[] {
    switch (one.kind) {
      case 'package':
        return universe.named(one.name)
      case 'capability': {
        const found = universe.providers(one.capability)
        if (found.length === 0 && one.capability.name.startsWith('/')) unknownFiles.add(one.capability.name)
        // whoever is called like what is required, then what is asked for by name anyway
        const rank = ({ name }: Candidate): number => (name === one.capability.name ? 0 : wanted.includes(name) ? 1 : 2)
        return found.toSorted((a, b) => rank(a) - rank(b))
      }
      case 'any':
        return [...new Set(one.of.flatMap(candidates))]
      case 'with': {
        const [first, ...others] = one.of
        return first === undefined ? [] : candidates(first).filter((each) => hasAll(each, others))
      }
      case 'all':
      case 'if':
      case 'unknown':
        return []
    }
  }

  function taken(required: Capability): Candidate | undefined {
    return universe.providers(required).find((one) => chosen.get(one.name) === one)
  }

  /** Why it can't stand beside what is there, and which chosen one is to blame for that; on the base nothing is blamed. */
  function clash(one: Candidate): { readonly reason: string; readonly with?: Candidate } | undefined {
    const other = chosen.get(one.name)
    if (other !== undefined) return { reason: `${nevraOf(other)} is taken already`, with: other }
    const old = base.named(one.name) ?? one.conflicts.map(base.provider).find((each) => each !== undefined) ?? base.against(one)
    if (old !== undefined) return { reason: `the base has ${nevraOf(old)}` }
    const replaced = one.obsoletes.find((each) => isThere(base.named(each.name), each))
    if (replaced !== undefined) return { reason: `it replaces ${replaced.name}, which the base has` }
    for (const met of chosen.values()) {
      const refuses = (a: Solvable, b: Solvable): boolean =>
        a.conflicts.some((each) => provides(b, each)) || a.obsoletes.some((each) => isIt(b, each))
      if (refuses(one, met) || refuses(met, one)) return { reason: `it does not go with ${nevraOf(met)}`, with: met }
    }
    return undefined
  }
}

function isThere(one: Solvable | undefined, named: Capability): boolean {
  return one !== undefined && isIt(one, named)
}

function hasAll(one: Solvable, of: readonly Requirement[]): boolean {
  return of.every((each) => each.kind === 'capability' && provides(one, each.capability))
}

function absent(name: string, universe: Universe): RfoError {
  const near = nearNames(universe, name)
  return new RfoError('RFO_RPM_ABSENT', `no repository has a package ${name}${near.length === 0 ? '' : `; there is ${near.join(', ')}`}`, {
    exit: 'outside',
  })
}
