/** `lint`: what is wrong with pipelines/ and images.lock, or with a folder of images, one finding a line, as editors and CI read them. */
import { RfoError } from '../error.ts'
import type { CliContext } from './context.ts'
import type { Outcome, Verb } from './verb.ts'

export const lint: Verb = {
  name: 'lint',
  summary: 'lint',
  arguments: [{ syntax: '[folder]', help: 'lintFolder' }],
  options: [{ flags: '--for <reader>', help: 'lintFor' }],
  examples: ['lint', 'lint --json', 'lint --for rke2@v1.24.8 /var/lib/rancher/rke2/agent/images'],
  async run(context, { args: [folder], flags }) {
    const reader = flags.text('for')
    if ((folder === undefined) !== (reader === undefined))
      throw new RfoError('RFO_CLI_USAGE', '--for and a folder go together', { exit: 'usage', next: 'rfo-build lint --help' })
    return folder === undefined || reader === undefined ? await ofProject(context) : await ofFolder(context, folder, reader)
  },
}

async function ofProject(context: CliContext): Promise<Outcome> {
  const { readProject } = await import('../release/inputs.ts')
  const { findingText, lintPipelines } = await import('../plan/lint.ts')
  const findings = lintPipelines(await readProject(context.cwd))
  const [first] = findings
  return {
    text: findings.map((finding) => `${findingText(finding)}\n`).join(''),
    json: { findings: findings.map((finding) => ({ ...finding })) },
    ...(first === undefined ? {} : { failures: [failure(findings, `edit ${first.file}`)] }),
  }
}

async function ofFolder(context: CliContext, folder: string, name: string): Promise<Outcome> {
  const { resolve } = await import('node:path')
  const { lintFolder } = await import('../release/image-folder/lint.ts')
  const { folderReader } = await import('../release/image-folder/reader.ts')
  const { findingText } = await import('../plan/lint.ts')
  const findings = await lintFolder(resolve(context.cwd, folder), folderReader(name), context.signal)
  const errors = findings.filter(({ level }) => level === 'error')
  return {
    text: findings.map((finding) => `${findingText(finding)}${finding.level === 'note' ? ' (note)' : ''}\n`).join(''),
    json: { findings: findings.map((finding) => ({ ...finding })) },
    ...(errors.length === 0 ? {} : { failures: [failure(errors, 'mend the folder before it is carried to a node')] }),
  }
}

function failure(findings: readonly { readonly file: string }[], next: string): RfoError {
  return new RfoError('RFO_LINT_FINDINGS', `${findings.length} ${findings.length === 1 ? 'finding' : 'findings'}`, {
    exit: 'condition',
    where: [...new Set(findings.map((finding) => finding.file))].join(', '),
    next,
  })
}
