/** A command as data: the parser, --help, completion and docs/cli.md are all made from it. */
import type { ExitName, RfoError } from '../error.ts'
import type { Json } from '../oci/json.ts'
import type { CliContext } from './context.ts'
import type { WordKey } from './words.ts'

export interface Argument {
  /** As commander writes it: `<version>`, `[name...]`. */
  readonly syntax: string
  readonly help: WordKey
}

export interface Option {
  /** As commander writes it: `--check`, `--update [name...]`. */
  readonly flags: string
  readonly help: WordKey
  readonly choices?: readonly string[]
  /** May be given more than once; its values make a list. */
  readonly repeatable?: true
  /** What completion offers for the value. */
  readonly completes?: 'file' | 'directory'
}

/** What a command gives back; the program prints it once, as text or as one JSON document. */
export interface Outcome {
  /** Default `ok`. */
  readonly exit?: ExitName
  readonly text: string
  readonly json: { readonly [key: string]: Json }
  /** A result that is bad news: printed whole on stdout, then told on stderr like any failure, with its exit code. */
  readonly failures?: readonly RfoError[]
  /** The command has printed its result while it ran, and ran until a signal ended it, as it should. */
  readonly told?: true
}

export interface Invocation {
  readonly args: readonly string[]
  readonly flags: Flags
}

export interface Verb {
  readonly name: string
  readonly summary: WordKey
  readonly arguments: readonly Argument[]
  readonly options: readonly Option[]
  /** Command lines without the program's name. */
  readonly examples: readonly [string, ...string[]]
  run(context: CliContext, invocation: Invocation): Promise<Outcome>
}

/** `keys generate`, `keys show`: a word that only holds others. */
export interface Group {
  readonly name: string
  readonly summary: WordKey
  readonly verbs: readonly Verb[]
}

export type Entry = Verb | Group

/** Values by the option's long name in camel case, as commander gives them. */
export interface Flags {
  on(name: string): boolean
  text(name: string): string | undefined
  /** undefined = not given; `[]` = given without a value */
  list(name: string): readonly string[] | undefined
}

export function flagsOf(values: Readonly<Record<string, unknown>>): Flags {
  return {
    on: (name) => values[name] !== undefined && values[name] !== false,
    text: (name) => (typeof values[name] === 'string' ? values[name] : undefined),
    list(name) {
      const value = values[name]
      if (value === undefined || value === false) return undefined
      if (value === true) return []
      return Array.isArray(value) ? value.map(String) : [String(value)]
    },
  }
}
