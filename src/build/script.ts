/**
 * One CommonJS file out of our own sources and the packages that they use, by rolldown: for whoever has a Node and nothing else.
 * Neither minified nor split, so that a person can read it, and so that whoever wants another version of a package can put it in.
 * https://rolldown.rs/reference/
 */
import { readdir, readFile } from 'node:fs/promises'
import { isBuiltin } from 'node:module'
import { join } from 'node:path'
import { RfoError } from '../error.ts'

/** The oldest Node whose syntax is written. */
const oldest = 'node18'

/** `root`: of the checkout; `entry` is below it. The same sources give the same bytes wherever the checkout lies. */
export async function oneScript(root: string, entry: string): Promise<string> {
  const { rolldown } = await import('rolldown')
  const bundle = await rolldown({
    input: entry,
    cwd: root,
    platform: 'node',
    tsconfig: false,
    transform: { target: oldest },
    logLevel: 'silent',
  })
  try {
    const { output } = await bundle.generate({ format: 'cjs', codeSplitting: false })
    const [script, ...more] = output
    const foreign = script.imports.filter((name) => !isBuiltin(name))
    if (more.length > 0 || foreign.length > 0)
      throw new RfoError('RFO_BUILD_SCRIPT', `${entry} does not fit into one file`, { exit: 'bug', details: foreign })
    return `#!/usr/bin/env node\n${await licences(root, Object.keys(script.modules))}${script.code}`
  } finally {
    await bundle.close()
  }
}

/** What the packages in it ask for: their names, versions and licences, as each of them says it. */
async function licences(root: string, modules: readonly string[]): Promise<string> {
  const folders = new Set(modules.flatMap((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(id) ?? []))
  const told: string[] = []
  for (const folder of [...folders].sort()) {
    const { name, version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
    const file = (await readdir(folder)).sort().find((each) => /^(licen[cs]e|copying)(\.(md|txt))?$/i.test(each))
    told.push(
      `${name} ${version}, ${license}\n\n${file === undefined ? 'It carries no text of its licence.' : await readFile(join(folder, file), 'utf8')}`,
    )
  }
  const own = `rfo-build, Apache-2.0\n\n${await readFile(join(root, 'LICENSE'), 'utf8')}`
  const rule = `\n${'-'.repeat(80)}\n`
  return `/*\n${[own, ...told]
    .join(rule)
    .replaceAll('\r\n', '\n')
    .replaceAll('*/', '* /')
    .replace(/[ \t]+$/gm, '')}\n*/\n`
}
