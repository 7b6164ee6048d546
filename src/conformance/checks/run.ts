/** Runs the checks that a cluster allows, one after the other; one that fails does not keep the others from running. */
import { RfoError } from '../../error.ts'
import { printableName } from '../printable.ts'
import { type ApiPorts, type Check, type NodePorts, NotProven, type Seen } from './check.ts'
import { type CheckName, checkNames, checks, commandsText } from './checks.ts'
import { kubectl } from './kubectl.ts'
import type { Outcome, Outcomes } from './outcome.ts'

export type CheckPorts =
  /** somebody's cluster */
  | { readonly kind: 'api'; readonly ports: ApiPorts }
  /** ours */
  | { readonly kind: 'node'; readonly ports: NodePorts }

/** `began` hears the name of each check that runs. Throws when the cluster is gone, or the machine's fault ends it. */
export async function runChecks(where: CheckPorts, began: (name: CheckName) => void): Promise<Outcomes> {
  const outcomes: Record<string, Outcome> = {}
  for (const name of checkNames) {
    const run = runnable(checks[name], where)
    if (typeof run === 'string') {
      outcomes[name] = { result: 'not proven', why: run }
      continue
    }
    began(name)
    outcomes[name] = await outcomeOf(run, where.ports)
  }
  return outcomes
}

/** Or why not. */
function runnable(check: Check, where: CheckPorts): (() => Promise<Seen>) | string {
  switch (check.needs) {
    case 'rfo':
      return `needs an installed rfo: ${commandsText(check.commands)}`
    case 'node':
      return where.kind === 'node' ? () => check.run(where.ports) : 'needs a node that may be stopped: --cluster local'
    case 'api':
      return () => check.run(where.ports)
  }
}

async function outcomeOf(run: () => Promise<Seen>, ports: ApiPorts): Promise<Outcome> {
  try {
    return { result: 'passed', seen: { ...(await run()) } }
  } catch (thrown) {
    ports.signal.throwIfAborted()
    if (thrown instanceof NotProven) return { result: 'not proven', why: thrown.message }
    // of a program of the release, or of the check itself; what this machine lacks is nobody's failure
    if (!(thrown instanceof RfoError) || thrown.exit !== 'build') throw thrown
    const excerpt = [...thrown.details, ...(await lastEvents(ports))].map(printableName)
    return { result: 'failed', why: printableName(thrown.message), excerpt: excerpt.slice(0, 40) }
  }
}

async function lastEvents(ports: ApiPorts): Promise<readonly string[]> {
  const said = await kubectl(ports, 'get', 'events', '-A', '--sort-by=.lastTimestamp').catch(() => '')
  return said.split('\n').slice(-12)
}
