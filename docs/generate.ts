/**
 * Writes what is made from the code: docs/cli.md from the commands, the tables of docs/conformance.md from the checks, sbom/rfo-build.cdx.json from the lock. `--check` changes nothing and fails when a
 * page is not what the code says.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Ports } from '../src/cli/context.ts'
import { commandTree } from '../src/cli/program.ts'
import { allEntries } from '../src/cli/verbs.ts'
import { checkNames, checks, commandsText } from '../src/conformance/checks/checks.ts'
import { ownSbom } from './own-sbom.ts'

export async function cliPage(): Promise<string> {
  const entries = await allEntries()
  const program = commandTree(entries, 'en', { toolVersion: '', stdout: () => {} } as unknown as Ports)
  const help = (path: readonly string[]): string => {
    const command = path.reduce((at, name) => at.commands.find((each) => each.name() === name) ?? at, program)
    // the global options stand once, at the top
    if (path.length > 0) command.configureHelp({ ...command.configureHelp(), showGlobalOptions: false })
    return command.helpInformation().trimEnd()
  }
  const verbs = entries.flatMap((entry) =>
    'verbs' in entry ? entry.verbs.map((verb) => ({ path: [entry.name, verb.name], verb })) : [{ path: [entry.name], verb: entry }],
  )
  const chapters = verbs.map(({ path, verb }) => {
    const examples = verb.examples.map((example) => `rfo-build ${example}`).join('\n')
    return `## ${path.join(' ')}\n\n\`\`\`text\n${help(path)}\n\nExamples:\n${examples.replace(/^/gm, '  ')}\n\`\`\`\n`
  })
  return [
    '# Commands',
    '',
    'Made from the code by `npm run docs:write`; `npm run docs` fails when it is not fresh. Run `rfo-build` as `npx --no-install rfo-build`.',
    'Exit codes stand in [exit-codes.md](exit-codes.md).',
    '',
    `\`\`\`text\n${help([])}\n\`\`\``,
    '',
    ...chapters,
  ].join('\n')
}

/** The page with its tables of checks between their marks made anew. */
async function conformancePage(): Promise<string> {
  const page = readFileSync(join(import.meta.dirname, 'conformance.md'), 'utf8')
  const all = checkNames.map((name) => ({ name, check: checks[name] }))
  const here = all.flatMap(({ name, check }) =>
    check.needs === 'rfo' ? [] : [`| \`${name}\` | ${check.title.en} | ${check.needs === 'api' ? 'any cluster' : 'a node of ours'} |`],
  )
  const rfo = all.flatMap(({ name, check }) =>
    check.needs === 'rfo' ? [`| \`${name}\` | ${check.title.en} | \`${commandsText(check.commands)}\` |`] : [],
  )
  return withTable(withTable(page, 'checks', ['| check | passes when | needs |', '|---|---|---|', ...here]), 'checks of rfo', [
    '| check | passes when | commands |',
    '|---|---|---|',
    ...rfo,
  ])
}

function withTable(page: string, mark: string, rows: readonly string[]): string {
  const [before, rest] = page.split(`<!-- ${mark} -->\n`)
  const after = rest?.split('<!-- end -->\n').slice(1).join('<!-- end -->\n')
  if (before === undefined || after === undefined) throw new Error(`docs/conformance.md has no mark ${mark}`)
  return `${before}<!-- ${mark} -->\n${rows.join('\n')}\n\n<!-- end -->\n${after}`
}

export const pages: Readonly<Record<string, () => Promise<string>>> = { 'cli.md': cliPage, 'conformance.md': conformancePage }
/** By path from docs/. */
const made: typeof pages = { ...pages, '../sbom/rfo-build.cdx.json': ownSbom }

if (process.argv[1] === import.meta.filename) {
  const check = process.argv.includes('--check')
  for (const [name, make] of Object.entries(made)) {
    const file = join(import.meta.dirname, name)
    const text = await make()
    if (existsSync(file) && readFileSync(file, 'utf8') === text) continue
    if (check) {
      process.stderr.write(`docs/${name} is not fresh: npm run docs:write\n`)
      process.exitCode = 1
    } else writeFileSync(file, text)
  }
}
