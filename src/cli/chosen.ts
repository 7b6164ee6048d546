/** What of a release a person chose, and how the plan for it is told before anything is written. */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { ReleasePredicate } from '../attest/release.ts'
import { RfoError } from '../error.ts'
import type { Room } from '../release/archive/room.ts'
import type { Selection } from '../release/archive/selection.ts'
import type { ReleaseFiles } from '../release/shelf.ts'
import type { CliContext } from './context.ts'
import type { Flags, Option } from './verb.ts'
import { word } from './words.ts'

export const selectionOptions: readonly Option[] = [
  { flags: '--group <name>', help: 'packGroup', repeatable: true },
  { flags: '--from-config <file>', help: 'packFromConfig', completes: 'file' },
]

/** `--platform`, and `--group` or what `--from-config` comes to. */
export async function chosenOf(context: CliContext, flags: Flags, from: ReleaseFiles, predicate: ReleasePredicate): Promise<Selection> {
  const { selectionOf } = await import('../release/archive/selection.ts')
  const [groups, config] = [flags.list('group'), flags.text('fromConfig')]
  if (config === undefined) return selectionOf(predicate, context.platforms, groups)
  if (groups !== undefined) throw new RfoError('RFO_CLI_USAGE', '--group and --from-config say the same twice', { exit: 'usage' })
  const { groupsFor } = await import('../release/archive/site.ts')
  const { siteChoices } = await import('../plan/site.ts')
  const file = resolve(context.cwd, config)
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new RfoError('RFO_CLI_CONFIG', `can't read the configuration: ${cause.code}`, { exit: 'usage', where: file, cause })
  })
  const needed = await groupsFor(siteChoices(text, config), from, predicate, context.platforms)
  return selectionOf(predicate, context.platforms, needed)
}

/** bytes a second of a disk that is no fast one: what takes the time is the medium, not this program */
const usualSpeed = 100_000_000

export interface PlanTold {
  readonly bytes: number
  readonly free: number
  readonly seconds: number
}

/** Said on stderr before the first byte is written; `told` is the same for the document. */
export function tellPlan(context: CliContext, { bytes, free }: Room, where: string): PlanTold {
  const told = { bytes, free, seconds: Math.ceil(bytes / usualSpeed) }
  if (context.progress !== 'none' && context.progress !== 'json') context.stderr.write(word(context.lang, 'packPlan', { ...told, where }))
  return told
}
