#!/usr/bin/env node
// The door: runs on any Node that knows ES modules, so that an old one gets a sentence instead of a syntax error.
// Nothing is loaded for `--version`; everything else is in src/main.ts, which Node runs as it is (types are stripped).
import { readFileSync } from 'node:fs'
import module from 'node:module'

const { version, engines } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
const args = process.argv.slice(2)

if (args.length === 1 && (args[0] === '--version' || args[0] === '-V')) {
  process.stdout.write(`${version}\n`)
} else if (!accepts(engines.node, process.versions.node)) {
  const next = 'npm ci && npx --no-install rfo-build, which runs on the Node that npm installs'
  const { node } = process.versions
  process.stderr.write(
    `rfo-build: RFO_MAIN_NODE: Node ${node} is too old, rfo-build needs ${engines.node} (${process.execPath}); next: ${next}\n`,
  )
  process.exitCode = 9
} else {
  // Half of start-up is reading our own sources: their compiled form is kept per user, or nowhere.
  const cache = process.env.XDG_CACHE_HOME || (process.env.HOME ? `${process.env.HOME}/.cache` : '')
  if (cache !== '' && !process.env.NODE_COMPILE_CACHE) module.enableCompileCache(`${cache}/rfo-build/compiled`)
  const { main } = await import('../src/main.ts')
  const { commands } = await import('../src/cli/verbs.ts')
  await main(version, commands)
}

/** `^22.22.2 || >=26.0.0` against `24.21.0`: only these two operators, as package.json writes them. */
function accepts(ranges, running) {
  const have = running.split('.').map(Number)
  return ranges.split('||').some((range) => {
    const [, operator, text] = /^\s*(\^|>=)(\d+\.\d+\.\d+)\s*$/.exec(range)
    const want = text.split('.').map(Number)
    if (operator === '^' && have[0] !== want[0]) return false
    const at = have.findIndex((number, index) => number !== want[index])
    return at === -1 || have[at] > want[at]
  })
}
