/** argv → the one command it names → its outcome, printed once → exit code. Everything a person can get wrong here is exit 2. */
import { Argument, Command, CommanderError, Option as CommanderOption } from 'commander'
import { exitCodes, exitFor, RfoError } from '../error.ts'
import { type Language, language } from '../report/messages.ts'
import type { Commands } from './commands.ts'
import type { CliContext, Ports } from './context.ts'
import { decisiveOf, errorDocument, fail } from './failure.ts'
import { globalOptions, globalsOf } from './options.ts'
import { type Entry, flagsOf, type Option, type Outcome, type Verb } from './verb.ts'
import { type WordKey, word } from './words.ts'

interface Answer {
  verb?: string
  outcome?: Outcome
}

/** The exit code of `<program> <argv>`. Never rejects. */
export async function runProgram(argv: readonly string[], ports: Ports, commands: Commands): Promise<number> {
  const json = argv.includes('--json')
  const answer: Answer = {}
  try {
    const lang = language(givenValue(argv, '--lang'), ports.env)
    // Only what is named is loaded; a word that names nothing needs all of them, for help and for a hint.
    const named = [...new Set(argv.filter(commands.has))]
    const entries = named.length === 0 || argv.includes('help') ? await commands.all() : await Promise.all(named.map(commands.load))
    const program = commandTree(entries, lang, ports, answer, commands.program)
    if (argv.length === 0) {
      ports.stderr.write(`${program.helpInformation()}\n`)
      throw usage('no command', undefined)
    }
    await program.parseAsync([...argv], { from: 'user' })
    if (answer.outcome?.told === true) return exitCodes.ok
    ports.signal.throwIfAborted()
    return answer.outcome === undefined ? exitCodes.ok : print(answer.verb ?? '', answer.outcome, json, ports)
  } catch (thrown) {
    if (thrown instanceof CommanderError) {
      if (thrown.exitCode === 0) return exitCodes.ok // help was asked for and printed
      const what = thrown.code === 'commander.help' ? 'a command is missing' : thrown.message
      return fail(usage(what, argv.find(commands.has)), argv.find(commands.has), json, ports)
    }
    return fail(thrown, answer.verb ?? argv.find(commands.has), json, ports)
  }
}

function print(verb: string, outcome: Outcome, json: boolean, ports: Ports): number {
  const failures = outcome.failures ?? []
  const exit = failures.length === 0 ? exitCodes[outcome.exit ?? 'ok'] : exitFor(failures)
  const decisive = decisiveOf(failures)
  const error = decisive === undefined ? {} : { error: errorDocument(decisive) }
  const document = { schema: `rfo-build.${verb}/1`, ok: exit === exitCodes.ok, exit, ...error, ...outcome.json }
  const text = json ? JSON.stringify(document) : outcome.text
  ports.stdout(text === '' || text.endsWith('\n') ? text : `${text}\n`)
  return failures.length === 0 ? exit : fail(new AggregateError(failures), verb, false, ports)
}

/** The tree that commander parses with; also what docs/cli.md prints the help of. */
export function commandTree(entries: readonly Entry[], lang: Language, ports: Ports, answer: Answer = {}, called = 'rfo-build'): Command {
  const program = new Command(called).description(word(lang, 'program')).usage('[options] <command>')
  const dress = (command: Command): Command =>
    command
      .exitOverride()
      .configureOutput({ writeOut: ports.stdout, writeErr: () => {}, getOutHelpWidth: () => 100 })
      .configureHelp({ styleTitle: (title) => titles[title]?.[lang] ?? title, showGlobalOptions: true })
      .helpOption('-h, --help', word(lang, 'help'))
  dress(program).version(ports.toolVersion, '-V, --version', word(lang, 'version')).helpCommand('help [command]', word(lang, 'helpCommand'))
  for (const option of globalOptions) program.addOption(optionOf(option, lang))

  const add = (parent: Command, verb: Verb, path: string): void => {
    const command = dress(parent.command(verb.name)).description(word(lang, verb.summary)).allowExcessArguments(false)
    for (const argument of verb.arguments) command.addArgument(new Argument(argument.syntax, word(lang, argument.help)))
    for (const option of verb.options) command.addOption(optionOf(option, lang))
    command.addHelpText(
      'after',
      () => `\n${word(lang, 'examples')}\n${verb.examples.map((example) => `  ${called} ${example}\n`).join('')}`,
    )
    command.action(async () => {
      answer.verb = path
      const flags = flagsOf(command.optsWithGlobals())
      const context: CliContext = { ...ports, ...globalsOf(flags, ports) }
      answer.outcome = await verb.run(context, { args: command.processedArgs.flat().filter((each) => each !== undefined), flags })
    })
  }
  for (const entry of entries) {
    if ('verbs' in entry) {
      const group = dress(program.command(entry.name)).description(word(lang, entry.summary))
      group.helpCommand(false)
      for (const verb of entry.verbs) add(group, verb, `${entry.name}-${verb.name}`)
    } else add(program, entry, entry.name)
  }
  return program
}

function optionOf(option: Option, lang: Language): CommanderOption {
  const made = new CommanderOption(option.flags, word(lang, option.help))
  if (option.choices !== undefined) made.choices([...option.choices])
  if (option.repeatable === true) made.argParser((value: string, before: unknown) => [...(Array.isArray(before) ? before : []), value])
  return made
}

/** commander's headings → ours. */
const titles: Readonly<Record<string, Readonly<Record<Language, string>>>> = Object.fromEntries(
  (['usage', 'arguments', 'options', 'globalOptions', 'commands'] as const satisfies readonly WordKey[]).map((key) => [
    word('en', key),
    { en: word('en', key), zh: word('zh', key) },
  ]),
)

/** `error: unknown option '--jsn'\n(Did you mean --json?)` → our form, with the hint kept. */
function usage(message: string, verb: string | undefined): RfoError {
  const [what = message, hint] = message.replace(/^error: /, '').split('\n')
  const ask = verb === undefined ? 'rfo-build --help' : `rfo-build ${verb} --help`
  return new RfoError('RFO_CLI_USAGE', hint === undefined ? what : `${what} ${hint}`, { exit: 'usage', next: ask })
}

/** A flag's value before anything is parsed, for the language of help and of usage errors. */
function givenValue(argv: readonly string[], flag: string): string | undefined {
  const at = argv.findIndex((each) => each === flag || each.startsWith(`${flag}=`))
  return at === -1 ? undefined : argv[at]?.includes('=') ? argv[at].slice(flag.length + 1) : argv[at + 1]
}
