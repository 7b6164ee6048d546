/** `completion bash|zsh|fish`: a script made from the commands as they are; the shell needs nothing else. */
import { RfoError } from '../error.ts'
import { globalOptions } from './options.ts'
import type { Entry, Option, Verb } from './verb.ts'
import { word } from './words.ts'

const shells = { bash, zsh, fish } as const
type Shell = keyof typeof shells

export const completion: Verb = {
  name: 'completion',
  summary: 'completion',
  arguments: [{ syntax: '<shell>', help: 'completionArgument' }],
  options: [],
  examples: ['completion bash > /etc/bash_completion.d/rfo-build', 'completion fish | source'],
  async run(context, { args }) {
    const { allEntries } = await import('./verbs.ts')
    const shell = args[0] ?? ''
    if (!isShell(shell)) {
      throw new RfoError('RFO_CLI_VALUE', `no completion for ${JSON.stringify(shell.slice(0, 40))}`, {
        exit: 'usage',
        next: 'choose from bash, zsh, fish',
      })
    }
    const text = shells[shell](nodesOf(await allEntries()), (key) => word(context.lang, key))
    return { text, json: { shell, text } }
  },
}

function isShell(text: string): text is Shell {
  return Object.hasOwn(shells, text)
}

type Say = (key: Verb['summary']) => string
interface Node {
  /** `` for the program, `keys`, `keys generate` */
  readonly path: string
  readonly words: readonly { readonly name: string; readonly summary: Verb['summary'] }[]
  readonly options: readonly Option[]
}

function nodesOf(entries: readonly Entry[]): readonly Node[] {
  const nodes = entries.flatMap((entry): readonly Node[] => {
    if (!('verbs' in entry)) return [{ path: entry.name, words: [], options: entry.options }]
    return [
      { path: entry.name, words: entry.verbs, options: [] },
      ...entry.verbs.map((verb) => ({ path: `${entry.name} ${verb.name}`, words: [], options: verb.options })),
    ]
  })
  return [{ path: '', words: entries, options: [] }, ...nodes]
}

/** `--update [name...]` → `--update`; all flags here are long. */
function long(option: Option): string {
  return option.flags.split(/[ ,]/).find((part) => part.startsWith('--')) ?? ''
}

const takesValue = (option: Option): boolean => /[<[]/.test(option.flags)

function bash(nodes: readonly Node[], _say: Say): string {
  const all = nodes.flatMap((node) => node.options)
  const values = [...new Map([...globalOptions, ...all].filter(takesValue).map((option) => [long(option), option])).values()]
  const valueCases = values.map((option) => {
    const reply =
      option.choices !== undefined
        ? `mapfile -t COMPREPLY < <(compgen -W '${option.choices.join(' ')}' -- "$current")`
        : option.completes === 'directory'
          ? 'mapfile -t COMPREPLY < <(compgen -d -- "$current")'
          : option.completes === 'file'
            ? 'mapfile -t COMPREPLY < <(compgen -f -- "$current")'
            : ':'
    return `    ${long(option)}) ${reply}; return ;;\n`
  })
  const offers = nodes.map((node) => {
    const words = [...node.words.map(({ name }) => name), ...[...node.options, ...globalOptions].map(long), '--help']
    return `    '${node.path}') offer='${words.join(' ')}' ;;\n`
  })
  const paths = nodes.map((node) => `'${node.path}'`).filter((path) => path !== "''")
  return `# bash completion of rfo-build
_rfo_build() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} path='' offer='' word
  COMPREPLY=()
  case "$previous" in
${valueCases.join('')}  esac
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "\${path:+$path }$word" in
      ${paths.join('|')}) path="\${path:+$path }$word" ;;
    esac
  done
  case "$path" in
${offers.join('')}  esac
  mapfile -t COMPREPLY < <(compgen -W "$offer" -- "$current")
  [ "\${#COMPREPLY[@]}" -gt 0 ] || mapfile -t COMPREPLY < <(compgen -f -- "$current")
}
complete -F _rfo_build rfo-build
`
}

/** zsh takes bash's function through its own bridge: https://zsh.sourceforge.io/Doc/Release/Completion-System.html#Use-of-compinit */
function zsh(nodes: readonly Node[], say: Say): string {
  const script = bash(nodes, say)
    .replace('# bash', '# zsh')
    .replaceAll('mapfile -t COMPREPLY < <(', 'COMPREPLY=($(')
    .replaceAll(/\$current"\)/g, '$current"))')
  return `#compdef rfo-build\nautoload -U +X bashcompinit && bashcompinit\n${script}`
}

function fish(nodes: readonly Node[], say: Say): string {
  const quote = (text: string): string => `'${text.replace(/[\\']/g, (each) => `\\${each}`)}'`
  const option = (condition: string, each: Option): string => {
    const value =
      each.choices !== undefined
        ? ` -x -a ${quote(each.choices.join(' '))}`
        : each.completes !== undefined
          ? ' -r -F'
          : takesValue(each)
            ? ' -x'
            : ''
    return `complete -c rfo-build${condition} -l ${long(each).slice(2)}${value} -d ${quote(say(each.help))}\n`
  }
  const lines = nodes.map((node) => {
    const [first, second] = node.path.split(' ')
    const seen =
      first === ''
        ? '__fish_use_subcommand'
        : `__fish_seen_subcommand_from ${first}${second === undefined ? '' : `; and __fish_seen_subcommand_from ${second}`}`
    const condition = ` -n ${quote(seen)}`
    const words = node.words.map((each) => `complete -c rfo-build${condition} -f -a ${each.name} -d ${quote(say(each.summary))}\n`)
    return [...words, ...node.options.map((each) => option(condition, each))].join('')
  })
  return `# fish completion of rfo-build\n${globalOptions.map((each) => option('', each)).join('')}${lines.join('')}`
}
