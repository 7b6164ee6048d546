/** `lint`: what is wrong with pipelines/ and images.lock, one finding a line, as editors and CI read them. */
import { RfoError } from '../error.ts'
import type { Verb } from './verb.ts'

export const lint: Verb = {
  name: 'lint',
  summary: 'lint',
  arguments: [],
  options: [],
  examples: ['lint', 'lint --json'],
  async run(context) {
    const { readProject } = await import('../release/inputs.ts')
    const { findingText, lintPipelines } = await import('../plan/lint.ts')
    const findings = lintPipelines(await readProject(context.cwd))
    const lines = findings.map(findingText)
    const [first] = findings
    return {
      text: lines.map((line) => `${line}\n`).join(''),
      json: { findings: findings.map((finding) => ({ ...finding })) },
      ...(first === undefined
        ? {}
        : {
            failures: [
              new RfoError('RFO_LINT_FINDINGS', `${findings.length} ${findings.length === 1 ? 'finding' : 'findings'}`, {
                exit: 'condition',
                where: [...new Set(findings.map((finding) => finding.file))].join(', '),
                next: `edit ${first.file}`,
              }),
            ],
          }),
    }
  },
}
