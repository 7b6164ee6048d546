/** The commands of one program: all of rfo-build's, or the one of rfo-verify.cjs. */
import type { Entry } from './verb.ts'

export interface Commands {
  /** as a person calls it, in help */
  readonly program: string
  has(name: string): boolean
  load(name: string): Promise<Entry>
  all(): Promise<readonly Entry[]>
}

export function commandsOf(program: string, entries: Readonly<Record<string, () => Promise<Entry>>>): Commands {
  const load = async (name: string): Promise<Entry> => {
    const found = entries[name]
    if (found === undefined) throw new Error(`no command ${name}`)
    return await found()
  }
  return { program, has: (name) => Object.hasOwn(entries, name), load, all: () => Promise.all(Object.keys(entries).map(load)) }
}
